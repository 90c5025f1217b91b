"""A call that came in: rings while its plug gets ready, then answers."""

from __future__ import annotations

import asyncio
from typing import Literal

from gateway.call.call import Call, CallEvent
from gateway.call.decision import Decision
from gateway.call.forwarding import ROUTING, diversions_of, user_to_user_of
from gateway.call.headers import CallHeaders
from gateway.call.hostnames import is_named
from gateway.call.house import House
from gateway.call.options import RouteOptions
from gateway.call.trunk_options import TrunkOptions
from gateway.errors import ProviderError, ResourceError, SdpError
from gateway.sip.events import Confirmed, Invited
from gateway.units import SECOND

__all__ = ["IncomingCall"]


class IncomingCall(Call):
    """invited ──▶ negotiate, open the leg and the plug's session ──▶ ring while the session starts ──▶ 200 ──▶ ACK."""

    direction: Literal["in", "out"] = "in"

    def __init__(
        self, house: House, invited: Invited, decision: Decision, trunk: TrunkOptions, route: RouteOptions
    ) -> None:
        super().__init__(house, trunk, route, decision.caller.shown, decision.called)
        self._named(invited.call, invited.call_id)
        self.diversions = diversions_of(invited.request, trunk)
        withheld = ROUTING if any(one.private for one in self.diversions) else ()
        self.headers = CallHeaders(invited.request, without=withheld)
        self.user_to_user = user_to_user_of(invited.request)
        self._theirs = invited.sdp

    def on_event(self, event: CallEvent) -> None:
        if isinstance(event, Confirmed):  # the ACK: the plug may speak
            self._answered()
            self._connect_late(event.sdp)
            self._speak()
        else:
            super().on_event(event)

    def shut_down(self) -> None:
        """Who is not answered yet is told that it is we who cannot."""
        if self._answered_at is None:
            self._house.sip.reject(self.handle, 503, "shutting down")
        super().shut_down()

    async def _set_up(self) -> None:
        """Why it cannot be done is told to the far end and to the log."""
        try:
            await self._ring_and_answer()
        except SdpError as error:
            self._fail(488, str(error), error.warning)
        except (ResourceError, ProviderError) as error:
            self._fail(503, str(error))

    async def _ring_and_answer(self) -> None:
        route, sip, loop = self._route, self._house.sip, asyncio.get_running_loop()
        if self._theirs is not None and is_named(self._theirs):
            self._theirs = await self._numeric(self._theirs)
        session, leg = self._open()
        sdp, stream = self._negotiation.describe(self._theirs, leg.local[1])
        if not route.early_media or stream is None:
            sip.ring(self.handle)
        rung = loop.time() + route.ring_for / SECOND
        await session.start(leg)
        if route.early_media and stream is not None:
            self._connect(stream)
            sip.ring(self.handle, 183, sdp)
            self._speak()
        await asyncio.sleep(rung - loop.time())
        if stream is not None and not route.early_media:
            self._connect(stream)
        sip.answer(self.handle, sdp)

    def _fail(self, status: int, rule: str, warning: int = 399) -> None:
        self._log.warning("call.refused", status=status, rule=rule)
        if self._answered_at is None:
            self._house.sip.reject(self.handle, status, rule, warning=warning)
        self.hang_up(rule)
