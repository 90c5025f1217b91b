"""How long a provider takes, from its own recent answers: the percentiles that limits and hedging are made of."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from typing import Final

from gateway.units import MS, SECOND, Nanos

__all__ = ["BOUNDS", "ENOUGH", "Latencies"]

ENOUGH: Final = 20
"""Answers below which a percentile is a guess."""


BOUNDS: Final = tuple(
    Nanos(ms * MS) for ms in (20, 50, 75, 100, 150, 200, 250, 300, 400, 500, 750, 1000, 1500, 2000, 3000, 5000, 10_000)
)
"""Ends of the steps that are counted for good; from a model next door to one that callers hang up on."""


class Latencies:
    """A sliding window of spans, ``size`` of them and none older than ``age``. ``counts`` and ``total`` are of all that
    there ever were: one count for each of ``BOUNDS``, and one for what is longer."""

    __slots__ = ("_age", "_recent", "_size", "_sorted", "counts", "total")

    def __init__(self, size: int = 200, age: int = 300 * SECOND) -> None:
        self._size = size
        self._age = age
        self._recent: deque[tuple[Nanos, int]] = deque()
        self._sorted: list[int] = []
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0

    def add(self, span: int, now: Nanos) -> None:
        self.counts[bisect_left(BOUNDS, span)] += 1
        self.total += span
        self._recent.append((now, span))
        insort(self._sorted, span)
        while len(self._recent) > self._size or now - self._recent[0][0] > self._age:
            _, old = self._recent.popleft()
            del self._sorted[bisect_left(self._sorted, old)]

    def percentile(self, share: float) -> Nanos | None:
        """The nearest-rank percentile, None while there are too few answers to tell."""
        count = len(self._sorted)
        if count < ENOUGH:
            return None
        return Nanos(self._sorted[min(count - 1, int(share * count))])

    def limit(self, fastest: Nanos, longest: Nanos) -> Nanos:
        """How long to wait: twice the 99th percentile, within bounds."""
        usual = self.percentile(0.99)
        return longest if usual is None else Nanos(max(fastest, min(longest, 2 * usual)))
