"""One synthetic caller that talks: places its call on our SIP client, and follows its scenario on a leg of the plane.

Send times are those of the packets as they left the plane (``on_playout_started``, ``on_mark``), receive times the
kernel's stamps of the packets as they came in; asyncio's own delay only moves *when* the caller reacts, never what is
measured.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final, Literal, Protocol

from gateway.bench.callers.description import Description
from gateway.bench.callers.ear import Ear
from gateway.bench.callers.impairments import Impairments
from gateway.bench.callers.scenario import Scenario
from gateway.bench.callers.script import Clips, Script, Speaks
from gateway.bench.callers.speech import RATE
from gateway.bench.measure.outcome import Ending, Outcome, judge
from gateway.bench.measure.results import CallResult, Saying, Ticket, dead_air, measure, spans
from gateway.call.dialling import Dial
from gateway.errors import SdpError
from gateway.media.contract import Hearing, Leg, SoundObserver
from gateway.sip.events import Answered, Ended, Event, OfferAnswered, OfferRefused, Reoffered, Ringing
from gateway.sip.flow import Address
from gateway.units import SECOND, Nanos

__all__ = ["Caller", "Clips", "Happening", "LegSource", "Phone", "PickedUp", "Rang", "Speaks", "Target"]

_TEARDOWN: Final = 2.0
"""Seconds that the plane has to close the socket."""


class Phone(Protocol):
    """The SIP client, as far as a caller uses it."""

    def invite(self, target: Target, sdp: bytes, caller: str, on_event: Callable[[Event], None]) -> int:
        """Places a call. ``on_event`` hears all that becomes of it; the first may come before this returns."""

    def call_id(self, call: int) -> str: ...

    def answer(self, call: int, sdp: bytes) -> None: ...

    def reject(self, call: int, status: int, rule: str) -> None: ...

    def reoffer(self, call: int, sdp: bytes) -> None: ...

    def hang_up(self, call: int, reason: str) -> None: ...


class LegSource(Protocol):
    """The media plane, as far as a caller uses it."""

    def open_leg(self, observer: SoundObserver, *, uplink_rate: int) -> Leg: ...


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to call."""

    uri: str
    remote: tuple[str, int]
    """Where the INVITE goes."""
    transport: str = "udp"
    dial: Dial | None = None
    """How a trunk wants it dialled; none: nobody in particular, at our own address."""
    others: tuple[Address, ...] = ()
    """More servers of the same name, asked in turn where the one before fails (RFC 3263 4.3)."""
    patience: Nanos | None = None
    """How long silence is waited for, if not 64*T1."""


@dataclass(frozen=True, slots=True)
class Rang:
    at: Nanos


@dataclass(frozen=True, slots=True)
class PickedUp:
    at: Nanos


Happening = Rang | PickedUp | Speaks
_End = Literal["ended", "limit", "left", "script"]


