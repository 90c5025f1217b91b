"""One synthetic caller that talks: follows its scenario, on our SIP client and a leg of the media plane.

Send times are those of the packets as they left the plane (``on_playout_started``, ``on_mark``), receive times the
kernel's stamps of the packets as they came in; asyncio's own delay only moves *when* the caller reacts, never what is
measured.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from gateway import sdp
from gateway.bench.callers.ear import Ear
from gateway.bench.callers.scenario import HangUp, Interrupt, Listen, Say, Scenario, Silence, Step, Think
from gateway.bench.callers.speech import RATE
from gateway.bench.measure.results import CallResult, Saying, measure, spans
from gateway.call.dialling import Dial
from gateway.errors import SdpError
from gateway.media.contract import Leg, LegObserver
from gateway.sip.events import Answered, Ended, Event, Reoffered, Ringing
from gateway.sip.flow import Address
from gateway.units import MS, SECOND, Nanos

__all__ = ["Caller", "Clips", "Happening", "LegSource", "Phone", "PickedUp", "Rang", "Speaks", "Target"]

_TEARDOWN: Final = 2.0
"""Seconds that the plane has to close the socket."""

Clips = Mapping[str, bytes]
"""Text to the PCM that says it."""


class Phone(Protocol):
    """The SIP client, as far as a caller uses it."""

    def invite(self, target: Target, sdp: bytes, caller: str, on_event: Callable[[Event], None]) -> int:
        """Places a call. ``on_event`` hears all that becomes of it; the first may come before this returns."""

    def call_id(self, call: int) -> str: ...

    def answer(self, call: int, sdp: bytes) -> None: ...

    def reject(self, call: int, status: int, rule: str) -> None: ...

    def hang_up(self, call: int, reason: str) -> None: ...


class LegSource(Protocol):
    """The media plane, as far as a caller uses it."""

    def open_leg(self, observer: LegObserver, *, uplink_rate: int) -> Leg: ...


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


@dataclass(frozen=True, slots=True)
class Speaks:
    """The caller's first packet of a turn has just left."""

    text: str
    at: Nanos
    interrupting: bool


Happening = Rang | PickedUp | Speaks


