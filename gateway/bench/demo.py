"""``linecard demo``: gateway, models and a talking caller, all of it real, told and drawn as it happens.

The gateway and the models run as processes of their own, as they do in production. The caller lives here; what it
measures on the wire is laid beside what the gateway logged of the same call.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from gateway.bench.callers.host import CallerHost, find, quiet_log
from gateway.bench.callers.scenario import load_scenario
from gateway.bench.callers.voice import clips_for, start_models
from gateway.bench.children import Child
from gateway.bench.conversation import Conversation
from gateway.bench.measure.results import CallResult
from gateway.bench.summary import inside_rows, outside_rows
from gateway.bench.terminal import Terminal
from gateway.bench.verdict import faults
from gateway.config import Config
from gateway.errors import ConfigError, ResourceError
from gateway.net.transport import Listen

__all__ = ["main_async"]

Result = TypeVar("Result")

_SCENARIO: Final = "pizza"
_READY: Final = ("ready",)
_START_LIMIT: Final = 20.0
_STOP_GRACE: Final = 0.7
_LAST_LINES: Final = 1.5
"""Seconds that the gateway has for the last log lines of the call."""
INTERRUPTED: Final = 130


async def main_async(path: str, config: Config, *, once: bool = False) -> int:
    """Exit status 0 only if every turn of the call was understood, answered and measured."""
    if config.log.format == "console":
        raise ConfigError([f"{path}: log.format: the demo reads the gateway's log; leave it at auto, or make it json"])
    quiet_log()
    return await _until_stopped(_Demo(path, config).run(once=once))


async def _until_stopped(work: Coroutine[Any, Any, int]) -> int:
    """Ctrl-C, SIGTERM and a closed terminal cancel the work, which takes down what it has put up."""
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return INTERRUPTED


class _Demo:
    def __init__(self, path: str, config: Config) -> None:
        self._path = path
        self._config = config
        self._terminal = Terminal()
        self._conversation = Conversation(self._terminal)
        self._children: list[Child] = []

    async def run(self, *, once: bool) -> int:
        try:
            models = await self._start()
            failed = await self._while_they_live(self._call(models))
            if not once:
                with contextlib.suppress(asyncio.CancelledError):  # Ctrl-C is the way to end it, and no failure
                    self._invite()
                    await self._while_they_live(asyncio.Event().wait())
        finally:
            await asyncio.gather(*(child.stop(_STOP_GRACE) for child in self._children))
        return failed

    # --- processes ----------------------------------------------------------------------------------------------------

    async def _start(self) -> str:
        """Models first, so that the gateway finds them. Returns the models' URL."""
        host, port = _models_address(self._config)
        _require_free(socket.SOCK_STREAM, host, port, f"the models' port (providers, {self._path})")
        listen = _udp_listener(self._config, self._path)
        _require_free(socket.SOCK_DGRAM, listen.host, listen.port, f"the SIP port (sip.listen, {self._path})")
        models, url = await start_models(host, port)
        self._children.append(models)
        gateway = await Child.start("linecard run", ["run", self._path, "--no-redact"], self._conversation.on_line)
        self._children.append(gateway)
        await gateway.ready(_READY, _START_LIMIT)
        self._terminal.success(f"linecard models   pid {models.pid}, {url}")
        self._terminal.success(f"linecard run      pid {gateway.pid}, sip:{listen.host}:{listen.port}")
        return url

    async def _while_they_live(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Raises ``ResourceError`` as soon as a child dies."""
        main = asyncio.create_task(work)
        lives = {asyncio.create_task(child.ended()): child for child in self._children}
        try:
            done, _ = await asyncio.wait({main, *lives}, return_when=asyncio.FIRST_COMPLETED)
            if main in done:
                return main.result()
            dead = next(child for task, child in lives.items() if task in done)
            raise ResourceError(f"{dead.name} has ended; the last it said: {dead.epitaph()}")
        finally:
            for task in (main, *lives):
                task.cancel()
            await asyncio.gather(main, *lives, return_exceptions=True)

    def _invite(self) -> None:
        """What to do next."""
        terminal = self._terminal
        terminal.headline("The gateway stays up.")
        for what, how in (
            ("any softphone can call", self._address()),
            ("and so can you", f"linecard call {self._address()}"),
            ("for a real trunk", self._trunk_line()),
            ("to end it", "Ctrl-C"),
        ):
            terminal.note(f"  {what:<24}{how}", style="default")

    # --- the call -----------------------------------------------------------------------------------------------------

    async def _call(self, models: str) -> int:
        scenario = load_scenario(_SCENARIO)
        target = await find(self._address())
        clips = await clips_for(scenario, models)
        self._terminal.headline(f"A synthetic caller calls {target.uri}")
        with self._terminal.busy("it rings") as tell:
            async with CallerHost(target) as host:
                caller = host.caller(scenario, clips, notify=self._conversation.on_caller)
                caller.ear.on_edge = lambda edge: tell("the agent speaks" if edge.started else "the agent is silent")
                self._conversation.caller = caller
                result = await host.run(caller)
            await self._last_lines()
        self._conversation.release()
        return self._report(result, scenario.interruptions)

    async def _last_lines(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._conversation.over.wait(), _LAST_LINES)

    def _report(self, result: CallResult, interruptions: int) -> int:
        turns, stops = self._conversation.turns, self._conversation.interruptions
        outside, inside = outside_rows([result]), inside_rows(turns, stops)
        self._terminal.table({"measured on the wire, by the caller": outside, "stamped in the gateway": inside})
        self._terminal.note("")
        found = faults(result, turns, stops, interruptions)
        for fault in found:
            self._terminal.failure(fault)
        if not found:
            self._terminal.success(f"{len(result.turns)} turns: each understood, answered and measured on both sides")
        return 1 if found else 0

    def _address(self) -> str:
        listen = _udp_listener(self._config, self._path)
        host = "127.0.0.1" if listen.host == "0.0.0.0" else listen.host
        route = next((r.to for r in self._config.routes if self._config.plugs[r.plug].kind == "pipeline"), None)
        if route is None:
            raise ConfigError([f"{self._path}: no route leads to a plug of kind pipeline; the demo has nobody to call"])
        return f"sip:{route}@{host}:{listen.port}"

    def _trunk_line(self) -> str:
        """The line of the file that lets a carrier in: the example that stands there as a comment, or the block."""
        lines = list(enumerate(Path(self._path).read_text().splitlines(), 1))
        for number, line in lines:
            if "name: carrier" in line:
                return f"{self._path}:{number}   {line.strip().removeprefix('# ').partition('  #')[0].rstrip()}"
        number = next((number for number, line in lines if line.startswith("trunks:")), 1)
        return f"{self._path}:{number}   trunks: [{{name: carrier, from: [198.51.100.0/24]}}]"


def _udp_listener(config: Config, path: str) -> Listen:
    """What the demo's caller, which speaks UDP, can call. Raises ``ConfigError``."""
    found = next((one for one in config.sip.listen if one.transport == "udp"), None)
    if found is None:
        raise ConfigError([f"{path}: sip.listen: the demo calls by UDP; add an address like udp://127.0.0.1:5060"])
    return found


def _models_address(config: Config) -> tuple[str, int]:
    """Where the first native provider of the configuration is expected."""
    for block in config.providers.values():
        if block.kind == "native":
            url = urlsplit(str(getattr(block.options, "url", "")))
            return url.hostname or "127.0.0.1", url.port or 8765
    raise ConfigError(["providers: none of kind native; the demo needs one for the models that it starts"])


def _require_free(kind: socket.SocketKind, host: str, port: int, what: str) -> None:
    """Raises ``ResourceError`` if somebody listens there: better one line now than a child's later."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = error.strerror or str(error)
            raise ResourceError(f"{host}:{port}, {what}: {reason.lower()}; end what uses it or change it") from error
