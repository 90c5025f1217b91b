"""The table of the media plane's figures, with the ratio to the baseline: ``make bench``.

    python benchmarks/run.py                    every row but the two with the most calls
    python benchmarks/run.py --heavy            those too
    python benchmarks/run.py --only kernels     rows whose name contains it
    python benchmarks/run.py --save             what was measured becomes benchmarks/baseline.json

Costs are processor time, not wall time. A row of calls is measured ``--rounds`` times and its median shown, with the
load of the machine beside the table, since what others do to the caches shows in processor time, too. A kernel is the
best of some rounds, without what the Python call costs (kernels/media.py).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import inf
from pathlib import Path
from typing import Any

import load
from common import machine
from kernels import media

from codecs_ext.codec import Coder
from codecs_ext.g711 import alaw_to_linear, linear_to_alaw, linear_to_ulaw, ulaw_to_linear
from codecs_ext.g722 import G722
from codecs_ext.resample import Resample
from codecs_ext.srtp import KEY_BYTES
from gateway.bench.callers.host import quiet_log
from gateway.media.srtp import load_srtp

BASELINE = Path(__file__).with_name("baseline.json")
SECONDS = 8.0
IN_TIME_MS, STARVED_MS = 3.0, 100.0


@dataclass(frozen=True)
class Row:
    """One figure; less is better."""

    name: str
    unit: str
    goal: float
    measure: Callable[[], float]
    rounds: bool = True
    heavy: bool = False


@cache
def calls(kind: str, count: int, turn: int) -> dict[str, Any]:
    figures = asyncio.run(load.measure(kind, count, SECONDS))
    print(load.told(figures), file=sys.stderr)
    if figures["own_lateness_ms"][1] > STARVED_MS:
        raise RuntimeError(f"the generator was {figures['own_lateness_ms'][1]} ms late itself: the machine is too busy")
    return figures


def timed(kind: str, count: int, pick: Callable[[dict[str, Any]], float]) -> Callable[[], float]:
    """A figure of milliseconds: it is one only if the generator was in time."""

    def measure() -> float:
        figures = calls(kind, count, Turn.number)
        if figures["own_lateness_ms"][1] > IN_TIME_MS:
            raise RuntimeError(f"the generator was {figures['own_lateness_ms'][1]} ms late itself: no figure of time")
        return pick(figures)

    return measure


class Turn:
    """Rows that come from the same calls share them within a round."""

    number = 0


def per_call(kind: str, count: int) -> Callable[[], float]:
    return lambda: 100 * float(calls(kind, count, Turn.number)["cpu_per_call"])


def figure(kind: str, count: int, pick: Callable[[dict[str, Any]], float]) -> Callable[[], float]:
    return lambda: pick(calls(kind, count, Turn.number))


FLAT = (5, 100, 400, 800)


def flatness() -> float:
    """The dearest over the cheapest call, of 5 to 800 at once, without what the daemon costs when there is none."""
    return max(beyond_idle(count) for count in FLAT) / min(beyond_idle(count) for count in FLAT)


def beyond_idle(count: int) -> float:
    figures = calls("echo", count, Turn.number)
    return float(figures["cpu_per_call"] - figures["idle"] / count)


def nanoseconds(call: Callable[..., float], *arguments: Any) -> Callable[[], float]:
    return lambda: 1000 * call(*arguments)


def kernels() -> list[tuple[Any, ...]]:
    """Name, goal in nanoseconds, and how it is measured."""
    narrow, wide, coder = media.PCM[8000], media.PCM[16000], Coder(G722)
    load_srtp()
    return [
        ("G.711 mu-law decode", 50, media.inside, ulaw_to_linear, linear_to_ulaw(narrow)),
        ("G.711 mu-law encode", 50, media.inside, linear_to_ulaw, narrow),
        ("G.711 A-law decode", 50, media.inside, alaw_to_linear, linear_to_alaw(narrow)),
        ("G.711 A-law encode", 50, media.inside, linear_to_alaw, narrow),
        ("8 to 16 kHz", 500, media.inside, Resample(8000, 16000).process, narrow),
        ("16 to 8 kHz", 500, media.inside, Resample(16000, 8000).process, wide),
        ("G.722 encode", 8000, media.inside, coder.encode, wide, 3),
        ("G.722 decode", 5000, media.inside, coder.decode, coder.encode(wide), 3),
        *((f"SRTP seal {suite}", 1000, media.srtp_cost, media.sealed(suite)) for suite in KEY_BYTES),
        *((f"SRTP open {suite}", 1000, media.srtp_cost, media.opened(suite)) for suite in KEY_BYTES),
    ]


def rows() -> list[Row]:
    def share(figures: dict[str, Any]) -> float:
        return 100 * max(0.0, 1 - figures["received"] / figures["sent"])

    def p99(figures: dict[str, Any]) -> float:
        return float(figures["delay_ms"][1])

    def late(figures: dict[str, Any]) -> float:
        return float(figures["late_ms"][1])

    def memory(figures: dict[str, Any]) -> float:
        return float(figures["memory_kib_per_call"])

    return [
        Row("echo call, no WebSocket, 400 at once", "% core", 0.045, per_call("echo", 400)),
        Row("call with its own WebSocket, 200 at once", "% core", 0.10, per_call("own", 200)),
        Row("the same over TLS, 200 at once", "% core", 0.20, per_call("wss", 200)),
        Row("call multiplexed with others, 400 at once", "% core", 0.05, per_call("multiplexed", 400)),
        Row("the kernel alone, 400 calls", "% core", inf, lambda: 100 * asyncio.run(load.floor(400, 4.0))),
        Row("echo call over SRTP, 400 at once", "% core", inf, per_call("srtp", 400)),
        Row("memory of an echo call", "KiB", 97.7, figure("echo", 400, memory)),
        Row("memory of a call with its own WebSocket", "KiB", 97.7, figure("own", 200, memory)),
        Row("400 multiplexed: there and back p99", "ms", 12, timed("multiplexed", 400, p99)),
        Row("400 multiplexed: sent late p99", "ms", 1, timed("multiplexed", 400, late)),
        Row("cost per call, 5 to 800 calls", "ratio", 1.15, flatness, heavy=True),
        Row("800 own: packets not come back", "%", 0.0, figure("own", 800, share), heavy=True),
        Row("800 own: there and back p99", "ms", 12, timed("own", 800, p99), heavy=True),
        Row("800 own: sent late p99", "ms", 1, timed("own", 800, late), heavy=True),
        Row("1500 multiplexed: not come back", "%", 0.0, figure("multiplexed", 1500, share), heavy=True),
        Row("1500 multiplexed: there and back p99", "ms", 12, timed("multiplexed", 1500, p99), heavy=True),
        Row("1500 multiplexed: sent late p99", "ms", 1, timed("multiplexed", 1500, late), heavy=True),
        Row("kernels: DTLS-SRTP handshake, our end", "ns", inf, nanoseconds(media.handshake), rounds=False),
        *(Row(f"kernels: {name}", "ns", goal, nanoseconds(*work), rounds=False) for name, goal, *work in kernels()),
    ]  # fmt: skip


def measured(chosen: list[Row], rounds: int) -> dict[str, float]:
    values: dict[str, list[float]] = {row.name: [] for row in chosen}
    for number in range(rounds):
        Turn.number = number
        for row in chosen:
            if number == 0 or (row.rounds and not row.heavy):
                try:
                    values[row.name].append(row.measure())
                except RuntimeError as error:  # calls were refused: the row has no figure, the others have theirs
                    print(f"{row.name}: {str(error).splitlines()[0]}", file=sys.stderr)
                    values[row.name].append(float("nan"))
    return {name: statistics.median(seen) for name, seen in values.items()}


def show(chosen: list[Row], now: dict[str, float], before: dict[str, float]) -> None:
    print(f"\n{'what':<44} {'measured':>10} {'goal':>8}  {'':<7} {'baseline':>10} {'ratio':>6}")
    for row in chosen:
        value, old = now[row.name], before.get(row.name)
        verdict = "" if row.goal == inf else "met" if value <= row.goal else "missed"
        ratio = f"{value / old:6.2f}" if old else "     -"
        base = "-" if old is None else f"{old:.3f}"
        print(f"{row.name:<44} {value:10.3f} {row.goal:8g}  {verdict:<7} {base:>10} {ratio}  {row.unit}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--heavy", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    quiet_log()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))  # 800 calls with a connection each are 2400 descriptors
    chosen = [row for row in rows() if options.only in row.name and (options.heavy or not row.heavy)]
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {"machine": "", "figures": {}}
    now = measured(chosen, options.rounds)
    print(f"{machine()}, load {os.getloadavg()[0]:.1f}; baseline: {baseline['machine'] or 'none'}")
    show(chosen, now, baseline["figures"])
    if options.save:
        figures = {**baseline["figures"], **{name: round(value, 4) for name, value in now.items() if value == value}}
        saved = {"machine": f"{machine()}, load {os.getloadavg()[0]:.1f}", "figures": figures}
        BASELINE.write_text(json.dumps(saved, indent=2) + "\n")


if __name__ == "__main__":
    main()