class Caller:
    """Places one call: ``run`` it once.

    Made inside a running loop; raises ``ResourceError`` if the plane has no port left.
    """

    def __init__(
        self,
        scenario: Scenario,
        clips: Clips,
        phone: Phone,
        plane: LegSource,
        *,
        record: bool = False,
        notify: Callable[[Happening], None] = lambda _: None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.scenario = scenario
        self.ear = Ear(RATE, record=record)
        self.sayings: list[Saying] = []
        self.result = CallResult()
        self._call: int | None = None
        self.clips = clips
        self._notify = notify
        self._clock = clock
        self._phone = phone
        self._leg: Leg = plane.open_leg(self.ear, uplink_rate=RATE)
        self._session_id, self._version = random.getrandbits(31), 1
        self._offer: bytes = sdp.offer(self._leg.local, self._session_id)
        self._answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._ended = asyncio.Event()
        self._why = ""

    # --- the call -----------------------------------------------------------------------------------------------------

    async def run(self, target: Target) -> CallResult:
        """The whole call, until it has ended and its socket is closed. Cancelled, it hangs up first."""
        try:
            self.result.invited = self._now()
            self._call = self._phone.invite(target, self._offer, self.scenario.caller, self._on_sip)
            self.result.call_id = self._phone.call_id(self._call)
            await self._talk()
        except TimeoutError:
            self.result.failure = f"the call reached its limit of {self.scenario.limit / SECOND:g} s"
        except SdpError as error:
            self.result.failure = f"the answer's session cannot be used: {error}"
        finally:
            await self._leave()
        return self.result

    def so_far(self) -> CallResult:
        """What can be measured of the turns that have been spoken."""
        result = CallResult(answered=self.result.answered)
        measure(result, self.sayings, spans(self.ear.edges))
        return result

    async def _talk(self) -> None:
        """The script runs beside the end of the call, which can come at any point of it."""
        script = asyncio.create_task(self._script())
        ended = asyncio.create_task(self._ended.wait())
        try:
            limit = self.scenario.limit / SECOND
            done, _ = await asyncio.wait((script, ended), timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                raise TimeoutError
            if script in done:
                script.result()
            else:
                self._cut_short()
        finally:
            for task in (script, ended):
                task.cancel()
            await asyncio.gather(script, ended, return_exceptions=True)

    async def _script(self) -> None:
        answer = await self._answer
        stream = sdp.accept(answer or b"", self._offer)
        self._leg.connect(stream)
        for step in self.scenario.steps:
            await self._do(step)
        if not isinstance(self.scenario.steps[-1], HangUp):
            await self._ended.wait()

    def _cut_short(self) -> None:
        if self.result.answered is None:
            status = "" if self.result.status is None else f"{self.result.status} "
            self.result.failure = f"not answered: {status}{self._why}"
        elif len(self.sayings) < self.scenario.turns:
            self.result.failure = f"the call ended ({self.result.ended_by}) before the caller had said everything"

    async def _leave(self) -> None:
        if self._call is not None and not self._ended.is_set():
            self._phone.hang_up(self._call, "the caller has finished")
        self.result.ended = self.result.ended or self._now()
        self._leg.close()
        await self._until(lambda: self.ear.stats is not None, _TEARDOWN)
        self.ear.finish()
        self.result.first_audio = self.ear.first_audio
        self.result.stats = self.ear.stats or self.result.stats
        measure(self.result, self.sayings, spans(self.ear.edges))

    # --- SIP ----------------------------------------------------------------------------------------------------------

    def _on_sip(self, event: Event) -> None:
        match event:
            case Ringing():
                if self.result.ringing is None:
                    self.result.ringing = self._now()
                    self._notify(Rang(self.result.ringing))
            case Answered(sdp=answer):
                self.result.answered = self._now()
                self._notify(PickedUp(self.result.answered))
                if not self._answer.done():
                    self._answer.set_result(answer)
            case Reoffered(call=call, sdp=offer):
                self._reanswer(call, offer)
            case Ended(by=by, status=status, reason=reason):
                self.result.ended, self.result.status = self._now(), status
                self.result.ended_by, self._why = f"{by}: {reason}" if reason else by, reason or by
                self._ended.set()
            case _:
                pass

    def _reanswer(self, call: int, offer: bytes | None) -> None:
        """The agent's side moves its media, or holds: say yes, with what we have."""
        if offer is None:
            self._phone.answer(call, self._offer)
            return
        self._version += 1
        try:
            agreement = sdp.answer(offer, self._leg.local, self._session_id, version=self._version)
        except SdpError as error:
            self._phone.reject(call, 488, str(error))
            return
        self._phone.answer(call, agreement.sdp)
        self._leg.connect(agreement.stream)

    # --- the script ---------------------------------------------------------------------------------------------------

    async def _do(self, step: Step) -> None:
        match step:
            case Listen(quiet=quiet, within=within):
                if await self._agent_begins(within):
                    await self._agent_finishes(quiet)
            case Think(time=length) | Silence(time=length):
                await asyncio.sleep(length / SECOND)
            case Say(text=text):
                await self._say(text)
            case Interrupt(after=after, say=text, within=within):
                await self._interrupt(after, text, within)
            case HangUp():
                pass  # the script's end

    async def _say(self, text: str, *, interrupting: bool = False) -> None:
        number = len(self.sayings) + 1
        self.ear.playout_started.clear()
        self._leg.play(self.clips[text], RATE)
        self._leg.mark(number)
        await self._until(lambda: bool(self.ear.playout_started))
        first = self.ear.playout_started.popleft()
        self._notify(Speaks(text, first, interrupting))
        await self._until(lambda: number in self.ear.marks)
        self.sayings.append(Saying(text, first, self.ear.marks[number], interrupting))

    async def _interrupt(self, after: Nanos, text: str, within: Nanos) -> None:
        if await self._agent_begins(within):
            since = self._since()
            began = next((edge.packet for edge in self.ear.edges if edge.started and edge.packet > since), self._now())
            await asyncio.sleep(max(0, began + after - self._now()) / SECOND)
        await self._say(text, interrupting=self.ear.speaking_since is not None)

    def _since(self) -> Nanos:
        """From when on the agent's speech answers the caller's."""
        if self.sayings:
            return self.sayings[-1].last_sent
        return self.result.answered or Nanos(0)

    async def _agent_begins(self, within: Nanos) -> bool:
        since = self._since()

        def begun() -> bool:
            return self.ear.speaking_since is not None or bool(self.ear.edges and self.ear.edges[-1].packet > since)

        return await self._until(begun, within / SECOND)

    async def _agent_finishes(self, quiet: Nanos) -> None:
        while True:
            now = self._now()
            since = self.ear.quiet_since(now)
            if since is not None and now - since >= quiet:
                return
            left = 100 * MS if since is None else since + quiet - now
            await self.ear.changed(left / SECOND)

    async def _until(self, condition: Callable[[], bool], limit_s: float | None = None) -> bool:
        """Waits for a fact; without a limit the call's own limit is the bound."""
        deadline = None if limit_s is None else self._now() + limit_s * SECOND
        while not condition():
            left = 1.0 if deadline is None else (deadline - self._now()) / SECOND
            if left <= 0:
                return False
            await self.ear.changed(left)
        return True

    def _now(self) -> Nanos:
        return Nanos(self._clock())
