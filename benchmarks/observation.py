"""What it costs to be watched: metrics with their scrapes, traces and the record store, against a gateway without.

    python benchmarks/observation.py
    python benchmarks/observation.py --parts traces --rounds 6
    python benchmarks/observation.py --parts none

Two gateways stand side by side and take the same talking calls in turns, now the one and now the other first, so that
whoever else uses the machine disturbs both. The figure is processor time of the gateway's process from the first INVITE
until the last call's records are written; what it spends while the other is at work is not counted. With ``none`` both
are alike, and what is printed is the noise.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import statistics
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from aiohttp import web
from common import Bench, Cpu, clips, free_port, gateway, machine

from gateway.bench.callers.host import CallerHost, find, quiet_log
from gateway.bench.callers.scenario import Scenario

SPREAD_S = 6.0
"""Over which calls begin: a burst would be shed."""
SCRAPE_S = 5.0
"""Three times as often as Prometheus asks by default."""
SETTLE_S = 2.5
"""Records wait for others, and spans for a second: both are written by then."""
PARTS = "metrics,traces,records"


def scenario(turns: int) -> Scenario:
    talk = [{"think": "100ms"}, {"say": "yes please"}, {"listen": {"quiet": "300ms"}}] * turns
    return Scenario.model_validate({"name": "watched", "limit": "120s", "steps": ["listen", *talk, "hang_up"]})


class Collector:
    """Takes spans, and counts their bytes."""

    def __init__(self) -> None:
        self.bytes = self.batches = 0

    async def take(self, request: web.Request) -> web.Response:
        self.bytes += len(await request.read())
        self.batches += 1
        return web.Response(content_type="application/x-protobuf")


@asynccontextmanager
async def collecting() -> AsyncIterator[tuple[Collector, str]]:
    collector = Collector()
    application = web.Application(client_max_size=1 << 24)
    application.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield collector, f"http://127.0.0.1:{runner.addresses[0][1]}/v1/traces"
    finally:
        await runner.cleanup()


def blocks(
    parts: tuple[str, ...], directory: Path, endpoint: str, listen: str, ports: str
) -> dict[str, dict[str, Any]]:
    """The configuration of a gateway with these parts on. It takes every call, however busy the machine is."""
    telemetry: dict[str, Any] = {}
    if "metrics" in parts:
        telemetry["listen"] = listen
    if "traces" in parts:
        telemetry["tracing"] = {"endpoint": endpoint}
    return {
        "media": {"ports": ports, "admission": {"busy": 1.0, "late": 1.0}},
        "limits": {"max_delay": "30s"},
        "telemetry": telemetry,
        "records": {"database": str(directory / "calls.sqlite") if "records" in parts else "off"},
    }


async def scrape(listen: str) -> None:
    """As Prometheus does."""
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"http://{listen}/metrics") as response:
                await response.read()
            await asyncio.sleep(SCRAPE_S)


async def load(bench: Bench, calls: int, plot: Scenario, speech: dict[str, bytes]) -> tuple[float, int]:
    """Processor seconds of the gateway for these calls, and how many of them failed."""
    target = await find(f"sip:pizza@{bench.sip[0]}:{bench.sip[1]}")
    before = bench.ended
    async with CallerHost(target) as host:

        async def one(number: int) -> bool:
            await asyncio.sleep(number * SPREAD_S / calls)
            return (await host.run(host.caller(plot, speech))).success

        cpu = Cpu(bench.gateway.pid)
        good = await asyncio.gather(*(one(number) for number in range(calls)))
    await bench.all_ended(before + sum(good))
    await asyncio.sleep(SETTLE_S)
    return cpu.spent(), good.count(False)


async def main(options: argparse.Namespace) -> int:
    quiet_log()
    parts = tuple(options.parts.split(","))
    print(f"{machine()}\n{options.calls} calls at once, {options.turns} turns each; {', '.join(parts)} against none")
    plot = scenario(options.turns)
    speech = await clips(plot)
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        collector, endpoint = await stack.enter_async_context(collecting())
        listen = f"127.0.0.1:{free_port(socket.SOCK_STREAM)}"
        watched = blocks(parts, directory, endpoint, listen, "20000-21999")
        alone = blocks((), directory, endpoint, listen, "22000-23999")
        on, off = [
            await stack.enter_async_context(gateway(prompt=True, answer_s=0.8, more=more)) for more in (watched, alone)
        ]
        scraper = asyncio.create_task(scrape(listen)) if "metrics" in parts else None
        pairs = await rounds(on, off, options, plot, speech)
        if scraper is not None:
            scraper.cancel()
            await asyncio.gather(scraper, return_exceptions=True)
    return told(pairs, collector, options)


async def rounds(
    on: Bench, off: Bench, options: argparse.Namespace, plot: Scenario, speech: dict[str, bytes]
) -> list[tuple[float, float]]:
    """(with, without) in processor seconds; the first round warms both up and is left out."""
    pairs = []
    for number in range(options.rounds + 1):
        order = (on, off) if number % 2 else (off, on)
        found = {id(bench): await load(bench, options.calls, plot, speech) for bench in order}
        pair = found[id(on)][0], found[id(off)][0]
        failed = sum(count for _, count in found.values())
        times = f"with {pair[0]:.2f} s, without {pair[1]:.2f} s"
        print(f"  {number or 'warm-up'}: {times}, {failed} calls failed", flush=True)
        if number:
            pairs.append(pair)
    return pairs


def told(pairs: list[tuple[float, float]], collector: Collector, options: argparse.Namespace) -> int:
    ratios = sorted(one / other - 1 for one, other in pairs)
    with_s, without_s = (statistics.median(values) for values in zip(*pairs, strict=True))
    overhead = statistics.median(ratios)
    print(
        f"median of {len(pairs)} pairs: {overhead:+.1%} ({ratios[0]:+.1%} to {ratios[-1]:+.1%}); medians apart: "
        f"{with_s:.2f} s against {without_s:.2f} s, {with_s / without_s - 1:+.1%}\n"
        f"{1000 * (with_s - without_s) / options.calls / options.turns:.2f} ms of processor a turn; "
        f"{collector.batches} batches of spans, {collector.bytes / 1024:.0f} KiB"
    )
    return 0 if overhead <= options.goal else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--parts", default=PARTS)
    parser.add_argument("--goal", type=float, default=0.05)
    raise SystemExit(uvloop.run(main(parser.parse_args())))
