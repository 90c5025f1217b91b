"""How late packets come, one after the other: shapes that ship, and traces that were recorded.

Each is the delay beyond the shortest way of one packet of 20 ms after the other, as int32 of microseconds. What ships
is drawn from a seed of its own, in the shapes that ``benchmarks/jitter_buffers.py`` describes.
"""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

from gateway.errors import ConfigError

__all__ = ["longest", "named", "recorded"]

_PACKETS: Final = 6000
"""Two minutes, then over again."""
_SEED: Final = 7
_MOST_MS: Final = 2000.0


def _wifi(source: random.Random) -> Iterator[float]:
    """The air is taken for 30 to 80 ms every second or so, and everything comes at once then."""
    free_at = 0.0
    for number in range(_PACKETS):
        if source.random() < 0.02:
            free_at = number * 20 + source.uniform(30, 80)
        yield max(free_at - number * 20, 0) + source.expovariate(1 / 3)


def _spikes(source: random.Random) -> Iterator[float]:
    """A quiet line that stops for 150 to 250 ms every ten seconds."""
    until = 0.0
    for number in range(_PACKETS):
        if number % 500 == 400:
            until = number * 20 + source.uniform(150, 250)
        yield max(until - number * 20, 0) + source.uniform(0, 3)


def _mobile(source: random.Random) -> Iterator[float]:
    """Slow waves of load, and a long tail."""
    for number in range(_PACKETS):
        wave = 15 * (1 + math.sin(number / 150)) + 10 * (1 + math.sin(number / 37))
        yield wave * source.uniform(0.6, 1.2) + (source.uniform(40, 120) if source.random() < 0.01 else 0)


_SHAPES: Final[dict[str, Callable[[random.Random], Iterator[float]]]] = {
    "wifi": _wifi,
    "spikes": _spikes,
    "mobile": _mobile,
}


@cache
def named(name: str) -> bytes:
    """A trace that ships."""
    return array("i", [round(ms * 1000) for ms in _SHAPES[name](random.Random(_SEED))]).tobytes()


@cache
def recorded(file: Path) -> bytes:
    """A number of milliseconds a line; empty lines and what follows ``#`` do not count. Raises ``ConfigError``."""
    try:
        lines = [line.partition("#")[0].strip() for line in file.read_text().splitlines()]
        delays = [float(line) for line in lines if line]
    except (OSError, ValueError) as error:
        raise ConfigError([f"{file}: this is no trace of delays: {error}"]) from error
    if not delays or not all(0 <= ms <= _MOST_MS for ms in delays):
        raise ConfigError([f"{file}: a trace has delays of 0 to {_MOST_MS:g} ms, one a line"])
    return array("i", [round(ms * 1000) for ms in delays]).tobytes()


def longest(trace: bytes) -> int:
    """Its longest delay, in nanoseconds."""
    return max(array("i", trace), default=0) * 1000
