"""What the gateway adds to a turn, alone and under load: talking callers against models that answer at once.

    python benchmarks/call_latency.py --calls 1 --turns 10
    python benchmarks/call_latency.py --calls 100
    python benchmarks/call_latency.py --calls 8 --embedded

``ours`` is the gap on the wire minus the configured hangover minus the models' own time, from the gateway's turn
records; beside it stands what the callers measured from outside. All processes share the machine, callers included.
"""

from __future__ import annotations

import argparse
import asyncio
import time

import uvloop
from common import Bench, Cpu, clips, gateway, machine, row

from gateway.bench.callers.host import CallerHost, find, quiet_log
from gateway.bench.callers.scenario import Scenario
from gateway.bench.measure.inside import InsideTurn, joined, read_turn
from gateway.bench.measure.results import CallResult
from gateway.units import to_ms

SPREAD_S = 2.5
"""Callers begin evenly over one turn's length, so that turns fall everywhere and not together."""


def scenario(turns: int) -> Scenario:
    talk = [{"think": "100ms"}, {"say": "yes please"}, {"listen": {"quiet": "300ms"}}] * turns
    return Scenario.model_validate({"name": "load", "limit": "120s", "steps": ["listen", *talk, "hang_up"]})


async def place_all(bench: Bench, calls: int, plot: Scenario) -> tuple[list[CallResult], float, float, float]:
    """Results, and the processor time of gateway, models and callers as shares of one core."""
    speech = await clips(plot)
    target = await find(f"sip:pizza@{bench.sip[0]}:{bench.sip[1]}")
    async with CallerHost(target) as host:

        async def one(number: int) -> CallResult:
            await asyncio.sleep(number * SPREAD_S / calls)
            return await host.run(host.caller(plot, speech))

        cpu = [Cpu(pid) for pid in (bench.gateway.pid, bench.models.pid)]
        began, own = time.monotonic(), time.process_time()
        results = await asyncio.gather(*(one(number) for number in range(calls)))
        gateway_share, models_share = (measured.share() for measured in cpu)
        callers_share = (time.process_time() - own) / (time.monotonic() - began)
    await bench.all_ended(calls)
    return results, gateway_share, models_share, callers_share


def report(bench: Bench, results: list[CallResult], shares: tuple[float, float, float], calls: int) -> bool:
    by_call: dict[str, list[InsideTurn]] = {}
    for line in bench.events("turn"):
        by_call.setdefault(line.call_id, []).append(read_turn(line))
    inside = [turn for turns in by_call.values() for turn in turns if turn.gap_ms is not None]
    differences = []
    for result in results:
        for turn in result.turns:
            match = joined(turn, by_call.get(result.call_id, ()))
            if match is not None and match.gap_ms is not None and turn.packet_gap is not None:
                differences.append(abs(to_ms(turn.packet_gap) - match.gap_ms))
    print(row("ours: gap - hangover - models", [turn.ours_ms for turn in inside if turn.ours_ms is not None]))
    for stage in ("hangover", "stt", "llm", "tts", "first_packet"):
        print(row(f"  stage {stage}", [turn.stages_ms[stage] for turn in inside if stage in turn.stages_ms]))
    print(row("gap, as the callers heard it", [to_ms(t.gap) for r in results for t in r.turns if t.gap is not None]))
    print(row("|inside - outside|", differences))
    failed = [result.failure or "a turn without an answer" for result in results if not result.success]
    lost = sum(result.stats.packets_lost for result in results)
    gateway_share, models_share, callers_share = shares
    print(
        f"{len(results)} calls, {len(failed)} failed, {len(inside)} turns, {lost} packets lost at the callers\n"
        f"CPU of one core: gateway {gateway_share:.1%} ({gateway_share / calls:.2%} a call), "
        f"models {models_share:.1%}, callers {callers_share:.1%}"
    )
    for reason in sorted(set(failed)):
        print(f"  failed: {reason} ({failed.count(reason)} times)")
    return not failed


async def main(calls: int, turns: int, *, embedded: bool) -> int:
    quiet_log()
    models = "the embedded models" if embedded else "models that answer at once"
    print(f"{machine()}\n{calls} calls at once, {turns} turns each, {models}")
    async with gateway(prompt=not embedded, answer_s=0.8) as bench:
        results, *shares = await place_all(bench, calls, scenario(turns))
        good = report(bench, results, (shares[0], shares[1], shares[2]), calls)
    return 0 if good else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--embedded", action="store_true", help="real recognition and synthesis, on the same machine")
    options = parser.parse_args()
    raise SystemExit(uvloop.run(main(options.calls, options.turns, embedded=options.embedded)))
