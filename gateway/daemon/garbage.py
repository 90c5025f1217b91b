"""When Python's garbage collector may stop the event loop, and for how long.

A call leaves nothing to collect: ``tests/system/test_garbage.py`` holds it. What libraries leave, mostly of connections
that failed, is young and found by the small collections. Only a full one looks at all that lives, which takes 100 ms
where thousands of calls and transactions do; it waits for a moment without calls, and for ten minutes at most. It
comes where nobody calls, too: there are OPTIONS, registrations, and connections that come and go.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from typing import Final

import structlog

__all__ = ["Housekeeping", "settle"]

_YOUNG: Final = 10_000
"""Objects, more than were freed, between two collections of those that came since: a few ms each."""
_MIDDLE: Final = 10
"""Of these until those that have survived one are looked at again."""
_NEVER: Final = 1 << 30
_LOOK_S: Final = 30.0
_PATIENCE_S: Final = 600.0


def settle() -> None:
    """What start-up made lives as long as the process, and need not be looked through again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _NEVER)


class Housekeeping:
    """Full collections. ``calls`` is how many are up."""

    def __init__(self, calls: Callable[[], int]) -> None:
        self._calls = calls
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        settle()
        self._task = asyncio.get_running_loop().create_task(self._keep(), name="garbage")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep(self) -> None:
        last = time.monotonic()
        busy = False
        while True:
            await asyncio.sleep(_LOOK_S)
            now, idle = time.monotonic(), not self._calls()
            busy = busy or not idle
            if (busy and idle) or now - last >= _PATIENCE_S:
                self._collect()
                last, busy = now, not idle

    @staticmethod
    def _collect() -> None:
        began = time.perf_counter()
        found = gc.collect()
        ms = round(1000 * (time.perf_counter() - began), 1)
        structlog.get_logger().debug("garbage.collected", objects=found, took_ms=ms)
