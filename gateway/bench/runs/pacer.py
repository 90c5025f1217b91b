"""Starts every call of a schedule at its moment, and never waits for an answer to do so.

A call whose line is still talking begins as soon as the one before is over; if the next one of the line is due by then,
it is left out instead. Either is told, so that a slow agent cannot hide behind calls that were never placed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from gateway.bench.runs.schedule import Due
from gateway.units import SECOND, Nanos

__all__ = ["Pacer", "Place"]

Place = Callable[[Due, Nanos], Awaitable[None]]
"""Places one call, until it is over. The time is that from which on nothing held it back but the generator."""


class Pacer:
    """``run`` schedules one after the other, on one clock that begins at ``origin``."""

    def __init__(
        self,
        place: Place,
        left_out: Callable[[Due], None],
        *,
        origin: Nanos,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._place = place
        self._left_out = left_out
        self._origin = origin
        self._clock = clock
        self._talking: dict[int, asyncio.Task[None]] = {}
        self._waiting: dict[int, Due] = {}

    async def run(self, dues: Sequence[Due]) -> None:
        """Returns when every call of the schedule is over. Cancelled, it cancels them and waits until they are."""
        async with asyncio.TaskGroup() as group:
            for due in dues:
                await self._until(due.due_s)
                if due.line in self._talking:
                    self._wait(due.line, due)
                else:
                    self._start(group, due, self.moment(due.due_s))
        for line in list(self._waiting):
            self._left_out(self._waiting.pop(line))

    def moment(self, seconds: float) -> Nanos:
        """A time of the schedule on the clock."""
        return Nanos(self._origin + round(seconds * SECOND))

    def elapsed_s(self) -> float:
        """Since the run's beginning."""
        return (self._clock() - self._origin) / SECOND

    async def _until(self, due_s: float) -> None:
        left = due_s - self.elapsed_s()
        if left > 0:
            await asyncio.sleep(left)

    def _wait(self, line: int, due: Due) -> None:
        before = self._waiting.pop(line, None)
        if before is not None:
            self._left_out(before)
        self._waiting[line] = due

    def _start(self, group: asyncio.TaskGroup, due: Due, ready: Nanos) -> None:
        task = group.create_task(self._one(group, due, ready), name=f"call {due.number}")
        if due.line is not None:
            self._talking[due.line] = task

    async def _one(self, group: asyncio.TaskGroup, due: Due, ready: Nanos) -> None:
        await self._place(due, ready)
        if due.line is None:
            return
        del self._talking[due.line]
        following = self._waiting.pop(due.line, None)
        if following is None:
            return
        if self.elapsed_s() < following.phase.end_s:
            self._start(group, following, Nanos(self._clock()))
        else:
            self._left_out(following)
