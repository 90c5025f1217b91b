"""A transfer that we ask the far end for, as something to be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.plugs.contract import TransferResult
from gateway.sip.events import Transferred, Transferring

__all__ = ["Transfer"]

Progress = Callable[[int, str], None]
"""Status and reason of what the far end's new call is doing."""


def _nobody(status: int, reason: str) -> None:
    """Nobody wants to know."""


class Transfer:
    """Of one call; at most one is under way."""

    def __init__(self) -> None:
        self._result: asyncio.Future[TransferResult] | None = None
        self._on_progress: Progress = _nobody

    def begin(self, on_progress: Progress | None) -> asyncio.Future[TransferResult] | None:
        """``None`` if one is under way."""
        if self._result is not None:
            return None
        self._result = asyncio.get_running_loop().create_future()
        self._on_progress = on_progress or _nobody
        return self._result

    def heard(self, event: Transferring | Transferred) -> None:
        if isinstance(event, Transferring):
            if self._result is not None:
                self._on_progress(event.status, event.reason)
        else:
            self.end(event.status, event.reason)

    def end(self, status: int | None, reason: str) -> None:
        result, self._result, self._on_progress = self._result, None, _nobody
        if result is not None and not result.done():
            result.set_result(TransferResult(status, reason))
