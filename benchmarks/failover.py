"""What a caller notices of providers that fail: many calls, many faults, and one provider that is switched off.

    python benchmarks/failover.py --calls 200 --turns 6 --faults 0.28
    python benchmarks/failover.py --calls 200 --turns 6 --off

Two providers serve every role; the first stalls, refuses and breaks off in mid-sentence at the given share of its
requests (``--faults``), or is killed in the middle of the run and started again (``--off``). The callers measure what
they hear.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import socket
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import uvloop
import yaml
from call_latency import place_all, scenario
from common import Bench, PromptModels, free_port, machine, row

from gateway.bench.callers.host import quiet_log
from gateway.bench.children import Child
from gateway.bench.measure.inside import LogLine, read_turn
from gateway.units import to_ms

ROLES = ("stt", "llm", "tts")
OFF_FOR_S = 3.0
LIMITS = {"stt": "1s", "llm": "1s", "tts": "1s", "stall": "600ms"}
"""Before the gateway knows the providers' own percentiles."""


async def models(port: int, faults: float) -> Child:
    child = await PromptModels.start("prompt models", [str(port), "1.5", str(faults)])
    await child.ready(("ready",), 20)
    return child


class Switch:
    """The first provider, which can be switched off and on again."""

    def __init__(self, faults: float) -> None:
        self.port = free_port(socket.SOCK_STREAM)
        self.faults = faults
        self.child: Child

    async def on(self) -> None:
        self.child = await models(self.port, self.faults)

    async def off(self) -> None:
        await self.child.stop(0.0)


@asynccontextmanager
async def two_providers(faults: float) -> AsyncIterator[tuple[Bench, Switch]]:
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        first, port = Switch(faults), free_port(socket.SOCK_DGRAM)
        await first.on()
        backup_port = free_port(socket.SOCK_STREAM)
        backup = await models(backup_port, 0.0)
        stack.push_async_callback(backup.stop, 1.0)
        stack.push_async_callback(first.off)
        path = directory / "linecard.yaml"
        path.write_text(yaml.safe_dump(configuration(port, first.port, backup_port)))
        bench = Bench(("127.0.0.1", port), backup)
        bench.gateway = await Child.start("linecard run", ["run", str(path), "--no-redact"], bench.on_line)
        stack.push_async_callback(bench.gateway.stop, 2.0)
        await bench.gateway.ready(("ready",), 20)
        yield bench, first


def configuration(port: int, first: int, second: int) -> dict[str, object]:
    names = ["first", "second"]
    return {
        "sip": {"listen": f"udp://127.0.0.1:{port}"},
        "media": {"address": "127.0.0.1", "ports": "20000-21999"},
        "providers": {
            "first": {"kind": "native", "url": f"ws://127.0.0.1:{first}/", "reconnect_max": "500ms"},
            "second": {"kind": "native", "url": f"ws://127.0.0.1:{second}/"},
        },
        "plugs": {
            "pizza": {
                "kind": "pipeline",
                **dict.fromkeys(ROLES, names),
                "greeting": "Hello.",
                "ahead": False,
                "failover": LIMITS,
            },
        },
        "trunks": [{"name": "loopback", "from": ["127.0.0.0/8"]}],
        "routes": [{"to": "pizza", "plug": "pizza"}],
        "log": {"format": "json"},
    }


async def switch_off(bench: Bench, first: Switch) -> dict[str, float]:
    """Seconds until the breakers of all roles are open, and closed again after the provider's return."""
    await asyncio.sleep(6)
    times: dict[str, float] = {}
    began = time.monotonic()
    await first.off()
    await seen(bench, "breaker.opened", times, began, "open")
    await asyncio.sleep(OFF_FOR_S)
    await first.on()
    began = time.monotonic()
    await seen(bench, "breaker.closed", times, began, "closed")
    return times


async def seen(bench: Bench, event: str, times: dict[str, float], began: float, name: str) -> None:
    waiting = set(ROLES)
    async with asyncio.timeout(30):
        while waiting:
            for line in bench.events(event):
                role = str(line.fields["role"])
                if role in waiting:
                    waiting.discard(role)
                    times[f"{role} {name}"] = time.monotonic() - began
            await asyncio.sleep(0.005)


def runnable(pid: int) -> float:
    """Seconds that a process' main thread has waited for a processor: what a busy machine adds to every hop."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[1]) / 1e9


def moves(lines: list[LogLine]) -> Counter[str]:
    """By role and reason; numbers in it do not count."""
    found = (move for line in lines for move in line.fields.get("failovers", ()))
    return Counter(f"{move['role']}: {re.sub(r'[0-9]+', 'N', move['reason'])}" for move in found)


async def main(options: argparse.Namespace) -> int:
    quiet_log()
    print(machine())
    async with two_providers(0.0 if options.off else options.faults) as (bench, first):
        switching = asyncio.create_task(switch_off(bench, first)) if options.off else None
        waited, began = runnable(bench.gateway.pid), time.monotonic()
        results, gateway, *_ = await place_all(bench, options.calls, scenario(options.turns))
        waited = (runnable(bench.gateway.pid) - waited) / (time.monotonic() - began)
        turns = [turn for result in results for turn in result.turns]
        heard = [to_ms(turn.gap) for turn in turns if turn.gap is not None]
        failed = [result.failure for result in results if result.failure]
        moved = moves(bench.events("turn"))
        print(f"{options.calls} calls, {len(failed)} lost; {len(turns)} turns, {len(turns) - len(heard)} not answered")
        print(f"work moved to the other provider: {sum(moved.values())} times")
        for reason, count in moved.most_common():
            print(f"  {count:5d}  {reason}")
        print(row("gap, as the callers heard it", heard))
        inside = [read_turn(line) for line in bench.events("turn")]
        for stage in ("hangover", "stt", "llm", "tts", "first_packet"):
            print(row(f"  stage {stage}", [turn.stages_ms[stage] for turn in inside if stage in turn.stages_ms]))
        print(f"over 2 s: {sum(gap > 2000 for gap in heard)}")
        print(f"gateway {gateway:.1%} of a core, {gateway / options.calls:.2%} a call")
        print(f"its event loop was ready to run and had no processor for {waited:.1%} of the time")
        if switching is not None:
            for name, seconds in sorted((await switching).items()):
                print(f"  breaker of {name} after {seconds * 1000:.0f} ms")
        for reason in sorted(set(failed)):
            print(f"  failed: {reason}")
    return 1 if failed or len(heard) < len(turns) or max(heard, default=0) > 2000 else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--faults", type=float, default=0.28)
    parser.add_argument("--off", action="store_true")
    raise SystemExit(uvloop.run(main(parser.parse_args())))
