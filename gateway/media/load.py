"""Is a media thread so busy that calls would suffer? Measured by the thread itself, and judged here, without I/O.

A shard is full when its thread was busy for more than ``busy`` of two periods in a row, or more than ``late`` of its
ticks began after the next one was due (5 ms). It takes calls again when both have been well below for three: calls that
have just ended must not let in as many new ones at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.media.costs import PlaneCosts
from gateway.media.options import AdmissionOptions
from gateway.units import SECOND, Nanos

__all__ = ["LoadGauge", "ShardLoad"]

_HOT_PERIODS: Final = 2
"""A single stall of the machine is no load."""
_CALM_PERIODS: Final = 3
_WELL_BELOW: Final = 0.8


@dataclass(frozen=True, slots=True)
class ShardLoad:
    """One media thread over the last period."""

    busy: float = 0.0
    """Share of the time between wake-ups and the ends of their ticks."""
    late: float = 0.0
    """Share of the ticks that were missed, because the one before took too long or the thread did not run."""
    lateness_p99_ms: float = 0.0
    """Of the beginnings of ticks: the step (125 us and its doubles) that 99% stayed below."""
    full: bool = False


class _Shard:
    def __init__(self) -> None:
        self.before = PlaneCosts()
        self.load = ShardLoad()
        self.hot = 0
        self.calm = 0
        self.why = ""


class LoadGauge:
    """Fed with each shard's costs once a period."""

    def __init__(self, options: AdmissionOptions, shards: int, now: Nanos) -> None:
        self._options = options
        self._shards = [_Shard() for _ in range(shards)]
        self._since = now

    @property
    def loads(self) -> tuple[ShardLoad, ...]:
        return tuple(shard.load for shard in self._shards)

    def observe(self, costs: Sequence[PlaneCosts], now: Nanos) -> list[tuple[int, ShardLoad]]:
        """The shards that have become full, or take calls again, with their numbers."""
        span, self._since = (now - self._since) / SECOND, now
        changed = []
        for number, (shard, cost) in enumerate(zip(self._shards, costs, strict=True)):
            was = shard.load.full
            self._judge(shard, cost.since(shard.before), span)
            shard.before = cost
            if shard.load.full != was:
                changed.append((number, shard.load))
        return changed

    def overload(self) -> str | None:
        """Why no call should be taken: every shard is full. The rule for logs and the far end."""
        if all(shard.load.full for shard in self._shards):
            return f"media threads are full: {self._shards[0].why}"
        return None

    def _judge(self, shard: _Shard, cost: PlaneCosts, span: float) -> None:
        options = self._options
        ticks = cost.ticks + cost.late_ticks
        busy = min(1.0, cost.busy_s / span) if span > 0 else 0.0
        late = cost.late_ticks / ticks if ticks else 1.0  # no tick in a whole period: the thread does not run
        worst = max(busy / options.busy, late / options.late)
        shard.hot = shard.hot + 1 if worst > 1.0 else 0
        shard.calm = shard.calm + 1 if worst < _WELL_BELOW else 0
        if shard.hot:
            shard.why = f"busy {busy:.0%}, ticks late {late:.1%}"
        full = shard.hot >= _HOT_PERIODS or (shard.load.full and shard.calm < _CALM_PERIODS)
        shard.load = ShardLoad(round(busy, 4), round(late, 4), cost.lateness_ms(0.99), full)
