"""One call, supervised from its first message to its last counter: it knows its plug by the contract alone.

    set up (``incoming.py``, ``outgoing.py``) ──▶ answered: the plug speaks ──▶ ... ──▶ ended, by whomever
                                              ──▶ everything that was opened is closed

``run`` is the call's one supervisor. Whatever goes wrong before the answer ends the call with a reason, and whatever
the state, ``Ended`` of the signalling (exactly one per call) leads to the same taking down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextvars import copy_context
from dataclasses import asdict, fields, replace
from typing import Any, Final, Literal, cast

import structlog

from gateway import __version__
from gateway.call.ear import Ear
from gateway.call.headers import CallHeaders, chosen
from gateway.call.holding import Holding
from gateway.call.hostnames import is_named, numeric
from gateway.call.house import House
from gateway.call.negotiation import Negotiation
from gateway.call.options import RouteOptions
from gateway.call.tapes import CallTapes
from gateway.call.transfer import Transfer
from gateway.call.trunk_options import TrunkOptions
from gateway.errors import LinecardError, SdpError
from gateway.machine import Machine
from gateway.media.contract import Leg, LegObserver, LegStats
from gateway.media.recording.options import CaptureOptions, RecordingOptions
from gateway.net.driver import Driver, monotonic
from gateway.plugs.contract import Diversion, Drive, PlugSession, TransferResult, UserToUser
from gateway.sdp import Stream
from gateway.sip.events import (
    Answered,
    Confirmed,
    Digit,
    Ended,
    OfferAnswered,
    OfferRefused,
    Reconfirmed,
    Redirected,
    Referred,
    Refreshed,
    Reoffered,
    Ringing,
    Transferred,
    Transferring,
)
from gateway.sip.values import plain
from gateway.timeline import Timeline
from gateway.trace import enter
from gateway.units import SECOND, Nanos

__all__ = ["Call", "CallEvent"]

CallEvent = (
    Confirmed | Reoffered | Reconfirmed | Refreshed | Ended | Ringing | Answered | Digit | OfferAnswered | OfferRefused
    | Redirected | Referred | Transferring | Transferred
)  # fmt: skip


class Call:
    """What both directions share. The plug sees it as its ``CallView``. ``handle`` is what the signalling calls it."""

    direction: Literal["in", "out"]

    def __init__(self, house: House, trunk: TrunkOptions, route: RouteOptions, caller: str, called: str) -> None:
        loop = asyncio.get_running_loop()
        self.handle = 0
        self.call_id = ""
        self.caller = caller
        self.called = called
        self.headers: Mapping[str, str] = {}
        self.diversions: tuple[Diversion, ...] = ()
        self.user_to_user: tuple[UserToUser, ...] = ()
        self.timeline = Timeline()
        self.providers = house.providers
        self.totals: dict[str, object] = {}
        self.trunk = trunk
        self._house = house
        self._route = route
        self._log = structlog.get_logger()
        names = {"caller": caller, "called": called, "trunk": trunk.name}
        self._tapes = CallTapes(house.media, house.wiretap, names, recording=route.recording, capture=route.capture)
        self._lost_media = False
        self._began = loop.time()
        self._answered_at: float | None = None
        self._negotiation = Negotiation(house, trunk)
        self._holding = Holding(self._negotiation)
        self._session: PlugSession | None = None
        self._ear: Ear | None = None
        self._leg: Leg | None = None
        self._transfer = Transfer()
        self._speaking = False
        self._spoken_to = False
        self._securing = False
        self._held = False
        self._over = False
        self._newest: CallEvent | None = None
        self._ended: asyncio.Future[Ended] = loop.create_future()
        self._media: asyncio.Future[LegStats] = loop.create_future()
        self._timers: list[asyncio.TimerHandle] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._trace = house.trace()
        self._context = copy_context()
        self._context.run(enter, self._trace)

    def _named(self, handle: int, call_id: str) -> None:
        self.handle, self.call_id = handle, call_id
        self._log = self._log.bind(call_id=call_id)
        self._tapes.named(call_id)

    # --- what the plug may do -----------------------------------------------------------------------------------------

    def now(self) -> Nanos:
        return monotonic()

    def hang_up(self, reason: str, headers: Mapping[str, str] | None = None) -> None:
        self._house.sip.hang_up(self.handle, reason, headers=(headers or {}).items())

    async def transfer(
        self,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        on_progress: Callable[[int, str], None] | None = None,
    ) -> TransferResult:
        result = None if self._over else self._transfer.begin(on_progress)
        if result is None:
            return TransferResult(491, "the call is over" if self._over else "another transfer is under way")
        try:
            self._house.sip.refer(self.handle, target, headers=(headers or {}).items())
            told = await result
        finally:
            self._transfer.end(None, "given up")
        self.record("call.transferred", target=target, status=told.status, reason=told.reason)
        if told.succeeded:
            self.hang_up("transferred")
        return told

    async def hold(self, held: bool) -> bool:
        if self._leg is None or self._answered_at is None or self._over:
            return False
        taken = await self._holding.hold(held, self._leg.local[1], self._reoffer)
        self.record("call.hold", held=self._holding.held, taken=taken)
        return taken

    def _reoffer(self, sdp: bytes) -> None:
        self._house.sip.reoffer(self.handle, sdp)

    def shut_down(self) -> None:
        """Ends it because the gateway does."""
        self.hang_up("shutting down")

    def pause_recording(self, paused: bool) -> None:
        self._tapes.pause(paused)

    def start_recording(self, options: RecordingOptions) -> None:
        """Records from now on, if the call is not recorded yet."""
        self._tapes.record(options)

    def start_capture(self, options: CaptureOptions) -> None:
        """Captures from now on, if the call is not captured yet."""
        self._tapes.capture(options)

    def log(self, event: str, **fields: object) -> None:
        self._log.info(event, **fields)

    def record(self, event: str, **fields: object) -> None:
        self._log.info(event, **fields)
        self._house.records.add({"event": event, "call_id": self.call_id, **fields})

    def drive(
        self, machine: Machine[Any, Any], on_effect: Callable[[Any], None], on_event: Callable[[Any], None]
    ) -> Drive:
        return Driver(machine, on_effect, on_event)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self._over:  # nobody would end it any more
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work, context=self._context)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("call.fault", exc_info=error)
            self._fail(500, "internal error")

    # --- life ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """From the beginning to the end; returns when nothing of the call is left."""
        fields = {"caller": self.caller, "called": self.called, "trunk": self.trunk.name, "plug": self._route.plug}
        kept = self._kept(self.headers)
        if self.diversions:
            kept["diverted"] = [one.as_record() for one in self.diversions]
        if self._trace is not None:
            kept["traceparent"] = self._trace.traceparent
        self.record("call.started", direction=self.direction, version=__version__, **fields, **kept)
        self.spawn(self._set_up())
        try:
            ended = await self._ended
        finally:
            await self._take_down()
        self._write_down(ended, await self._tapes.close(failed=self._failed(ended)))
        self._let_go()

    def _let_go(self) -> None:
        """Plug, leg and call know each other. What is over is freed at once then, and not when the garbage collector
        stops the loop to look for such circles."""
        self._session = self._ear = self._leg = None
        self._timers.clear()

    def never_began(self) -> None:
        """Its task was cancelled before the first step of ``run``: the far end is not left waiting."""
        self.shut_down()

    async def _set_up(self) -> None:
        """Up to the answer."""
        raise NotImplementedError

    def _fail(self, status: int, rule: str, warning: int = 399) -> None:
        """Ends the call: it cannot be served. ``status`` is for who has not been answered yet."""
        raise NotImplementedError

    def hear(self, event: CallEvent) -> None:
        """What the signalling tells of this call; a description that names a host waits for its address."""
        sdp: bytes | None = getattr(event, "sdp", None)
        if sdp is None:
            self.on_event(event)
            return
        self._newest = event
        if is_named(sdp):
            self.spawn(self._hear_with_addresses(event, sdp))
        else:
            self.on_event(event)

    async def _hear_with_addresses(self, event: CallEvent, sdp: bytes) -> None:
        known = replace(cast("Any", event), sdp=await self._numeric(sdp))
        if self._newest is event:
            self.on_event(known)

    async def _numeric(self, sdp: bytes) -> bytes:
        return await numeric(sdp, lambda name, ipv6: self._house.sip.address(name, ipv6=ipv6))

    def on_event(self, event: CallEvent) -> None:
        match event:
            case Reoffered(_, sdp):
                self._reoffered(sdp)
            case Reconfirmed(_, sdp):
                self._connect_late(sdp)
            case Refreshed(_, sdp):
                self._negotiation.repeat()
                self._connect_late(sdp)
            case OfferAnswered(_, sdp):
                self._take_answer(sdp)
            case OfferRefused(_, status, reason):
                self._log.warning("offer.refused", status=status, reason=reason)
                self._holding.refused()
            case Digit(_, digit, duration_ms) if self._ear is not None:
                self._ear.on_info(digit, duration_ms, monotonic())
            case Transferring() | Transferred():
                self._transfer.heard(event)
            case Referred():
                self.record("transfer.refused", target=plain(event.target), referred_by=event.referred_by)
                self._house.sip.refuse_refer(self.handle, 603, "nobody is called on a far end's behalf")
            case Ended() if not self._ended.done():
                self._transfer.end(None, "the call has ended")
                self._holding.close()
                self._ended.set_result(event)

    def _open(self) -> tuple[PlugSession, Leg]:
        """The plug's session, and the leg that it will hear. Raises ``ResourceError``, ``ProviderError``."""
        house = self._house
        session = self._session = house.plugs[self._route.plug].open(self)
        self._ear = Ear(session, self._own_digit, self._leg_closed, self._silent, self._secured)
        leg = self._leg = house.media.open_leg(cast("LegObserver", self._ear), uplink_rate=session.uplink_rate)
        self._tapes.opened(leg)
        return session, leg

    async def _take_down(self) -> None:
        self._over = True
        self._holding.close()
        for timer in self._timers:
            timer.cancel()
        if tasks := list(self._tasks):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._leg is not None:
            self._leg.close()
        if self._session is not None:
            await self._session.close()
        if self._leg is not None:
            await self._media

    def _leg_closed(self, stats: LegStats) -> None:
        if not self._media.done():
            self._media.set_result(stats)

    def _own_digit(self, digit: str) -> bool:
        return self._tapes.on_digit(digit)

    def _failed(self, ended: Ended) -> bool:
        """Whether a capture of the call is worth keeping. A caller who gives up while it rings is no failure."""
        heard = self._media.result().packets_received if self._media.done() else 0
        if self._answered_at is None:
            return ended.status is None or (ended.status >= 400 and ended.status != 487)
        return ended.by == "network" or self._lost_media or not heard

    def _write_down(self, ended: Ended, tapes: Mapping[str, object]) -> None:
        now = asyncio.get_running_loop().time()
        answered = self._answered_at
        self.record(
            "call.ended",
            direction=self.direction,
            caller=self.caller,
            called=self.called,
            trunk=self.trunk.name,
            plug=self._route.plug,
            by=ended.by,
            status=ended.status,
            reason=ended.reason,
            cause=ended.cause,
            duration_s=round(now - self._began, 3),
            talk_s=0.0 if answered is None else round(now - answered, 3),
            media=_as_dict(self._media.result()) if self._media.done() else None,
            **(self._kept(CallHeaders(ended.message)) if ended.by == "remote" else {}),
            **self.totals,
            **self._more_to_write(),
            **tapes,
        )

    def _kept(self, headers: Mapping[str, str]) -> dict[str, object]:
        found = chosen(headers, self._house.record_headers)
        return {"headers": found} if found else {}

    def _more_to_write(self) -> dict[str, object]:
        return {}

    # --- answered -----------------------------------------------------------------------------------------------------

    def _answered(self) -> None:
        """The clocks of the call's length run from here."""
        loop = asyncio.get_running_loop()
        self._answered_at = loop.time()
        limits = [(self._house.limits.call_length, "call_length")]
        if self._route.hangup_after is not None:
            limits.append((self._route.hangup_after, "hangup_after"))
        for length, name in limits:
            self._timers.append(loop.call_later(length / SECOND, self.hang_up, name))

    def _speak(self) -> None:
        """The plug may. What it says while a handshake makes the keys would not be heard."""
        self._spoken_to = True
        if self._session is not None and not self._speaking and not self._securing:
            self._speaking = True
            self._session.answered()

    # --- media --------------------------------------------------------------------------------------------------------

    def _connect(self, stream: Stream) -> None:
        """Media as agreed. A far end that does not listen has put us on hold (RFC 3264 8.4); the plug is told."""
        if self._leg is not None and self._session is not None:
            self._leg.connect(stream)
            self._securing = stream.dtls is not None and not self._leg.secured
            if self._spoken_to:
                self._speak()
            self._tapes.connected()
            if self._held == stream.send:
                self._held = not stream.send
                self._session.on_hold(self._held)

    def _secured(self, fault: str | None) -> None:
        """The handshake that makes the keys of the media is over (RFC 5763)."""
        if fault is not None:
            self._lost_media = True
            self._fail(488, fault)
            return
        self._securing = False
        self.log("call.secured")
        if self._spoken_to:
            self._speak()

    def _silent(self, now: Nanos) -> None:
        """No sign of life has come for long; the plane is more patient with a far end that holds the call."""
        if self._securing:
            self._secured("DTLS: the far end has opened or answered no handshake (RFC 5763)")
        elif self._session is not None:
            self._lost_media = True
            self._session.on_rtp_timeout(now)

    def _connect_late(self, theirs: bytes | None) -> None:
        """The answer to an offer of ours has come: in an ACK, or in the 200 to a re-INVITE."""
        if not self._negotiation.owed or self._leg is None:
            return
        if theirs is None:
            self.hang_up("no answer to our offer in the ACK (RFC 3261 13.2.1)")
            return
        try:
            self._connect(self._negotiation.take(theirs))
        except SdpError as error:
            self._fail(488, str(error), error.warning)

        else:
            self._holding.renew()

    def _take_answer(self, theirs: bytes | None) -> None:
        """To an offer of ours within the call. A 2xx that answers nothing has changed nothing."""
        if not self._negotiation.owed or self._leg is None:
            return
        if theirs is None:
            self._holding.refused()
            return
        try:
            self._connect(self._negotiation.take(theirs))
        except SdpError as error:
            self._fail(488, str(error), error.warning)
        else:
            self._holding.answered()

    def _reoffered(self, theirs: bytes | None) -> None:
        """A re-INVITE: a refused one leaves the session as it was (RFC 3261 14.2)."""
        sip, handle = self._house.sip, self.handle
        if self._leg is None:
            sip.reject(handle, 500, "re-INVITE before the call has media")
            return
        before = self._negotiation.state
        try:
            sdp, stream = self._negotiation.describe(theirs, self._leg.local[1])
            if stream is not None:
                self._connect(stream)
        except LinecardError as error:
            self._negotiation.state = before
            status, warning = (488, error.warning) if isinstance(error, SdpError) else (500, 399)
            self._log.warning("reinvite.refused", status=status, rule=str(error))
            sip.reject(handle, status, str(error), warning=warning)
            return
        sip.answer(handle, sdp)
        self._holding.renew()


_STATS: Final = tuple(field.name for field in fields(LegStats))


def _as_dict(stats: LegStats) -> dict[str, object]:
    """``asdict`` copies each number deeply, which costs a call 0.1 ms."""
    found = {name: getattr(stats, name) for name in _STATS}
    return found if stats.far is None else {**found, "far": asdict(stats.far)}
