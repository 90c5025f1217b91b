"""The table of the media plane's figures, with the ratio to the baseline: ``make bench``.

    python benchmarks/run.py                    every row but the two with the most calls
    python benchmarks/run.py --heavy            those too
    python benchmarks/run.py --only kernels     rows whose name contains it
    python benchmarks/run.py --save             what was measured becomes benchmarks/baseline.json

Costs are processor time, not wall time. A row of calls is measured ``--rounds`` times and its median shown, with the
load of the machine beside the table, since what others do to the caches shows in processor time, too. A kernel is the
best of seven rounds of 2000 calls, and what ten frames cost more than one, divided by nine: without the Python call.
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
from pathlib import Path
from typing import Any

import load
from common import machine
from kernels import media

from codecs_ext.codec import Coder
from codecs_ext.g711 import linear_to_ulaw, ulaw_to_linear
from codecs_ext.g722 import G722
from codecs_ext.resample import Resample
from codecs_ext.srtp import KEY_BYTES
from gateway.bench.host import quiet_log
from gateway.media.srtp import load_srtp

BASELINE = Path(__file__).with_name("baseline.json")
SUITE = "AES_CM_128_HMAC_SHA1_80"
SECONDS = 8.0


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
    return figures


class Turn:
    """Rows that come from the same calls share them within a round."""

    number = 0


def per_call(kind: str, count: int) -> Callable[[], float]:
    return lambda: 100 * float(calls(kind, count, Turn.number)["cpu_per_call"])


def figure(kind: str, count: int, pick: Callable[[dict[str, Any]], float]) -> Callable[[], float]:
    return lambda: pick(calls(kind, count, Turn.number))


def flatness() -> float:
    """Cost per call of many over that of a few hundred: 5 calls are dominated by the ticks of an idle daemon."""
    return per_call("echo", 400)() / per_call("echo", 100)()


def kernel(call: Callable[[], object]) -> Callable[[], float]:
    return lambda: 1000 * max(0.0, media.cost(call) - media.cost(lambda: None))


def loop(call: Callable[[bytes], object], frame: bytes, frames: int = 10) -> Callable[[], float]:
    """Nanoseconds of a frame in the loop itself."""
    many = frame * frames
    return lambda: 1000 * (media.cost(lambda: call(many)) - media.cost(lambda: call(frame))) / (frames - 1)


def rows() -> list[Row]:
    ulaw, coder = linear_to_ulaw(media.PCM[8000]), Coder(G722)
    wide, up = coder.encode(media.PCM[16000]), Resample(8000, 16000)
    load_srtp()

    def share(figures: dict[str, Any]) -> float:
        return 100 * max(0.0, 1 - figures["received"] / figures["sent"])

    def p99(figures: dict[str, Any]) -> float:
        return float(figures["delay_ms"][1])

    return [
        Row("echo call, no WebSocket, 400 at once", "% core", 0.045, per_call("echo", 400)),
        Row("call with its own WebSocket, 200 at once", "% core", 0.10, per_call("own", 200)),
        Row("call multiplexed with others, 400 at once", "% core", 0.05, per_call("multiplexed", 400)),
        Row("memory of an echo call", "KiB", 100, figure("echo", 400, lambda one: one["memory_kib_per_call"])),
        Row("cost per call, 400 over 100 calls", "ratio", 1.15, flatness),
        Row("800 own: packets not come back", "%", 0.0, figure("own", 800, share), heavy=True),
        Row("800 own: there and back p99", "ms", 12, figure("own", 800, p99), heavy=True),
        Row("1500 multiplexed: not come back", "%", 0.0, figure("multiplexed", 1500, share), heavy=True),
        Row("1500 multiplexed: there and back p99", "ms", 12, figure("multiplexed", 1500, p99), heavy=True),
        Row("kernels: G.711 decode, 20 ms", "ns", 50, loop(ulaw_to_linear, ulaw), rounds=False),
        Row("kernels: G.711 encode, 20 ms", "ns", 50, loop(linear_to_ulaw, media.PCM[8000]), rounds=False),
        Row("kernels: 8 to 16 kHz, 20 ms", "ns", 500, loop(up.process, media.PCM[8000]), rounds=False),
        Row("kernels: G.722 encode, 20 ms", "ns", 8000, loop(coder.encode, media.PCM[16000], 3), rounds=False),
        Row("kernels: G.722 decode, 20 ms", "ns", 5000, loop(coder.decode, wide, 3), rounds=False),
        Row(f"kernels: SRTP seal {SUITE}", "ns", 1000, kernel(media.sealed(SUITE)), rounds=False),
        Row(f"kernels: SRTP open {SUITE}", "ns", 1000, kernel(media.opened(SUITE)), rounds=False),
        *(Row(f"kernels: SRTP seal {suite}", "ns", 1000, kernel(media.sealed(suite)), rounds=False)
          for suite in KEY_BYTES if suite.startswith("AEAD")),
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
        verdict = "met" if value <= row.goal else "missed"
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
