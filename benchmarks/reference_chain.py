"""The whole measuring chain against an agent whose answers come exactly as late as it was told.

    python benchmarks/reference_chain.py [--callers 1] [--turns 40] [--delays 0,50,180,800,3000] [--pin]

A reference agent (``linecard bench reference``) runs as a process of its own; callers in this one speak to it. For each
turn three figures are laid beside each other: the delay that was asked for, the one that the agent really produced
(kernel's stamp of the arrival to departure, in its log), and the gap that the caller measured. *Chain* is the
difference between the last two: everything that is wrong with scenario, plane, onset detector and arithmetic.
``--pin`` gives the callers the first processor and the agent the second.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import row
from gateway.bench.callers.host import CallerHost, find, quiet_log
from gateway.bench.callers.scenario import Scenario
from gateway.bench.callers.speech import lifted, prepare
from gateway.bench.children import Child
from gateway.bench.measure.inside import LogLine
from gateway.bench.measure.results import CallResult, Ticket
from gateway.bench.reference.sound import voice
from gateway.units import MS, Nanos, to_ms

SAME_NS = 1_000_000_000


def scenario(turns: int) -> Scenario:
    """Sentences of five lengths, so that ends fall everywhere in a packet."""
    steps: list[object] = [{"listen": {"quiet": "300ms"}}]
    for turn in range(turns):
        steps += [
            {"think": {"from": "100ms", "to": "400ms"}},
            {"say": str(turn % 5)},
            {"listen": {"quiet": "300ms", "expect": "800ms"}},
        ]
    return Scenario.model_validate({"name": "chain", "limit": "600s", "steps": [*steps, "hang_up"]})


CLIPS = {str(n): lifted(prepare(voice(Nanos((600 + 37 * n) * MS)), -20.0)) for n in range(5)}


class Log:
    """What the agent says that it did."""

    def __init__(self) -> None:
        self.answers: dict[str, list[LogLine]] = {}

    def on_line(self, line: LogLine) -> None:
        if line.event == "answer" and line.fields.get("heard") is not None:
            self.answers.setdefault(line.call_id, []).append(line)

    def of(self, call_id: str, ended: int) -> LogLine | None:
        """Its answer to what ended then."""
        answers = self.answers.get(call_id, ())
        return next((one for one in answers if abs(one.fields["heard"] - ended) < SAME_NS), None)


async def measure(delay_ms: int, callers: int, turns: int, spread_s: float, *, pin: bool) -> None:
    log = Log()
    arguments = ["bench", "reference", "--delay", f"{delay_ms}ms", "--port", "0"]
    if pin:
        os.sched_setaffinity(0, {1})
    child = await Child.start("linecard bench reference", arguments, log.on_line)
    try:
        ready = await child.ready(("ready",), 20)
        if pin:
            os.sched_setaffinity(0, {0})
        plot = scenario(turns)
        began, cpu = time.monotonic(), time.process_time()
        async with CallerHost(await find(str(ready.fields["address"])), max_calls=callers + 10) as host:

            async def call(number: int) -> CallResult:
                await asyncio.sleep(number * spread_s / callers)
                return await host.run(host.caller(plot, CLIPS, ticket=Ticket(number, seed=1)))

            results = await asyncio.gather(*map(call, range(callers)))
            costs = host.costs()
            cores = (time.process_time() - cpu) / (time.monotonic() - began)
    finally:
        await child.stop(2.0)
    report(delay_ms, callers, results, log)
    late = [to_ms(turn.saying.late) for result in results for turn in result.turns]
    print(row("  speech began late", late))
    print(f"  {'packets left late':<26} p99 {costs.deviation_us(0.99) / 1000:.2f} ms; {cores:.2f} cores", flush=True)


def report(delay_ms: int, callers: int, results: list[CallResult], log: Log) -> None:
    chain, produced, clipped = [], [], []
    failed = [result.failure for result in results if result.failure]
    for result in results:
        for turn in result.turns:
            real = next(
                (
                    one
                    for one in log.answers.get(result.call_id, ())
                    if abs(one.fields["heard"] - turn.saying.ended) < SAME_NS
                ),
                None,
            )
            if turn.gap is not None and real is not None:
                chain.append(to_ms(turn.gap) - real.fields["delay_ms"])
                produced.append(real.fields["delay_ms"] - delay_ms)
                clipped.append(to_ms(turn.clipped or 0))
    print(
        f"{delay_ms} ms, {callers} callers, {len(chain)} turns"
        + (f", FAILED {len(failed)}: {failed[0]}" if failed else "")
    )
    print(row("  chain, |error|", [abs(x) for x in chain]))
    print(row("  agent, |error|", [abs(x) for x in produced]))
    print(row("  measured - asked, |error|", [abs(x + y) for x, y in zip(chain, produced, strict=True)]))
    print(row("  clipped", clipped))


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--callers", type=int, default=1)
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--delays", default="0,50,180,800,3000")
    parser.add_argument("--spread", type=float, default=5.0, help="seconds over which calls begin")
    parser.add_argument("--pin", action="store_true", help="callers on the first processor, the agent on the second")
    options = parser.parse_args()
    quiet_log()
    for delay in options.delays.split(","):
        await measure(int(delay), options.callers, options.turns, options.spread, pin=options.pin)


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
