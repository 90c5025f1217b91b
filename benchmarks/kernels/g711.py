"""What G.711 costs per 20 ms frame, in nanoseconds of CPU: 500 frames a call, so that Python's share is nothing.

python benchmarks/kernels/g711.py
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from codecs_ext.g711 import alaw_to_linear, linear_to_alaw, linear_to_ulaw, ulaw_to_linear

FRAMES, ROUNDS = 500, 200


def cost(call: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.thread_time_ns()
        call()
        best = min(best, time.thread_time_ns() - start)
    return best / FRAMES


def main() -> None:
    pcm = random.Random(1).randbytes(2 * 160 * FRAMES)
    mu, a = linear_to_ulaw(pcm), linear_to_alaw(pcm)
    for name, call in (
        ("mu-law decode", lambda: ulaw_to_linear(mu)),
        ("mu-law encode", lambda: linear_to_ulaw(pcm)),
        ("A-law decode", lambda: alaw_to_linear(a)),
        ("A-law encode", lambda: linear_to_alaw(pcm)),
    ):
        print(f"{name:16}{cost(call):6.0f} ns")


if __name__ == "__main__":
    main()
