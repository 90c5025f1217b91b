"""Linecard as its users start it: processes, on free ports, their log lines read as they come."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.ports import free_port

Line = dict[str, Any]


class Process:
    """A `linecard` command whose standard output is JSON lines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[Line] = []
        self._changed = asyncio.Event()
        self._reader = asyncio.get_running_loop().create_task(self._read())

    @property
    def pid(self) -> int:
        return self.process.pid

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            text = line.decode().strip()
            self.lines.append(json.loads(text) if text.startswith("{") else {"event": "text", "text": text})
            self._changed.set()
        self.lines.append({"event": "eof"})
        self._changed.set()

    def events(self, event: str) -> list[Line]:
        return [line for line in self.lines if line["event"] == event]

    async def line(self, event: str, where: Callable[[Line], bool] = lambda _: True, timeout: float = 60) -> Line:
        """The first such line, now or later."""
        async with asyncio.timeout(timeout):
            while True:
                for line in self.events(event):
                    if where(line):
                        return line
                if self.events("eof") and event != "eof":
                    raise AssertionError(f"ended without {event!r}: {self.lines[-5:]}")
                self._changed.clear()
                await self._changed.wait()

    async def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.returncode is None and not self.events("eof"):  # Popen.send_signal would reap a zombie unseen
            self.process.send_signal(number)
        try:
            async with asyncio.timeout(15):
                status = await self.process.wait()
        except TimeoutError:
            self.process.kill()
            raise
        await self._reader
        return status

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))


async def start(*arguments: str, module: str = "gateway.cli") -> Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    return Process(process)


class House:
    """A gateway, and the models beside it."""

    def __init__(self, config: dict[str, Any], directory: Path, stack: AsyncExitStack) -> None:
        self.config = config
        self.sip = ("127.0.0.1", 0)
        self.directory = directory
        self.gateway: Process
        self.models: Process | None = None
        self.module = "gateway.cli"
        self._stack = stack

    async def start_gateway(self) -> Process:
        """On a port that the kernel chose; afterwards the file names it, as an operator's would."""
        path = self.directory / "linecard.yaml"
        path.write_text(yaml.safe_dump(self.config, sort_keys=False))
        self.gateway = await start("run", str(path), "--no-redact", module=self.module)
        self._stack.push_async_callback(self.gateway.stop)
        _, host, port = (await self.gateway.line("ready"))["sip"].split(":")
        self.sip = (host, int(port))
        self.config["sip"]["listen"] = f"udp://{host}:{port}"
        path.write_text(yaml.safe_dump(self.config, sort_keys=False))
        return self.gateway

    async def start_models(self) -> Process:
        self.models = await start("models", "--port", "0")
        self._stack.push_async_callback(self.models.stop)
        self.config["providers"]["embedded"]["url"] = (await self.models.line("models.ready"))["url"]
        return self.models


def configuration(**plug: Any) -> dict[str, Any]:
    """A configuration on free ports. ``plug`` overrides keys of the plug ``pizza``. No call is refused because other
    processes take the processor, which they do where tests run."""
    first = 20000 + 200 * (os.getpid() % 100)
    return {
        "sip": {"listen": "udp://127.0.0.1:0"},
        "media": {
            "address": "127.0.0.1", "ports": f"{first}-{first + 199}", "rtp_timeout": "30s",
            "admission": {"busy": 1.0, "late": 1.0},
        },
        "limits": {"max_delay": "30s", "delay_target": "30s"},
        "providers": {"embedded": {"kind": "native", "url": f"ws://127.0.0.1:{free_port()}/"}},
        "plugs": {
            "pizza": {
                "kind": "pipeline", "stt": "embedded", "llm": "embedded", "tts": "embedded",
                "greeting": "Welcome.", "ahead": False, **plug,
            },
            "echo": {"kind": "echo"}, "tone": {"kind": "tone"}, "silence": {"kind": "silence"},
        },
        "trunks": [{"name": "loopback", "from": ["127.0.0.0/8"]}],
        "routes": [
            {"to": "pizza", "plug": "pizza"},
            {"to": "echo", "plug": "echo"},
            {"to": "tone", "plug": "tone"},
            {"to": "early", "plug": "tone", "early_media": True, "ring_for": "600ms"},
            {"to": "ringing", "plug": "tone", "ring_for": "30s"},
            {"to": "short", "plug": "silence", "hangup_after": "300ms"},
            {"to": "silence", "plug": "silence"},
        ],
        "records": {"database": "off"},
        "log": {"format": "json"},
    }  # fmt: skip


@asynccontextmanager
async def house(
    directory: Path, config: dict[str, Any], *, models: bool = False, module: str = "gateway.cli"
) -> AsyncIterator[House]:
    """``module`` is what is run instead of the gateway's own command."""
    async with AsyncExitStack() as stack:
        built = House(config, directory, stack)
        built.module = module
        if models:
            await built.start_models()
        await built.start_gateway()
        yield built
