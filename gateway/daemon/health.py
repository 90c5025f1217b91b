"""Are the media threads alive? The watchdog asks before it speaks for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.media.costs import PlaneCosts
from gateway.units import MS, Nanos

__all__ = ["MediaHealth"]

_TICK: Final = 5 * MS
_SHORTEST: Final = 50 * _TICK


class MediaHealth:
    """Compares the ticks of all shards with the time that went by.

    A thread that is late makes its ticks up and counts them, so that a shortfall of half of one shard's share means
    that one of them has stopped. Load alone never looks like that.
    """

    def __init__(self, costs: Callable[[], PlaneCosts], shards: int, clock: Callable[[], int]) -> None:
        self._costs = costs
        self._shards = shards
        self._clock = clock
        self._since, self._ticks = Nanos(clock()), self._count()
        self._answer = True

    def __call__(self) -> bool:
        """True if every shard ticked since the last call (asked again at once, the answer stays what it was)."""
        now, ticks = Nanos(self._clock()), self._count()
        if now - self._since >= _SHORTEST:
            due = (now - self._since) / _TICK * self._shards
            self._answer = ticks - self._ticks > due * (1 - 0.5 / self._shards)
            self._since, self._ticks = now, ticks
        return self._answer

    def _count(self) -> int:
        costs = self._costs()
        return costs.ticks + costs.late_ticks
