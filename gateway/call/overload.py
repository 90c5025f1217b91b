"""Sheds new calls before those that go on suffer: when messages queue up for good, or descriptors run out.

The signal is how long a message has waited before it is read. A burst makes a queue that is soon worked off, and nobody
is refused for it. A queue that never empties is one that more comes to than can be served: then whoever has waited for
longer than a moment is refused, which costs a fraction of serving, so that the delay stays short and the gateway is
kept busy (CoDel, RFC 8289, in the form for servers of B. Maurer, "Fail at Scale", ACM Queue 13(8), 2015):

    the queue was empty within ``delay_interval``     what has waited for ``max_delay`` is shed
    it was not                                        what has waited for ``delay_target`` is shed
"""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import Hashable
from typing import Final

import structlog

from gateway.call.options import LimitOptions
from gateway.net.driver import monotonic
from gateway.units import MS, SECOND, Nanos

__all__ = ["Overload", "Queue"]

_LOOK: Final = Nanos(50 * MS)
_BUSY: Final = 0.8
"""Share of its time that a loop works which is late by its own doing."""
_CALM: Final = Nanos(5 * SECOND)


class Queue:
    """One that is read from its end. Pure."""

    __slots__ = ("_emptied", "_empty", "delay")

    def __init__(self, now: Nanos) -> None:
        self.delay = Nanos(0)
        """What was read last has waited for so long; 0 once nothing is left."""
        self._emptied = now
        self._empty = True

    def read(self, delay: Nanos, now: Nanos) -> None:
        """A message was read that has waited for ``delay``. What comes to an empty queue ends its being empty."""
        if self._empty:
            self._empty, self._emptied = False, Nanos(now - delay)
        self.delay = delay

    def empty(self, now: Nanos) -> None:
        """Nothing is left to be read."""
        self._empty, self._emptied, self.delay = True, now, Nanos(0)

    def excess(self, limits: LimitOptions, now: Nanos) -> str:
        """Why what was read last should be refused, if so."""
        if self.delay <= limits.delay_target:
            return ""
        if self.delay > limits.max_delay:
            return f"limits.max_delay: messages wait for {self.delay // MS} ms"
        if now - self._emptied <= limits.delay_interval:
            return ""
        return f"limits.delay_target: messages wait for {self.delay // MS} ms, and the queue does not empty"


class Overload:
    """Watches this process; ``rule`` is asked for each call that might be taken."""

    def __init__(self, limits: LimitOptions) -> None:
        self._limits = limits
        self._queues: dict[Hashable, Queue] = {}
        self._loop_queue = Queue(monotonic())
        """The event loop's own, for messages whose arrival no kernel has stamped (TCP): what is ready waits for as long
        as a timer is late. Only while the loop itself is what keeps it waiting: of a loop that others keep from the
        processor, refusing would take what is left."""
        self._scarce = ""
        self._shed = 0
        self._last: Nanos | None = None
        self._task: asyncio.Task[None] | None = None
        self._log = structlog.get_logger()

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._watch(), name="overload")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def waited(self, queue: Hashable, delay: Nanos | None) -> None:
        """What is now read from a queue has waited for so long; ``None``: nothing is left in it."""
        now = monotonic()
        found = self._queues.get(queue)
        if found is None:
            found = self._queues[queue] = Queue(now)
        if delay is None:
            found.empty(now)
        else:
            found.read(delay, now)

    def rule(self, now: Nanos) -> str:
        """Why the call should be shed; ``""``: it need not."""
        why = self._scarce or self._loop_queue.excess(self._limits, now)
        for queue in self._queues.values():
            why = why or queue.excess(self._limits, now)
        if why:
            if self._last is None:
                self._log.warning("overload.began", why=why)
            self._shed, self._last = self._shed + 1, now
        return why

    async def _watch(self) -> None:
        while True:
            before, spent = monotonic(), time.thread_time_ns()
            await asyncio.sleep(_LOOK / SECOND)
            wall = monotonic() - before
            busy = (time.thread_time_ns() - spent) / wall
            self._look(Nanos(wall - _LOOK), busy)

    def _look(self, late: Nanos, busy: float) -> None:
        now, spare = monotonic(), descriptors_left()
        if late > self._limits.delay_target and busy > _BUSY:
            self._loop_queue.read(late, now)
        else:
            self._loop_queue.empty(now)
        few = spare < self._limits.spare_descriptors
        self._scarce = f"limits.spare_descriptors: {spare} descriptors are left" if few else ""
        if self._last is not None and now - self._last > _CALM:
            self._log.info("overload.over", shed=self._shed)
            self._shed, self._last = 0, None


def descriptors_left() -> int:
    """At least so many: the kernel gives the lowest number that is free."""
    try:
        lowest = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    os.close(lowest)
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] - lowest
