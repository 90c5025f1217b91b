"""Many timers, one ``next_timer``: a heap whose outdated entries are dropped when they come up."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import Protocol

from gateway.units import Nanos

__all__ = ["Sleeper", "Wakeups"]


class Sleeper(Protocol):
    """Whoever wants to be woken."""

    wake: Nanos | None
    """When, or ``None``."""

    def handle_timer(self, now: Nanos) -> None: ...


class Wakeups:
    """Call ``arm`` after each change of a sleeper's ``wake``: an entry counts while it equals the sleeper's wish."""

    __slots__ = ("_heap", "_order", "_stale_limit")

    def __init__(self) -> None:
        self._heap: list[tuple[Nanos, int, Sleeper]] = []
        self._order = 0
        self._stale_limit = 1024

    def __len__(self) -> int:
        return len(self._heap)

    def arm(self, sleeper: Sleeper) -> None:
        if sleeper.wake is None:
            return
        self._order += 1  # ties are broken by age, never by comparing sleepers
        heappush(self._heap, (sleeper.wake, self._order, sleeper))
        if len(self._heap) > self._stale_limit:
            self._sweep()

    def _sweep(self) -> None:
        """A finished transaction must not be kept alive by the heap until its old timer comes up."""
        latest: dict[int, tuple[Nanos, int, Sleeper]] = {}
        for entry in self._heap:
            if entry[0] == entry[2].wake:
                latest[id(entry[2])] = entry
        self._heap = list(latest.values())
        heapify(self._heap)
        self._stale_limit = max(1024, 2 * len(self._heap))

    def next(self) -> Nanos | None:
        heap = self._heap
        while heap and heap[0][0] != heap[0][2].wake:
            heappop(heap)
        return heap[0][0] if heap else None

    def due(self, now: Nanos) -> Iterator[Sleeper]:
        """Sleepers whose time has come. The caller runs ``handle_timer`` and arms again before it takes the next."""
        while (first := self.next()) is not None and first <= now:
            yield heappop(self._heap)[2]
