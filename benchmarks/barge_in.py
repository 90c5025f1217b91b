"""How long the agent goes on after it was interrupted, measured by talking callers that break into every answer.

    python benchmarks/barge_in.py --calls 1 --turns 10
    python benchmarks/barge_in.py --calls 20

From the first packet of the caller's speech to the agent's last packet with sound. The confirmation window (speech must
last that long before the agent stops; shorter sounds are coughs) is configuration, and is shown apart.
"""

from __future__ import annotations

import argparse
import asyncio

import uvloop
from common import clips, gateway, machine, row

from gateway.bench.callers.host import CallerHost, find, quiet_log
from gateway.bench.callers.scenario import Scenario
from gateway.bench.measure.inside import read_interruption
from gateway.bench.measure.results import CallResult
from gateway.units import to_ms

SPREAD_S = 2.0


def scenario(turns: int) -> Scenario:
    breaks = [{"interrupt": {"after": "900ms", "say": "no pick up please"}}] * turns
    steps = ["listen", {"say": "yes please"}, *breaks, {"listen": {"quiet": "300ms"}}, "hang_up"]
    return Scenario.model_validate({"name": "interrupter", "limit": "120s", "steps": steps})


async def main(calls: int, turns: int) -> int:
    quiet_log()
    print(f"{machine()}\n{calls} calls at once, each interrupts {turns} times an answer of 5 s")
    plot = scenario(turns)
    speech = await clips(plot)
    async with gateway(prompt=True, answer_s=5.0) as bench:
        async with CallerHost(await find(f"sip:pizza@{bench.sip[0]}:{bench.sip[1]}")) as host:

            async def one(number: int) -> CallResult:
                await asyncio.sleep(number * SPREAD_S / calls)
                return await host.run(host.caller(plot, speech))

            results = await asyncio.gather(*(one(number) for number in range(calls)))
        await bench.all_ended(calls)
    inside = [read_interruption(line) for line in bench.events("barge_in")]
    outside = [to_ms(turn.stop) for result in results for turn in result.turns if turn.stop is not None]
    confirm = inside[0].confirm_ms if inside else 0.0
    print(f"confirmation window {confirm:.0f} ms")
    print(row("agent silent, as the callers heard it", outside))
    print(row("the same, less the confirmation window", [value - confirm for value in outside]))
    print(row("agent silent, in the gateway", [stop.stop_ms for stop in inside]))
    missed = calls * turns - len(outside)
    print(f"{calls * turns} interruptions, {missed} not obeyed, {len(inside)} in the gateway's log")
    for result in results:
        if result.failure:
            print(f"  failed: {result.failure}")
    return 1 if missed or any(result.failure for result in results) else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    raise SystemExit(uvloop.run(main(options.calls, options.turns)))
