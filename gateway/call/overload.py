"""Sheds new calls before those that go on suffer: when the event loop's thread is busy or late, or descriptors run out.

What is refused costs a fraction of what is taken (benchmarks/README.md), so that refusing early keeps the goodput: the
ceiling falls to a little less than what was taken when it became too much, and rises slowly until it is too much again
or nobody asks for more (as congestion windows do, RFC 5681; RFC 7339 does the same between SIP servers).
"""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import Callable
from typing import Final

import structlog

from gateway.call.occupancy import Bucket, Occupancy
from gateway.call.options import LimitOptions
from gateway.units import MS, SECOND, Nanos

__all__ = ["Ceiling", "Overload"]

_WINDOW: Final = Nanos(100 * MS)
_BURST: Final = Nanos(100 * MS)
_FALL, _RISE, _LEAST = 0.9, 1.02, 10.0
_IDLE_WINDOWS: Final = 50


class Ceiling:
    """How many calls a second may be taken. Pure: fed once per window."""

    def __init__(self) -> None:
        self.rate: float | None = None
        """None: as many as come."""
        self._learned = 0.0
        self._strained = False
        self._idle = 0

    def adjust(self, strained: bool, taken_per_second: float) -> bool:
        """True if the rate has changed. While there is strain, next to nothing is taken, so that what has piled up is
        worked off; then a little less than before, and a little more each time."""
        before = self.rate
        if strained:
            if not self._strained:
                self._learned = max(_LEAST, _FALL * (taken_per_second if before is None else self._learned))
            self._idle, self.rate = 0, _LEAST
        elif before is not None:
            self._learned *= 1.0 if self._strained else _RISE
            self.rate = self._learned
            self._idle = self._idle + 1 if taken_per_second < self._learned / 2 and not self._strained else 0
            if self._idle >= _IDLE_WINDOWS:
                self.rate = None
        self._strained = strained
        return self.rate != before


class Overload:
    """Watches this process, and sets the ceiling of ``occupancy``."""

    def __init__(self, occupancy: Occupancy, limits: LimitOptions, waiting: Callable[[], int] = lambda: 0) -> None:
        self._occupancy = occupancy
        self._waiting = waiting
        self._limits = limits
        self._ceiling = Ceiling()
        self._task: asyncio.Task[None] | None = None
        self._log = structlog.get_logger()

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._watch(), name="overload")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        window, limits, occupancy = _WINDOW / SECOND, self._limits, self._occupancy
        began, spent, taken = time.monotonic(), time.thread_time(), occupancy.taken
        while True:
            await asyncio.sleep(window)
            now, cpu, calls = time.monotonic(), time.thread_time(), occupancy.taken
            wall = now - began
            why = strain(limits, busy=(cpu - spent) / wall, late_s=wall - window, waiting=self._waiting())
            self._told(why, (calls - taken) / wall)
            began, spent, taken = now, cpu, calls

    def _told(self, why: str, taken_per_second: float) -> None:
        before = self._ceiling.rate
        if not self._ceiling.adjust(bool(why), taken_per_second):
            return
        rate = self._ceiling.rate
        self._occupancy.ceiling = None if rate is None else Bucket(rate, _BURST)
        if before is None and rate is not None:
            self._log.warning("overload.began", why=why, calls_per_second=round(rate))
        elif rate is None:
            self._log.info("overload.over")


def strain(limits: LimitOptions, *, busy: float, late_s: float, waiting: int = 0) -> str:
    """What runs out; ``""`` if nothing does."""
    if waiting > limits.max_waiting:
        return f"limits.max_waiting: {waiting} messages wait to be read"
    if busy > limits.max_load:
        return f"limits.max_load: the event loop is busy {100 * busy:.0f}% of the time"
    if late_s * SECOND > limits.max_delay:
        return f"limits.max_delay: the event loop is {1000 * late_s:.0f} ms late"
    spare = descriptors_left()
    if spare < limits.spare_descriptors:
        return f"limits.spare_descriptors: {spare} descriptors are left"
    return ""


def descriptors_left() -> int:
    """At least so many: the kernel gives the lowest number that is free."""
    try:
        lowest = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    os.close(lowest)
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] - lowest
