"""What the benchmarks share: a gateway of their own on free ports, its log, its processor time, the machine's name."""

from __future__ import annotations

import asyncio
import os
import platform
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gateway.bench.callers.scenario import Scenario
from gateway.bench.callers.voice import clips_for, start_models
from gateway.bench.children import Child
from gateway.bench.measure.inside import LogLine
from gateway.bench.measure.results import summarise

TICKS = os.sysconf("SC_CLK_TCK")


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PromptModels(Child):
    """``prompt_models.py`` as a child."""

    @classmethod
    def command(cls, arguments: Sequence[str]) -> list[str]:
        return [sys.executable, str(Path(__file__).with_name("prompt_models.py")), *arguments]


@dataclass
class Bench:
    """A running gateway and its models."""

    sip: tuple[str, int]
    models: Child
    gateway: Child = field(init=False)
    lines: list[LogLine] = field(default_factory=list)

    def events(self, event: str) -> list[LogLine]:
        return [line for line in self.lines if line.event == event]

    ended: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def on_line(self, line: LogLine) -> None:
        self.lines.append(line)
        if line.event == "call.ended":
            self.ended += 1
            self.changed.set()

    async def all_ended(self, calls: int) -> None:
        """Until the log says so of every call, five seconds at most."""
        async with asyncio.timeout(5):
            while self.ended < calls:
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def gateway(
    *, prompt: bool, answer_s: float = 1.5, more: dict[str, dict[str, Any]] | None = None, **plug: Any
) -> AsyncIterator[Bench]:
    """``prompt``: models that answer at once; else the embedded ones. ``plug`` are keys of the pipeline, ``more`` those
    of other blocks."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        models, url = await _models(prompt, answer_s)
        stack.push_async_callback(models.stop, 1.0)
        port = free_port(socket.SOCK_DGRAM)
        path = directory / "linecard.yaml"
        configuration = _configuration(port, url, plug)
        for block, keys in (more or {}).items():
            configuration.setdefault(block, {}).update(keys)
        path.write_text(yaml.safe_dump(configuration))
        bench = Bench(("127.0.0.1", port), models)
        bench.gateway = await Child.start("linecard run", ["run", str(path), "--no-redact"], bench.on_line)
        stack.push_async_callback(bench.gateway.stop, 2.0)
        await bench.gateway.ready(("ready",), 20)
        yield bench


async def _models(prompt: bool, answer_s: float) -> tuple[Child, str]:
    if not prompt:
        return await start_models()
    port = free_port(socket.SOCK_STREAM)
    models = await PromptModels.start("prompt models", [str(port), str(answer_s)])
    await models.ready(("ready",), 20)
    return models, f"ws://127.0.0.1:{port}/"


def _configuration(port: int, url: str, plug: dict[str, Any]) -> dict[str, Any]:
    pipeline = {"kind": "pipeline", "stt": "models", "llm": "models", "tts": "models", "greeting": "Hello.", **plug}
    return {
        "sip": {"listen": f"udp://127.0.0.1:{port}"},
        "media": {"address": "127.0.0.1", "ports": "20000-21999"},
        "providers": {"models": {"kind": "native", "url": url}},
        "plugs": {"pizza": pipeline, "echo": {"kind": "realtime", "model": "models"}, "plain": {"kind": "echo"}},
        "trunks": [{"name": "loopback", "from": ["127.0.0.0/8"]}],
        "routes": [{"to": "pizza", "plug": "pizza"}, {"to": "echo", "plug": "echo"}, {"to": "plain", "plug": "plain"}],
        "log": {"format": "json"},
    }


async def clips(scenario: Scenario) -> dict[str, bytes]:
    """The callers' speech, by the embedded TTS, once for all of them."""
    return await clips_for(scenario, None)


class Cpu:
    """Processor time of a process over a span of wall time, from /proc."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._began = time.monotonic()
        self._spent = self._read()

    def _read(self) -> float:
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def spent(self) -> float:
        """Seconds, since the beginning."""
        return self._read() - self._spent

    def share(self) -> float:
        """Of one core, since the beginning."""
        return (self._read() - self._spent) / (time.monotonic() - self._began)


def machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return (
        f"{os.cpu_count()} x {model}, Linux {platform.release().partition('-')[0]}, Python {platform.python_version()}"
    )


def row(label: str, values: Sequence[float], unit: str = "ms") -> str:
    summary = summarise(values)
    if summary is None:
        return f"{label:<44} no value"
    figures = f"p50 {summary.p50:7.2f}  p95 {summary.p95:7.2f}  p99 {summary.p99:7.2f}  max {summary.max:7.2f} {unit}"
    return f"{label:<44} n {summary.count:5d}  {figures}"
