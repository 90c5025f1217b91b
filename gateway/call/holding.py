"""Holding a call, and going on with it: offers of ours within the call, as something to be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.call.negotiation import Negotiation, Said

__all__ = ["Holding"]


class Holding:
    """Of one call. One offer is under way at most; who asks meanwhile waits."""

    def __init__(self, negotiation: Negotiation) -> None:
        self._negotiation = negotiation
        self._send: Callable[[bytes], None] | None = None
        self._turn = asyncio.Lock()
        self._before: Said | None = None
        self._port = 0
        self._result: asyncio.Future[bool] | None = None
        self._over = False

    @property
    def held(self) -> bool:
        """Whether we hold the call, or are about to."""
        return self._negotiation.state.direction != "sendrecv"

    async def hold(self, held: bool, port: int, send: Callable[[bytes], None]) -> bool:
        """Whether the far end has agreed. ``port`` is that of our media, ``send`` makes the offer."""
        async with self._turn:
            if self._over or held == self.held:
                return held == self.held
            result: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            self._result = result
            self._before, self._port, self._send = self._negotiation.state, port, send
            self._negotiation.turn("sendonly" if held else "sendrecv")
            self.renew()
            return await result

    def renew(self) -> None:
        """Makes the offer that is under way again: the session has changed since, by an offer that came first."""
        if self._before is not None and self._send is not None and not self._negotiation.owed:
            sdp, _ = self._negotiation.describe(None, self._port)
            self._send(sdp)

    def answered(self) -> None:
        self._before = None
        self._end(taken=True)

    def refused(self) -> None:
        before, self._before = self._before, None
        if before is not None:
            self._negotiation.refused(before)
        self._end(taken=False)

    def close(self) -> None:
        """The call is over."""
        self._over, self._before = True, None
        self._end(taken=False)

    def _end(self, *, taken: bool) -> None:
        result, self._result, self._send = self._result, None, None
        if result is not None and not result.done():
            result.set_result(taken)
