"""A call that we place: dials one target of its trunk after the other, rings, and talks like any other call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, cast

from gateway.call.call import Call, CallEvent
from gateway.call.dialling import Dial
from gateway.call.early import EarlyMedia
from gateway.call.house import Dialler, House
from gateway.call.options import RouteOptions
from gateway.call.placing import AnsweredBy, Order, Result, Results, Screening, result_of
from gateway.call.trunk_options import TrunkOptions
from gateway.errors import LinecardError, ProviderError, ResourceError, SdpError
from gateway.sip.events import Answered, Ended, Redirected, Ringing
from gateway.sip.values import plain
from gateway.units import SECOND

__all__ = ["OutgoingCall"]

_NEXT: Final = frozenset({408, 500, 502, 503, 504})
"""Of the network or of a server: the next target may do better. A callee's own answer is final (RFC 3261 16.7)."""


class OutgoingCall(Call):
    """dial ──▶ (183: early media) ──▶ 200: who is it? ──▶ the plug speaks. ``result`` is known at the answer, or at the
    end. ``dials`` are tried in order."""

    direction: Literal["in", "out"] = "out"

    def __init__(
        self,
        house: House,
        trunk: TrunkOptions,
        order: Order,
        caller: str,
        *,
        dials: Sequence[Dial],
        follow: Callable[[Call], None],
    ) -> None:
        route = RouteOptions(to="*", plug=order.plug, hangup_after=None)
        route = route.model_copy(update={"hangup_after": order.hangup_after})
        super().__init__(house, trunk, route, caller, order.to)
        loop = asyncio.get_running_loop()
        self.result: asyncio.Future[Result] = loop.create_future()
        self._sip = cast("Dialler", house.sip)
        self._order = order
        self._dials = list(dials)
        self._follow = follow
        self._target = ""
        self._live = False
        self._early = EarlyMedia()
        self._why: Results | None = None
        self._rang_at: float | None = None
        self._answer: asyncio.Future[Answered] = loop.create_future()
        self._attempt: asyncio.Future[Ended] | None = None
        self._screening: Screening | None = None
        self._answered_by = AnsweredBy.UNKNOWN

    # --- events -------------------------------------------------------------------------------------------------------

    def on_event(self, event: CallEvent) -> None:
        match event:
            case Ringing():
                self._ringing(event)
            case Redirected():
                self.log("call.redirected", target=plain(event.target))
            case Answered():
                if not self._answer.done():
                    self._answer.set_result(event)
            case Ended():
                self._live = False
                if self._attempt is not None and not self._attempt.done() and not self._answer.done():
                    self._attempt.set_result(event)  # the next target, perhaps
                else:
                    super().on_event(event)
            case _:
                super().on_event(event)

    def _ringing(self, ringing: Ringing) -> None:
        sdp: bytes | None = ringing.sdp
        if self._rang_at is None:
            self._rang_at = asyncio.get_running_loop().time()
            self.log("call.ringing", status=ringing.status, early_media=bool(sdp))
        if ringing.status == 199:
            sdp = self._early.gone(ringing.phone)
        elif sdp is None or not self._early.began(ringing.phone, sdp):
            return
        if sdp is not None and self._order.early_media and not self._answer.done():
            try:
                self._connect(self._negotiation.take(sdp, last=False))
            except SdpError as error:
                self._log.warning("call.early_media_refused", rule=str(error))

    # --- life ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        try:
            await super().run()
        finally:
            if not self.result.done():
                ended = self._ended.result() if self._ended.done() and not self._ended.cancelled() else None
                what = self._why or (result_of(ended) if ended else Results.FAILED)
                self.result.set_result(self._result(what, ended))

    def never_began(self) -> None:
        super().never_began()
        if not self.result.done():
            self.result.set_result(self._result(Results.CANCELLED, None))

    def hang_up(self, reason: str, headers: Mapping[str, str] | None = None) -> None:
        if not self._answer.done():
            self._why = self._why or Results.CANCELLED
        if self._live:
            super().hang_up(reason, headers)
        else:  # between two targets, or before the first
            self._end(Ended(self.handle, "local", None, reason))

    async def _set_up(self) -> None:
        try:
            session, leg = self._open()
            offer, _ = self._negotiation.describe(None, leg.local[1])
        except (ResourceError, ProviderError) as error:
            self._fail(503, str(error))
            return
        if self._order.screener is not None and self._ear is not None:
            self._screening = self._order.screener.open(session.uplink_rate)
        ready = asyncio.get_running_loop().create_task(session.start(leg))
        ready.add_done_callback(self._plug_started)
        try:
            async with asyncio.timeout(self._order.ring_timeout / SECOND):
                answered = await self._dial(offer)
            if answered:
                await self._talk(ready)
        except TimeoutError:
            self._attempt, self._why = None, Results.NO_ANSWER
            self.hang_up("nobody answered in time")
        finally:
            ready.cancel()
            await asyncio.gather(ready, return_exceptions=True)

    def _plug_started(self, ready: asyncio.Task[None]) -> None:
        """Nobody should pick up a phone that has nobody to talk to."""
        if not ready.cancelled() and (error := ready.exception()) is not None:
            if not isinstance(error, ProviderError):
                self._log.error("call.fault", exc_info=error)
            self._fail(503, str(error))

    async def _dial(self, offer: bytes) -> bool:
        """One target after the other; whether one has answered."""
        ended = Ended(self.handle, "network", None, f"trunk {self.trunk.name} has no target")
        for dial in self._dials:
            self._target = dial.uri
            refusal = await self._try(dial, offer)
            if refusal is None:
                return True
            ended = refusal
            final = ended.by == "local" or (ended.by == "remote" and ended.status not in _NEXT)
            dial.report(good=final)
            if final or self._why is not None:
                break
            self._log.warning("call.target_failed", target=dial.uri, status=ended.status, reason=ended.reason)
        self._end(ended)
        return False

    async def _try(self, dial: Dial, offer: bytes) -> Ended | None:
        """None if it answers."""
        attempt = self._attempt = asyncio.get_running_loop().create_future()
        try:
            hops = await self._sip.locate(dial.uri)
            handle = self._sip.invite(
                dial.uri, offer, caller=dial.user, headers=dial.headers, remote=hops, credentials=dial.credentials,
                sender=dial.sender, patience=self.trunk.patience, registration=self.trunk.registration,
                advertise=self.trunk.advertise or "",
            )  # fmt: skip
        except LinecardError as error:
            return Ended(self.handle, "network", None, str(error))
        self._named(handle, self._sip.call_id(handle))
        self._live = True
        self._follow(self)
        self.log("call.dialled", target=dial.uri)
        done, _ = await asyncio.wait((self._answer, attempt), return_when=asyncio.FIRST_COMPLETED)
        return None if self._answer in done else attempt.result()

    async def _talk(self, ready: asyncio.Task[None]) -> None:
        """It is answered: media, then whoever screens, then the plug."""
        answered = self._answer.result()
        self._answered()
        sdp = answered.sdp or self._early.of(answered.phone)
        try:
            if sdp is None:
                raise SdpError("the 200 has no answer to our offer (RFC 3261 13.2.1)")
            self._connect(self._negotiation.take(sdp))
        except SdpError as error:
            self._fail(488, str(error), error.warning)
            return
        await asyncio.wait((ready,))
        if ready.cancelled() or ready.exception() is not None:
            return
        if self._screening is not None:
            await self._screen(self._screening)
        self.log("call.answered", answered_by=self._answered_by, target=self._target)
        self.result.set_result(self._result(Results.ANSWERED, Ended(self.handle, "remote", 200, "OK")))
        if self._answered_by in self._order.hang_up_on:
            self.hang_up(f"answered by {self._answered_by}")
        else:
            self._speak()

    async def _screen(self, screening: Screening) -> None:
        """The plug hears everything meanwhile, and says nothing."""
        if self._ear is None:
            return
        self._ear.listen_in(screening)
        try:
            async with asyncio.timeout(self._order.screen_for / SECOND):
                self._answered_by = await screening.verdict()
        except TimeoutError:
            self.log("call.screened", verdict="none in time")
        finally:
            self._ear.alone()

    # --- ends ---------------------------------------------------------------------------------------------------------

    def _fail(self, status: int, rule: str, warning: int = 399) -> None:
        self._log.warning("call.failed", status=status, rule=rule)
        self._why = self._why or Results.FAILED
        self.hang_up(rule)

    def _end(self, ended: Ended) -> None:
        if not self._ended.done():
            self._ended.set_result(ended)

    def _result(self, what: Results, ended: Ended | None) -> Result:
        now = asyncio.get_running_loop().time()
        rang = None if self._rang_at is None else round(now - self._rang_at, 3)
        status, reason, cause = (ended.status, ended.reason, ended.cause) if ended else (None, "", None)
        return Result(what, status, reason, self.call_id, self._target, rang, self._answered_by, cause)

    def _more_to_write(self) -> dict[str, object]:
        ended = self._ended.result()
        what = Results.ANSWERED if self._answered_at is not None else self._why or result_of(ended)
        more: dict[str, object] = {"result": what, "target": self._target}
        if self._screening is not None:
            more["answered_by"] = self._answered_by
        return more
