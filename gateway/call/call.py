"""One call, supervised from INVITE to the last counter: it knows its plug by the contract alone.

    invited ──▶ negotiate, open the leg and the plug's session ──▶ ring while the session starts ──▶ answer
            ──▶ ACK: the plug speaks ──▶ ... ──▶ ended, by whomever ──▶ everything opened is closed

``run`` is the call's one supervisor. Whatever goes wrong before the answer refuses the call with a reason, and whatever
the state, ``Ended`` of the signalling (exactly one per call) leads to the same taking down.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, cast

import structlog

from gateway import __version__
from gateway.call.decision import Decision
from gateway.call.options import LimitOptions, RouteOptions
from gateway.call.tapes import CallTapes, TapeFactory
from gateway.call.trunk_options import TrunkOptions
from gateway.call.wiretap import Wiretap
from gateway.errors import LinecardError, ProviderError, ResourceError, SdpError
from gateway.machine import Machine
from gateway.media.contract import Leg, LegObserver, LegStats
from gateway.media.recording.options import CaptureOptions, RecordingOptions
from gateway.net.driver import Driver, monotonic
from gateway.plugs.contract import Drive, Plug, PlugSession
from gateway.providers.contract import Provider
from gateway.records.writer import Records
from gateway.sdp import SUITES, SrtpTerms, Stream, accept, answer, offer
from gateway.sdp.types import AudioFormat
from gateway.sip.events import Confirmed, Ended, Invited, Reconfirmed, Refreshed, Reoffered
from gateway.timeline import Timeline
from gateway.units import SECOND, Nanos

__all__ = ["Call", "House", "MediaFactory", "Signalling"]


class Signalling(Protocol):
    """What a call needs of SIP."""

    def ring(self, call: int, status: int = 180, sdp: bytes | None = None) -> None: ...

    def answer(self, call: int, sdp: bytes) -> None: ...

    def reject(self, call: int, status: int, rule: str, reason: str | None = None, *, warning: int = 399) -> None: ...

    def hang_up(self, call: int, reason: str = "") -> None: ...


class MediaFactory(TapeFactory, Protocol):
    """What a call needs of the media plane."""

    @property
    def formats(self) -> tuple[AudioFormat, ...]: ...

    def open_leg(self, observer: LegObserver, *, uplink_rate: int = 16000) -> Leg: ...


@dataclass(frozen=True, slots=True)
class House:
    """What all calls share."""

    sip: Signalling
    media: MediaFactory
    media_host: str
    """The address that SDP tells the far end."""
    plugs: Mapping[str, Plug]
    providers: Mapping[str, Provider]
    records: Records
    limits: LimitOptions
    codecs: Mapping[str, tuple[AudioFormat, ...]] = field(default_factory=dict)
    """What trunks with a codec policy of their own offer and take, by the trunk's name."""
    wiretap: Wiretap = field(default_factory=Wiretap)
    """Where captures get SIP messages from."""


class _Ear:
    """The plug's session as the leg's observer; only the end of the leg, and silence while it is held,
    are the call's own affair."""

    def __init__(
        self,
        session: PlugSession,
        own_digit: Callable[[str], bool],
        on_closed: Callable[[LegStats], None],
        on_rtp_timeout: Callable[[Nanos], None],
    ) -> None:
        self._session = session
        self._own_digit = own_digit
        self.on_closed = on_closed
        self.on_rtp_timeout = on_rtp_timeout

    def on_digit(self, digit: str, duration_ms: int, arrival: Nanos) -> None:
        if not self._own_digit(digit):
            self._session.on_digit(digit, duration_ms, arrival)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


