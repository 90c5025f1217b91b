"""How loud speech is: the active speech level of ITU-T P.56, method B. Pauses do not count.

The envelope is the rectified signal through two exponential averages of 30 ms. For each threshold the time is counted
during which the envelope was above it, or had been 200 ms before; the threshold is found at which the level over that
time lies 15.9 dB above the threshold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

__all__ = ["active_level", "scaled"]

_FULL_SCALE: Final = 32768
_TIME_S: Final = 0.03
_HANGOVER_S: Final = 0.2
_MARGIN_DB: Final = 15.9
_THRESHOLDS: Final = 15
_TOLERANCE_DB: Final = 0.1


def active_level(samples: Sequence[int], rate: int) -> float | None:
    """dBFS (0 is the power of a full-scale square wave); None of silence."""
    squares = float(sum(x * x for x in samples))
    active = _activity(samples, rate)
    levels = [(_db(squares / count), 20 * math.log10(2**j / _FULL_SCALE)) for j, count in enumerate(active) if count]
    if not levels or squares == 0:
        return None
    before: tuple[float, float] | None = None
    for level, threshold in levels:
        if level - threshold <= _MARGIN_DB:
            return level if before is None else _between(before, (level, threshold))
        before = (level, threshold)
    return levels[-1][0]


def _activity(samples: Sequence[int], rate: int) -> list[int]:
    """Samples for which the envelope counts as above each power of two."""
    g, hangover = math.exp(-1 / (rate * _TIME_S)), math.ceil(rate * _HANGOVER_S)
    active, left = [0] * _THRESHOLDS, [0] * _THRESHOLDS
    p = q = 0.0
    highest = 0
    for x in samples:
        p = g * p + (1 - g) * abs(x)
        q = g * q + (1 - g) * p
        over = min(_THRESHOLDS, int(q).bit_length())
        highest = max(highest, over)
        for j in range(over):
            left[j] = hangover
            active[j] += 1
        for j in range(over, highest):
            if left[j]:
                left[j] -= 1
                active[j] += 1
    return active


def _db(mean_square: float) -> float:
    return 10 * math.log10(mean_square / _FULL_SCALE**2) if mean_square else -math.inf


def _between(above: tuple[float, float], below: tuple[float, float]) -> float:
    """By halves, as P.56 does it, on the straight line between two thresholds."""
    low, high = above, below
    while True:
        level, threshold = (low[0] + high[0]) / 2, (low[1] + high[1]) / 2
        off = level - threshold - _MARGIN_DB
        if abs(off) < _TOLERANCE_DB:
            return level
        low, high = ((level, threshold), high) if off > 0 else (low, (level, threshold))


def scaled(samples: Sequence[int], gain: float) -> list[int]:
    """Clipped where it does not fit."""
    return [max(-_FULL_SCALE, min(_FULL_SCALE - 1, round(x * gain))) for x in samples]
