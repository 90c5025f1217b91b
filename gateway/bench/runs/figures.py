"""Measurements to the figures of a run: full histograms, percentiles out of them, and how sure p99 is.

Negative values (an answer that began before the caller had finished) are no waiting time and must be left out before.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from hdrh.codec import HdrCookieException, HdrLengthException
from hdrh.histogram import HdrHistogram

from gateway.bench.runs.run_file import Figure
from gateway.errors import ConfigError

__all__ = ["PERCENTILES", "figure", "figure_of_steps", "p99_interval", "percentile"]

PERCENTILES: Final = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p999": 99.9, "max": 100.0}
_LARGEST_US: Final = 3_600_000_000
"""An hour."""
_DIGITS: Final = 3
"""Significant: a value of 800 ms is right to 1 ms, one of 80 to 0.1."""
_TAIL: Final = 0.025
"""On each side of an interval of 95%."""


def figure(values_ms: Iterable[float]) -> Figure | None:
    """The distribution of what was measured; None if nothing was."""
    ordered = sorted(values_ms)
    histogram = _empty()
    for value in ordered:
        histogram.record_value(_microseconds(value))
    return _read(histogram, p99_interval(ordered))


def figure_of_steps(steps_ms: Mapping[float, int]) -> Figure | None:
    """The same from counts that were made elsewhere: upper end of each step to how often."""
    histogram = _empty()
    for value, count in steps_ms.items():
        if count:
            histogram.record_value(_microseconds(value), count)
    return _read(histogram, None)


def percentile(one: Figure, share: float) -> float:
    """Any percentile (0 to 100) in milliseconds, from the histogram. Raises ``ConfigError`` for one that is broken."""
    try:
        histogram = HdrHistogram.decode(one.histogram)
    except (ValueError, zlib.error, HdrCookieException, HdrLengthException) as error:
        raise ConfigError([f"a histogram of the file cannot be read: {error}"]) from error
    return _milliseconds(histogram.get_value_at_percentile(share))


def p99_interval(ordered: Sequence[float], share: float = 0.99) -> tuple[float, float | None] | None:
    """95% confidence interval of a percentile by order statistics, which assumes nothing about the distribution.

    The number of values below the true percentile is binomial, so ranks follow from its tails alone. The upper end is
    None where even the largest value may lie below the percentile: below 368 values for p99.
    """
    count = len(ordered)
    if count < 2:
        return None
    above = _quantile(count, 1 - share, 1 - _TAIL)
    """At most that many values lie above the percentile, with 97.5% certainty."""
    lowest = max(0, count - 1 - above)
    fewest = _quantile(count, 1 - share, _TAIL)
    highest = None if fewest < 1 else ordered[count - fewest]
    return round(ordered[lowest], 3), None if highest is None else round(highest, 3)


def _quantile(count: int, chance: float, share: float) -> int:
    """The least k with P(X <= k) >= ``share`` of a binomial X."""
    total, k = 0.0, 0
    log_chance, log_rest = math.log(chance), math.log1p(-chance)
    while True:
        ways = math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        total += math.exp(ways + k * log_chance + (count - k) * log_rest)
        if total >= share or k == count:
            return k
        k += 1


def _empty() -> HdrHistogram:
    return HdrHistogram(1, _LARGEST_US, _DIGITS)


def _read(histogram: HdrHistogram, interval: tuple[float, float | None] | None) -> Figure | None:
    count = histogram.get_total_count()
    if not count:
        return None
    at = {name: _milliseconds(histogram.get_value_at_percentile(share)) for name, share in PERCENTILES.items()}
    return Figure(count=count, **at, p99_ci=interval, histogram=histogram.encode().decode())


def _microseconds(value_ms: float) -> int:
    return min(_LARGEST_US, max(0, round(value_ms * 1000)))


def _milliseconds(value_us: int) -> float:
    return value_us / 1000