class Caller:
    """Places one call: ``run`` it once. What it draws, it draws from its ticket's seed.

    Made inside a running loop; raises ``ResourceError`` if the plane has no port left.
    """

    def __init__(
        self,
        scenario: Scenario,
        clips: Clips,
        phone: Phone,
        plane: LegSource,
        *,
        ticket: Ticket | None = None,
        impairments: Impairments | None = None,
        record: bool = False,
        notify: Callable[[Happening], None] = lambda _: None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.scenario = scenario
        self.clips = clips
        self.impairments = impairments or scenario.impairments
        self.ear = Ear()
        self.result = CallResult(ticket or Ticket(), scenario.name)
        self._source = random.Random(f"{self.result.ticket.seed}:{self.result.ticket.number}")
        self._call: int | None = None
        self._notify = notify
        self._clock = clock
        self._phone = phone
        self._leg: Leg = plane.open_leg(self.ear, uplink_rate=RATE)
        self._leg.listen(Hearing(audio=record))
        self._impair()
        self._description = Description(self._leg.local, self._source)
        self._script = Script(
            scenario, clips, self._leg, self.ear, self, source=self._source, notify=notify, clock=clock
        )
        loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[bytes | None] = loop.create_future()
        self._over: asyncio.Future[_End] = loop.create_future()
        self._timers: list[asyncio.TimerHandle] = []
        self._gone = False
        """The dialog has ended."""

    def _impair(self) -> None:
        """Puts the caller's line between its leg and the network."""
        line = self.impairments
        if line is None or line == Impairments():
            return
        self._leg.impair(
            line.send.terms(self._source.getrandbits(64)),
            line.receive.terms(self._source.getrandbits(64)),
            skew_ppm=line.skew,
            sparing=line.silence_suppression,
        )
        self.result.impairments = line.model_dump(mode="json", exclude_defaults=True)

    def _tell_impairments(self) -> None:
        """What the line did, beside what was asked of it."""
        ways = {"sent": self.result.stats.line_sent, "received": self.result.stats.line_received}
        if self.result.impairments is not None:
            self.result.impairments["did"] = {way: asdict(counts) for way, counts in ways.items() if counts}

    @property
    def sayings(self) -> list[Saying]:
        """What has been said so far."""
        return self._script.sayings

    # --- the call -----------------------------------------------------------------------------------------------------

    async def run(self, target: Target) -> CallResult:
        """The whole call, until it has ended and its socket is closed. Cancelled, it hangs up first; what was measured
        until then is in ``result``."""
        end: _End | None = None
        try:
            self.result.invited = self._now()
            self._call = self._phone.invite(target, self._description.offered, self.scenario.caller, self._on_sip)
            self.result.call_id = self._phone.call_id(self._call)
            end = await self._talk()
        except SdpError as error:
            self.result.outcome = Outcome.OTHER_CODEC
            self.result.failure = f"the answer's session cannot be used: {error}"
        except asyncio.CancelledError:
            self.result.outcome, self.result.failure = Outcome.CANCELLED, "the run was ended"
            raise
        finally:
            await self._leave(end)
        return self.result

    def so_far(self) -> CallResult:
        """What can be measured of the turns that have been spoken."""
        result = CallResult(answered=self.result.answered)
        measure(result, self.sayings, spans(self.ear.edges))
        return result

    async def _talk(self) -> _End:
        """The script runs beside the end of the call, which can come at any point of it."""
        script = asyncio.create_task(self._follow())
        script.add_done_callback(lambda _: self._finish("script"))
        self._after(self.scenario.limit, "limit")
        if self.scenario.abandons_after is not None and not self._answer.done():
            self._after(self.scenario.abandons_after, "left")
        try:
            end = await asyncio.shield(self._over)
            if script.done():
                script.result()
            return end
        finally:
            for timer in self._timers:
                timer.cancel()
            script.cancel()
            await asyncio.gather(script, return_exceptions=True)

    async def _follow(self) -> None:
        answer = await self._answer
        self._leg.connect(self._description.accept(answer))
        await self._script.run(self.result.answered or self._now())
        if not self.scenario.hangs_up:
            await asyncio.shield(self._over)

    def _after(self, length: Nanos, end: _End) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(length / SECOND, self._finish, end))

    def _finish(self, end: _End) -> None:
        if not self._over.done():
            self._over.set_result(end)

    async def _leave(self, end: _End | None) -> None:
        speaking = self.ear.speaking_since is not None
        if self._call is not None and not self._gone:
            self._phone.hang_up(self._call, "the caller has finished")
        result, script = self.result, self._script
        result.ended = result.ended or self._now()
        self._leg.close()
        await self._closed()
        result.first_audio = self.ear.first_audio
        result.stats = self.ear.stats or result.stats
        self._tell_impairments()
        measure(result, self.sayings, spans(self.ear.edges), script.expected)
        self._find_dead_air()
        if end == "limit":
            result.failure = f"the call reached its limit of {self.scenario.limit / SECOND:g} s"
        complete = script.complete or 0 < self.scenario.turns <= len(self.sayings)
        judge(result, Ending(complete, end == "limit", end == "left", bool(self.ear.edges), speaking))

    async def _closed(self) -> None:
        deadline = self._now() + _TEARDOWN * SECOND
        while self.ear.stats is None and self._now() < deadline:
            await self.ear.changed((deadline - self._now()) / SECOND)

    def _find_dead_air(self) -> None:
        result = self.result
        if result.answered is None or result.ended is None:
            return
        heard = [(span.start.at, result.ended if span.end is None else span.end.at) for span in result.heard]
        said = [(saying.first_sent, saying.ended) for saying in self.sayings]
        result.dead_air = list(dead_air(result.answered, result.ended, [*heard, *said, *self._script.busy]))

    # --- SIP ----------------------------------------------------------------------------------------------------------

    def _on_sip(self, event: Event) -> None:
        match event:
            case Ringing():
                if self.result.ringing is None:
                    self.result.ringing = self._now()
                    self._notify(Rang(self.result.ringing))
            case Answered(sdp=answer):
                self._picked_up(answer)
            case Reoffered(call=call, sdp=offer):
                self._reanswer(call, offer)
            case OfferAnswered(sdp=answer):
                self._reconnect(answer)
            case OfferRefused(status=status, reason=reason):
                self.result.failure = f"a re-INVITE was refused: {status} {reason}"
            case Ended(by=by, status=status, reason=reason):
                self.result.ended, self.result.status = self._now(), status
                self.result.ended_by = f"{by}: {reason}" if reason else by
                self._gone = True
                self._finish("ended")
            case _:
                pass

    def _picked_up(self, answer: bytes | None) -> None:
        self.result.answered = self._now()
        self._notify(PickedUp(self.result.answered))
        for timer in self._timers[1:]:  # of who would have given up
            timer.cancel()
        if self.scenario.leaves_after is not None:
            self._after(self.scenario.leaves_after, "left")
        if not self._answer.done():
            self._answer.set_result(answer)

    def hold(self, *, held: bool) -> None:
        """A re-INVITE that puts the agent on hold, or takes it back."""
        if self._call is not None and not self._gone:
            self._phone.reoffer(self._call, self._description.hold(held=held))

    def _reconnect(self, answer: bytes | None) -> None:
        try:
            self._leg.connect(self._description.accept(answer))
        except SdpError as error:
            self.result.failure = f"the answer to a re-INVITE cannot be used: {error}"

    def _reanswer(self, call: int, offer: bytes | None) -> None:
        if offer is None:
            self._phone.answer(call, self._description.offered)
            return
        try:
            agreement = self._description.answer(offer)
        except SdpError as error:
            self._phone.reject(call, 488, str(error))
            return
        self._phone.answer(call, agreement.sdp)
        self._leg.connect(agreement.stream)

    def _now(self) -> Nanos:
        return Nanos(self._clock())
