"""How long a provider takes, from its own recent answers: the percentiles that limits and hedging are made of."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from typing import Final

from gateway.units import SECOND, Nanos

__all__ = ["ENOUGH", "Latencies"]

ENOUGH: Final = 20
"""Answers below which a percentile is a guess."""


class Latencies:
    """A sliding window of spans, ``size`` of them and none older than ``age``."""

    __slots__ = ("_age", "_recent", "_size", "_sorted")

    def __init__(self, size: int = 200, age: int = 300 * SECOND) -> None:
        self._size = size
        self._age = age
        self._recent: deque[tuple[Nanos, int]] = deque()
        self._sorted: list[int] = []

    def add(self, span: int, now: Nanos) -> None:
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