class Call:
    """A call that came in. The plug sees it as its ``CallView``."""

    def __init__(
        self, house: House, invited: Invited, decision: Decision, trunk: TrunkOptions, route: RouteOptions
    ) -> None:
        loop = asyncio.get_running_loop()
        self.call_id = invited.call_id
        self.caller = decision.caller.shown
        self.called = decision.called
        self.timeline = Timeline()
        self.providers = house.providers
        self._house = house
        self._invited = invited
        self._trunk = trunk
        self._formats = house.codecs.get(trunk.name, house.media.formats)
        self._route = route
        self._log = structlog.get_logger().bind(call_id=invited.call_id)
        self._began = loop.time()
        self._answered_at: float | None = None
        self._offer: bytes | None = None
        self._sdp = b""
        self._sdp_version = 1
        # One key per suite for the whole call: a refresh of the session must not rekey what goes on (RFC 4568 7.1.4).
        self._srtp = SrtpTerms(trunk.srtp, {suite: secrets.token_bytes(size) for suite, size in SUITES.items()})
        names = {"caller": self.caller, "called": self.called, "trunk": trunk.name}
        self._tapes = CallTapes(
            house.media, house.wiretap, self.call_id, names, recording=route.recording, capture=route.capture
        )
        self._lost_media = False
        self._session: PlugSession | None = None
        self._leg: Leg | None = None
        self._speaking = False
        self._held = False
        self._over = False
        self._ended: asyncio.Future[Ended] = loop.create_future()
        self._media: asyncio.Future[LegStats] = loop.create_future()
        self._timers: list[asyncio.TimerHandle] = []
        self._tasks: set[asyncio.Task[None]] = set()

    # --- what the plug may do -----------------------------------------------------------------------------------------

    def now(self) -> Nanos:
        return monotonic()

    def hang_up(self, reason: str) -> None:
        self._house.sip.hang_up(self._invited.call, reason)

    def shut_down(self) -> None:
        """Hangs up; who is not answered yet is told that it is we who cannot."""
        if self._answered_at is None:
            self._house.sip.reject(self._invited.call, 503, "shutting down")
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
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("call.fault", exc_info=error)
            self._refuse(500, "internal error")

    # --- life ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """From the INVITE to the end; returns when nothing of the call is left."""
        self.record(
            "call.started",
            caller=self.caller,
            called=self.called,
            trunk=self._trunk.name,
            plug=self._route.plug,
            version=__version__,
        )
        self.spawn(self._set_up())
        try:
            ended = await self._ended
        finally:
            await self._take_down()
        self._write_down(ended, await self._tapes.close(failed=self._failed(ended)))

    def on_event(self, event: Confirmed | Reoffered | Reconfirmed | Refreshed | Ended) -> None:
        """What the signalling tells of this call."""
        match event:
            case Confirmed(_, sdp):
                self._confirmed(sdp)
            case Reoffered(_, sdp):
                self._reoffered(sdp)
            case Reconfirmed(_, sdp):
                self._connect_late(sdp)
            case Refreshed(_, sdp):
                self._offer = self._sdp
                self._connect_late(sdp)
            case Ended() if not self._ended.done():
                self._ended.set_result(event)

    async def _set_up(self) -> None:
        """Up to the 200. Why it cannot be done is told to the far end and to the log."""
        try:
            await self._ring_and_answer()
        except SdpError as error:
            self._refuse(488, str(error), error.warning)
        except (ResourceError, ProviderError) as error:
            self._refuse(503, str(error))

    async def _ring_and_answer(self) -> None:
        route, house = self._route, self._house
        session = self._session = house.plugs[route.plug].open(self)
        ear = cast("LegObserver", _Ear(session, self._tapes.on_digit, self._leg_closed, self._silent))
        leg = self._leg = house.media.open_leg(ear, uplink_rate=session.uplink_rate)
        self._tapes.opened(leg)
        sdp, stream = self._negotiate(self._invited.sdp, leg)
        if not route.early_media or stream is None:
            house.sip.ring(self._invited.call)
        rung = asyncio.get_running_loop().time() + route.ring_for / SECOND
        await session.start(leg)
        if route.early_media and stream is not None:
            self._connect(stream)
            house.sip.ring(self._invited.call, 183, sdp)
            self._speak()
        await asyncio.sleep(rung - asyncio.get_running_loop().time())
        if stream is not None and not route.early_media:
            self._connect(stream)
        house.sip.answer(self._invited.call, sdp)

    def _refuse(self, status: int, rule: str, warning: int = 399) -> None:
        self._log.warning("call.refused", status=status, rule=rule)
        if self._answered_at is None:
            self._house.sip.reject(self._invited.call, status, rule, warning=warning)
        self.hang_up(rule)

    async def _take_down(self) -> None:
        self._over = True
        for timer in self._timers:
            timer.cancel()
        tasks = list(self._tasks)
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
            caller=self.caller,
            called=self.called,
            trunk=self._trunk.name,
            plug=self._route.plug,
            by=ended.by,
            status=ended.status,
            reason=ended.reason,
            duration_s=round(now - self._began, 3),
            talk_s=0.0 if answered is None else round(now - answered, 3),
            media=asdict(self._media.result()) if self._media.done() else None,
            **tapes,
        )

    # --- answered -----------------------------------------------------------------------------------------------------

    def _confirmed(self, sdp: bytes | None) -> None:
        """The ACK has come: the plug may speak, and the clocks of the call's length run."""
        loop = asyncio.get_running_loop()
        self._answered_at = loop.time()
        self._connect_late(sdp)
        limits = [(self._house.limits.call_length, "call_length")]
        if self._route.hangup_after is not None:
            limits.append((self._route.hangup_after, "hangup_after"))
        for length, name in limits:
            self._timers.append(loop.call_later(length / SECOND, self.hang_up, name))
        self._speak()

    def _speak(self) -> None:
        if self._session is not None and not self._speaking:
            self._speaking = True
            self._session.answered()

    # --- offer and answer ---------------------------------------------------------------------------------------------

    def _negotiate(self, theirs: bytes | None, leg: Leg) -> tuple[bytes, Stream | None]:
        """Our side of the exchange, and the stream if it is agreed on already. Raises ``SdpError``.

        The version in ``o=`` grows when the description differs from the last one, and only then (RFC 3264 8).
        """
        sdp, stream = self._describe(theirs, leg)
        if self._sdp and sdp != self._sdp:
            self._sdp_version += 1
            sdp, stream = self._describe(theirs, leg)
        self._sdp = sdp
        self._offer = sdp if stream is None else None
        return sdp, stream

    def _describe(self, theirs: bytes | None, leg: Leg) -> tuple[bytes, Stream | None]:
        local, session, version = (self._house.media_host, leg.local[1]), self._invited.call, self._sdp_version
        if theirs is None:
            return offer(local, session, self._formats, version=version, srtp=self._srtp), None
        ours_first = self._trunk.codec_choice == "ours"
        agreement = answer(
            theirs, local, session, self._formats, version=version, srtp=self._srtp, ours_first=ours_first
        )
        return agreement.sdp, agreement.stream

    def _connect(self, stream: Stream) -> None:
        """Media as agreed. A caller who does not listen has put us on hold (RFC 3264 8.4); the plug is told."""
        if self._leg is not None and self._session is not None:
            self._leg.connect(stream)
            self._tapes.connected()
            if self._held == stream.send:
                self._held = not stream.send
                self._session.on_hold(self._held)

    def _silent(self, now: Nanos) -> None:
        """No sign of life has come for long; the plane is more patient with a far end that holds the call."""
        if self._session is not None:
            self._lost_media = True
            self._session.on_rtp_timeout(now)

    def _connect_late(self, theirs: bytes | None) -> None:
        """The ACK carries the answer to an offer of ours (late offer)."""
        ours, self._offer = self._offer, None
        if ours is None or self._leg is None:
            return
        if theirs is None:
            self.hang_up("no answer to our offer in the ACK (RFC 3261 13.2.1)")
            return
        try:
            self._connect(accept(theirs, ours, self._formats))
        except SdpError as error:
            self._refuse(488, str(error), error.warning)

    def _reoffered(self, theirs: bytes | None) -> None:
        """A re-INVITE: a refused one leaves the session as it was (RFC 3261 14.2)."""
        if self._leg is None:
            self._house.sip.reject(self._invited.call, 500, "re-INVITE before the call has media")
            return
        before = self._sdp, self._sdp_version, self._offer
        try:
            sdp, stream = self._negotiate(theirs, self._leg)
            if stream is not None:
                self._connect(stream)
        except LinecardError as error:
            self._sdp, self._sdp_version, self._offer = before
            status, warning = (488, error.warning) if isinstance(error, SdpError) else (500, 399)
            self._log.warning("reinvite.refused", status=status, rule=str(error))
            self._house.sip.reject(self._invited.call, status, str(error), warning=warning)
            return
        self._house.sip.answer(self._invited.call, sdp)
