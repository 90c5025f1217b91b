"""Axes: from a value to its place, as a share of the axis from 0 to 1, and the ticks that are written beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

__all__ = ["Axis", "LinearAxis", "LogAxis", "PercentileAxis", "Tick", "TimeAxis", "clock", "duration_axis", "plain_ms"]


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    """Share of the axis, 0 to 1."""
    label: str


class Axis(Protocol):
    def place(self, value: float) -> float:
        """Share of the axis, 0 to 1; what lies beyond an end is at the end."""

    def ticks(self) -> list[Tick]: ...


@dataclass(frozen=True, slots=True)
class LinearAxis:
    low: float
    high: float
    whole: bool = False
    """What is counted has no halves."""

    def place(self, value: float) -> float:
        return _within((value - self.low) / (self.high - self.low)) if self.high > self.low else 0.0

    def ticks(self) -> list[Tick]:
        """Four to eight round numbers."""
        if self.high <= self.low:
            return [Tick(0.0, _number(self.low))]
        step = max(_round_step((self.high - self.low) / 5), 1.0 if self.whole else 0.0)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [Tick(self.place(i * step), _number(i * step)) for i in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class LogAxis:
    """Values that lie orders of magnitude apart; both ends are greater than zero."""

    low: float
    high: float

    def place(self, value: float) -> float:
        if value <= self.low:
            return 0.0
        return _within(math.log(value / self.low) / math.log(self.high / self.low))

    def ticks(self) -> list[Tick]:
        """1, 2, 5 of each decade, or the decades alone where there are many."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        mantissas = (1, 2, 5) if len(decades) <= 5 else (1,)
        values = (mantissa * 10.0**decade for decade in decades for mantissa in mantissas)
        return [Tick(self.place(v), _number(v)) for v in values if self.low <= v <= self.high * (1 + 1e-9)]


_NINES: Final = ((0.0, "0"), (0.5, "50"), (0.9, "90"), (0.99, "99"), (0.999, "99.9"), (0.9999, "99.99"))


@dataclass(frozen=True, slots=True)
class TimeAxis(LinearAxis):
    """Seconds of a run, told as minutes and seconds where there are many."""

    def ticks(self) -> list[Tick]:
        if self.high <= _MINUTES:
            return [Tick(tick.at, f"{tick.label} s") for tick in LinearAxis.ticks(self)]
        step = next((step for step in _TIME_STEPS if self.high / step <= 8), _TIME_STEPS[-1])
        return [Tick(self.place(at), clock(at)) for at in range(0, int(self.high) + 1, step)]


_MINUTES: Final = 120
_TIME_STEPS: Final = (15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400)


@dataclass(frozen=True, slots=True)
class PercentileAxis:
    """The axis of HdrHistogram's plots: each nine takes the same room, so the tail is as wide as it is important."""

    last: float
    """The highest share (0 to 1) that the sample can tell of."""

    def place(self, value: float) -> float:
        reach = -math.log10(1 - self.last)
        return _within(-math.log10(max(1 - value, 1e-12)) / reach)

    def ticks(self) -> list[Tick]:
        return [Tick(self.place(share), f"p{label}") for share, label in _NINES if share <= self.last]


def duration_axis(values: Sequence[float], *, also: float = 0.0) -> LinearAxis | LogAxis:
    """Milliseconds, from zero; logarithmic where the slowest would leave the others no room. ``also`` is a value that
    must lie on the axis (an objective)."""
    if not values:
        return LinearAxis(0, max(also * 1.1, 1.0))
    ordered = sorted(values)
    median, high = ordered[len(ordered) // 2], max(ordered[-1], also)
    if median > 0 and high > 12 * median:
        return LogAxis(max(1.0, min(ordered[len(ordered) // 100], median) / 2), high * 1.1)
    return LinearAxis(min(0.0, ordered[0]), high * 1.05 or 1.0)


def clock(seconds: float) -> str:
    """Seconds of a run as minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def plain_ms(value: float | None) -> str:
    """Milliseconds for people: three digits are enough to read, and a missing one is a dash."""
    if value is None:
        return "–"
    if abs(value) < 9.95:
        return f"{value:.1f}"
    return f"{value:,.0f}".replace(",", " ")  # a thin space


def _round_step(rough: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough * (1 - 1e-9))


def _number(value: float) -> str:
    rounded = round(value, 6) + 0.0
    return f"{rounded:,.0f}".replace(",", " ") if rounded == round(rounded) else f"{rounded:g}"


def _within(share: float) -> float:
    return min(1.0, max(0.0, share))
