"""Percentiles, how sure they are, and how much two samples differ.

Turns of one call resemble each other (one caller, one moment, one path), so a sample of turns is not as many
independent values as it has turns. Whatever is resampled here is resampled by call (a cluster bootstrap): the calls are
drawn, and each brings all of its turns. Of a resample only the weights are made; the values stay sorted, so a
percentile of it is one search in the running sum of the weights.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from statistics import NormalDist
from typing import Final

__all__ = [
    "RESAMPLES", "Interval", "Sample", "effect_word", "interval", "percentile", "rank_interval", "share_difference",
    "share_interval", "superiority",
]  # fmt: skip

_NORMAL: Final = NormalDist()
RESAMPLES: Final = 2000
"""Two percentiles of the resamples are the ends of an interval: of 2000, the rarest that a gate of 15 tests asks for is
still the seventh from the end."""


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    high: float


def percentile(ordered: Sequence[float], percent: float) -> float:
    """By nearest rank: a value that was measured. ``ordered`` is sorted and not empty."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100 - 1e-9) - 1)]


def rank_interval(ordered: Sequence[float], percent: float) -> Interval:
    """95% interval of a percentile from the binomial spread of its rank: what a chart's band is drawn with."""
    count, share = len(ordered), percent / 100
    spread = 1.96 * math.sqrt(count * share * (1 - share))
    low, high = math.floor(count * share - spread) - 1, math.ceil(count * share + spread) - 1
    return Interval(ordered[max(0, low)], ordered[min(count - 1, max(0, high))])


class Sample:
    """Values of one figure in one run, each with the call that it belongs to."""

    def __init__(self, values: Iterable[tuple[Hashable, float]]) -> None:
        pairs = sorted(values, key=itemgetter(1))
        self.ordered: list[float] = [value for _, value in pairs]
        numbers: dict[Hashable, int] = {}
        self._owner = [numbers.setdefault(call, len(numbers)) for call, _ in pairs]
        self.calls = len(numbers)

    def __len__(self) -> int:
        return len(self.ordered)

    def percentile(self, percent: float) -> float:
        return percentile(self.ordered, percent)

    def resampled(self, percents: Sequence[float], seed: int, times: int = RESAMPLES) -> list[list[float]]:
        """For each of ``percents`` its value in every resample."""
        import numpy as np

        source = np.random.default_rng(seed)
        ordered, owners = np.array(self.ordered), np.array(self._owner)
        shares = np.array(percents) / 100
        chances = np.full(self.calls, 1 / self.calls)
        found = np.empty((times, len(percents)))
        for i in range(times):
            reached = np.cumsum(source.multinomial(self.calls, chances)[owners])
            ranks = np.maximum(1, np.ceil(reached[-1] * shares - 1e-9))
            found[i] = ordered[np.searchsorted(reached, ranks)]
        return [[float(value) for value in column] for column in found.T]


def interval(values: Iterable[float], confidence: float) -> Interval:
    """The middle ``confidence`` (0 to 1) of what a bootstrap found."""
    ordered = sorted(values)
    tail = (1 - confidence) / 2
    last = len(ordered) - 1
    return Interval(ordered[math.floor(tail * last)], ordered[math.ceil((1 - tail) * last)])


def superiority(before: Sequence[float], after: Sequence[float]) -> float:
    """The probability that a value of ``after`` is larger than one of ``before``, a tie counting as half: 0.5 means
    that a coin says as much (Mann-Whitney's U over all pairs). Both are sorted and not empty."""
    larger = sum(bisect_left(before, value) + bisect_right(before, value) for value in after)
    return larger / (2 * len(before) * len(after))


def effect_word(probability: float) -> str:
    """Cliff's delta (2p - 1) in words, by the thresholds of Romano et al. (2006)."""
    delta = abs(2 * probability - 1)
    return next((word for limit, word in _EFFECTS if delta < limit), "large")


_EFFECTS: Final = ((0.147, "negligible"), (0.33, "small"), (0.474, "medium"))


def share_interval(hits: int, count: int, confidence: float) -> Interval:
    """Of a share, by Wilson's score: it holds for none and for all, and for few."""
    z = _NORMAL.inv_cdf(1 - (1 - confidence) / 2)
    share, square = hits / count, z * z / count
    middle = (share + square / 2) / (1 + square)
    spread = z / (1 + square) * math.sqrt(share * (1 - share) / count + square / (4 * count))
    return Interval(max(0.0, middle - spread), min(1.0, middle + spread))


def share_difference(before: tuple[int, int], after: tuple[int, int], confidence: float) -> Interval:
    """Of two shares (hits, count), after less before: Newcombe's interval, made of two of Wilson's."""
    (one, two), (p_one, p_two) = (
        [share_interval(*pair, confidence) for pair in (before, after)],
        [hits / count for hits, count in (before, after)],
    )
    low = math.hypot(p_two - two.low, one.high - p_one)
    high = math.hypot(two.high - p_two, p_one - one.low)
    return Interval(p_two - p_one - low, p_two - p_one + high)
