"""Commands on their way to a media thread."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from gateway.errors import ResourceError

__all__ = ["Verbs"]

_RETRY_S: Final = 0.005
_BACKLOG: Final = 10_000


class Verbs:
    """Verbs on their way to one shard. They wait here only while its ring is full: the thread has not run for long."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.waiting: deque[tuple[Callable[..., bool], tuple[object, ...]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def do(self, verb: Callable[..., bool], *arguments: object) -> None:
        """Now, or after those that wait already. Raises ``ResourceError`` if too many do."""
        if not self.waiting and verb(*arguments):
            return
        if len(self.waiting) >= _BACKLOG:
            raise ResourceError(f"the media thread has not run for long: {_BACKLOG} commands wait for it")
        self.waiting.append((verb, arguments))
        if self._timer is None:
            self._timer = self._loop.call_later(_RETRY_S, self._retry)

    def _retry(self) -> None:
        self._timer = None
        while self.waiting:
            verb, arguments = self.waiting[0]
            if not verb(*arguments):
                self._timer = self._loop.call_later(_RETRY_S, self._retry)
                return
            self.waiting.popleft()

    def drop(self) -> None:
        """The shard is going away."""
        self.waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
