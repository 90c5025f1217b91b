"""An agent that the run starts itself, from a gateway's configuration: the only kind that faults are done to.

The gateway and one models process for each native provider of this machine are children, with a ``FaultProxy`` between
them. Whatever way the run dies, the kernel kills them, stopped ones too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import socket
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final

import yaml

from gateway.bench.children import Child
from gateway.bench.measure.inside import InsideTurn, LogLine, read_turn
from gateway.bench.runs.agent_file import AgentFile, free_port
from gateway.bench.runs.faults.options import DISK, GATEWAY, MODELS, FaultOptions
from gateway.bench.runs.faults.proxy import FaultProxy
from gateway.errors import ConfigError, ResourceError
from gateway.units import SECOND

__all__ = ["MODELS_COMMAND", "OwnAgent"]

MODELS_COMMAND: Final = "linecard models --port {port}"
_READY: Final = ("ready", "models.ready")
_START_LIMIT: Final = 30.0
_STOP_GRACE: Final = 2.0
_DISK_MIB: Final = 16
_TURNS_KEPT: Final = 200_000


class _Program(Child):
    """Any command, not only ours; killed rather than asked when the run dies, as it may be stopped just then."""

    last_signal: ClassVar[signal.Signals] = signal.SIGKILL

    @classmethod
    def command(cls, arguments: Sequence[str]) -> list[str]:
        if arguments[0] == "linecard":
            return super().command(arguments[1:])
        return list(arguments)


class _Models:
    """One models process behind its proxy."""

    def __init__(self, name: str, command: str) -> None:
        self.name = name
        self.port = free_port(socket.SOCK_STREAM)
        self.proxy = FaultProxy("127.0.0.1", self.port)
        self.child: Child
        self._command = [part.format(port=self.port) for part in shlex.split(command)]

    async def start(self) -> None:
        self.child = await _Program.start(f"models of {self.name}", self._command)
        try:
            await self.child.ready(_READY, _START_LIMIT)
        except BaseException:
            await self.child.stop(0)
            raise


class OwnAgent:
    """Opened with ``async with``. ``disk``: its files lie on a small file system of its own, which can be filled."""

    def __init__(self, file: AgentFile, *, models: str = MODELS_COMMAND, disk: bool = False) -> None:
        self.label = file.path.stem
        self._turns: defaultdict[str, list[InsideTurn]] = defaultdict(list)
        self._file = file
        self._disk = disk
        self._models = {name: _Models(name, models) for name in file.own_models}
        self._port = free_port(socket.SOCK_DGRAM)
        self._stack = AsyncExitStack()
        self._gateway: Child
        self._kept = 0

    @property
    def uri(self) -> str:
        return f"sip:{self._file.number}@127.0.0.1:{self._port}"

    async def __aenter__(self) -> OwnAgent:
        async with AsyncExitStack() as stack:
            self._directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="linecard-bench-")))
            urls = {}
            for name, one in self._models.items():
                await one.start()
                stack.push_async_callback(self._stop_models, one)
                urls[name] = f"ws://127.0.0.1:{await one.proxy.start()}/"
                stack.push_async_callback(one.proxy.stop)
            self._config = self._directory / "linecard.yaml"
            self._config.write_text(yaml.safe_dump(self._file.moved(self._port, urls, self._files), sort_keys=False))
            await self._start_gateway()
            stack.push_async_callback(self._stop_gateway)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        await self._stack.aclose()

    @property
    def _files(self) -> Path:
        """Where the gateway writes: a directory of ours, over which it may have a file system of its own."""
        path = self._directory / "disk"
        path.mkdir(exist_ok=True)
        return path

    # --- processes ----------------------------------------------------------------------------------------------------

    async def _start_gateway(self) -> None:
        command = ["linecard", "run", str(self._config), "--no-redact"]
        if self._disk:
            command = [*_boxed(self._files), *_Program.command(command)]
        self._gateway = await _Program.start("linecard run", command, self._on_line)
        try:
            await self._gateway.ready(_READY, _START_LIMIT)
        except BaseException:
            await self._gateway.stop(0)
            raise

    async def _stop_gateway(self) -> None:
        _send(self._gateway, signal.SIGCONT)
        await self._gateway.stop(_STOP_GRACE)

    async def _stop_models(self, one: _Models) -> None:
        _send(one.child, signal.SIGCONT)
        await one.child.stop(_STOP_GRACE)

    def _on_line(self, line: LogLine) -> None:
        if line.event == "turn" and self._kept < _TURNS_KEPT:
            self._turns[line.call_id].append(read_turn(line))
            self._kept += 1

    def turns(self, call_id: str) -> Sequence[InsideTurn]:
        """What the gateway has written down of a call so far."""
        return self._turns.get(call_id, ())

    def died(self) -> str | None:
        """A process that has ended though nobody wanted it to, and what it said last."""
        children = [self._gateway, *(one.child for one in self._models.values())]
        dead = next((child for child in children if not child.alive), None)
        return None if dead is None else f"{dead.name} has ended; the last it said: {dead.epitaph()}"

    # --- faults -------------------------------------------------------------------------------------------------------

    def check(self, fault: FaultOptions) -> None:
        """Raises ``ConfigError`` if there is nothing here that this could be done to."""
        if fault.target not in {GATEWAY, MODELS, DISK, *self._models} or (fault.target == MODELS and not self._models):
            known = ", ".join([GATEWAY, DISK, MODELS, *self._models])
            raise ConfigError(
                [f"fault at {fault.at / SECOND:g} s: {fault.target!r} was not started by the run; there are {known}"]
            )

    async def begin(self, fault: FaultOptions) -> None:
        """Returns when it has happened."""
        match fault.what:
            case "restart":
                await self._stop_gateway()
                await self._start_gateway()
            case "fill":
                await asyncio.to_thread(self._fill)
            case "kill" | "stall":
                number = signal.SIGKILL if fault.what == "kill" else signal.SIGSTOP
                for child in self._children(fault.target):
                    _send(child, number)
            case _:
                for one in self._chosen(fault.target):
                    _disturb(one.proxy, fault)

    async def end(self, fault: FaultOptions) -> None:
        """Everything as before; harmless if it is already."""
        match fault.what:
            case "fill":
                self._filler.unlink(missing_ok=True)
            case "stall":
                for child in self._children(fault.target):
                    _send(child, signal.SIGCONT)
            case "kill" if fault.target == GATEWAY:
                await self._gateway.stop(0)
                await self._start_gateway()
            case "kill":
                for one in self._chosen(fault.target):
                    await one.child.stop(0)
                    await one.start()
            case _:
                for one in self._chosen(fault.target):
                    one.proxy.delay_s, one.proxy.refusing = 0.0, False

    def _chosen(self, target: str) -> list[_Models]:
        return [one for name, one in self._models.items() if target in {MODELS, name}]

    def _children(self, target: str) -> list[Child]:
        return [self._gateway] if target == GATEWAY else [one.child for one in self._chosen(target)]

    @property
    def _filler(self) -> Path:
        """Seen from outside the gateway's own file systems."""
        return Path(f"/proc/{self._gateway.pid}/root{self._files}/filler")

    def _fill(self) -> None:
        """Bounded by the size of the file system that was made for it: never one of the machine's."""
        if not self._disk:
            raise ConfigError(["fill: the agent has no disk of its own"])
        with contextlib.suppress(OSError), self._filler.open("wb", buffering=0) as file:
            for _ in range(_DISK_MIB * 16):
                file.write(bytes(1 << 16))


def _disturb(proxy: FaultProxy, fault: FaultOptions) -> None:
    if fault.what == "slow":
        proxy.delay_s = fault.by / SECOND
        return
    proxy.refusing = fault.what == "refuse"
    proxy.drop()


def _send(child: Child, number: signal.Signals) -> None:
    """Only to a child of ours that is still there: its pid cannot belong to somebody else until we have waited."""
    if child.alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, number)


def _boxed(directory: Path) -> list[str]:
    """A mount namespace in which a small tmpfs lies over ``directory``: gone with the process, unseen by all others."""
    unshare = shutil.which("unshare")
    if unshare is None:
        raise ResourceError("fill: needs unshare (util-linux) to give the gateway a disk of its own")
    rights = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    mount = f'mount -t tmpfs -o size={_DISK_MIB}m linecard-bench "$0" && exec "$@"'
    return [unshare, *rights, "--mount", "sh", "-c", mount, str(directory)]
