"""What a caller does in its call, step by step: waits for what it hears, and speaks when its scenario wants it to.

Every moment of a scenario is known before it comes: a think time counts from the end of the agent's speech, which was
heard ``quiet`` ago. So speech is handed to the plane ahead of its time, with its time, and begins to the sample,
however busy the event loop is.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.bench.callers.ear import Ear
from gateway.bench.callers.scenario import Scenario
from gateway.bench.callers.speech import FRAME, RATE
from gateway.bench.callers.steps import (
    Backchannel,
    Behind,
    Digits,
    HangUp,
    Hold,
    Interrupt,
    Listen,
    Resume,
    Say,
    Silence,
    Speech,
    Step,
    TalkOver,
    Think,
)
from gateway.bench.measure.results import Manner, Saying
from gateway.media.contract import Leg
from gateway.units import MS, SECOND, Nanos

__all__ = ["Clips", "Script", "Speaks"]

_AHEAD: Final = 60 * MS
"""How long before its time speech is handed to the plane."""

Clips = Mapping[str, bytes]
"""What a caller says (``Speech.key``), and what is behind it (``Behind``), to PCM at 8000 Hz."""


@dataclass(frozen=True, slots=True)
class Speaks:
    """The caller's first packet of a turn has just left."""

    text: str
    at: Nanos
    interrupting: bool


class Holds(Protocol):
    """The call, as far as a script changes it."""

    def hold(self, *, held: bool) -> None:
        """Sends a re-INVITE."""


class Script:
    """The steps of one call. ``run`` it once the leg is connected."""

    def __init__(
        self,
        scenario: Scenario,
        clips: Clips,
        leg: Leg,
        ear: Ear,
        call: Holds,
        *,
        source: random.Random,
        notify: Callable[[Speaks], None],
        clock: Callable[[], int],
    ) -> None:
        self._scenario = scenario
        self._clips = clips
        self._leg = leg
        self._ear = ear
        self._call = call
        self._source = source
        self._notify = notify
        self._clock = clock
        self.sayings: list[Saying] = []
        self.expected: list[int | None] = []
        """Of each saying: nanoseconds of sound that its answer should have."""
        self.busy: list[tuple[int, int]] = []
        """When the caller was thinking, or held the agent: no dead air."""
        self.complete = False
        """Every step was taken."""
        self._began = Nanos(0)
        self._position = 0
        """Samples played so far."""
        self._next: Nanos | None = None
        """When the step before has ended, and the next one begins."""

    async def run(self, answered: Nanos) -> None:
        """Takes every step. Whoever cancels it ends the call."""
        self._began = answered
        steps = self._scenario.steps
        for number, step in enumerate(steps):
            await self._do(step, awaited=_waits(steps[number + 1 :]))
        self.complete = True

    async def _do(self, step: Step, *, awaited: bool) -> None:
        match step:
            case Listen():
                await self._listen(step)
            case Think(time=length):
                self._pause(length.draw(self._source), busy=True)
            case Silence(time=length):
                self._pause(length, busy=False)
                await self._until_time(self._due())
            case Speech():
                await self._speak(step, awaited=awaited)
            case Digits():
                await self._dial(step, awaited=awaited)
            case Behind():
                self._behind(step)
            case Hold(time=length):
                await self._hold(length)
            case Resume():
                await self._until_time(self._due())
                self._call.hold(held=False)
            case HangUp():
                await self._until_time(self._due())

    async def _speak(self, step: Speech, *, awaited: bool) -> None:
        match step:
            case TalkOver():
                await self._cut_in(step, Manner.TALK_OVER, awaited=awaited)
            case Backchannel():
                await self._cut_in(step, Manner.BACKCHANNEL, awaited=False)
            case Interrupt():
                await self._cut_in(step, Manner.INTERRUPTION, awaited=awaited)
            case _:
                await self._say(step, Manner.TURN, self._due(), awaited=awaited)

    # --- time ---------------------------------------------------------------------------------------------------------

    def _now(self) -> Nanos:
        return Nanos(self._clock())

    def _due(self) -> Nanos:
        """When the next step begins; what was handed up late begins now."""
        return self._now() if self._next is None else self._next

    def _pause(self, length: int, *, busy: bool) -> None:
        start = self._due()
        self._next = Nanos(start + length)
        if busy:
            self.busy.append((start, self._next))

    async def _until_time(self, time: Nanos) -> None:
        left = time - self._now()
        if left > 0:
            await asyncio.sleep(left / SECOND)

    # --- listening ----------------------------------------------------------------------------------------------------

    async def _listen(self, step: Listen) -> None:
        if step.expect is not None and self.expected:
            self.expected[-1] = step.expect
        if await self._agent_begins(step.within):
            self._next = Nanos(await self._agent_finishes(step.quiet) + step.quiet)
        else:
            self._next = None

    def _since(self) -> Nanos:
        """From when on the agent's speech answers the caller's."""
        return self.sayings[-1].ended if self.sayings else self._began

    async def _agent_begins(self, within: Nanos) -> bool:
        since, ear = self._since(), self._ear

        def begun() -> bool:
            return ear.speaking_since is not None or bool(ear.edges and ear.edges[-1].at > since)

        return await self._until(begun, within / SECOND)

    async def _agent_finishes(self, quiet: Nanos) -> Nanos:
        """Since when it is quiet, once it has been for so long."""
        while True:
            now = self._now()
            since = self._ear.quiet_since
            if since is not None and now - since >= quiet - _AHEAD:
                return since
            left = 100 * MS if since is None else since + quiet - _AHEAD - now
            await self._ear.changed(left / SECOND)

    async def _until(self, condition: Callable[[], bool], limit_s: float | None = None) -> bool:
        """Waits for a fact; without a limit the call's own limit is the bound."""
        deadline = None if limit_s is None else self._now() + limit_s * SECOND
        while not condition():
            left = 1.0 if deadline is None else (deadline - self._now()) / SECOND
            if left <= 0:
                return False
            await self._ear.changed(left)
        return True

    # --- speaking -----------------------------------------------------------------------------------------------------

    async def _cut_in(self, step: Interrupt, manner: Manner, *, awaited: bool) -> None:
        """Into the agent's speech. If it was over by then, or never began, it is an ordinary turn."""
        at = self._now()
        if await self._agent_begins(step.within):
            since = self._since()
            began = next((edge.at for edge in self._ear.edges if edge.started and edge.at > since), at)
            at = Nanos(began + step.after)
            await self._until_time(Nanos(at - _AHEAD))
        if self._ear.speaking_since is None and manner is not Manner.BACKCHANNEL:
            manner = Manner.TURN
        await self._say(step, manner, at, awaited=awaited)

    async def _say(self, speech: Speech, manner: Manner, at: Nanos, *, awaited: bool) -> None:
        clip = self._clips[speech.key]
        number = len(self.sayings) + 1
        await self._until_time(Nanos(at - _AHEAD))
        self._ear.playout_started.clear()
        self._leg.play(clip, RATE, at=at)
        self._leg.mark(number)
        await self._until(lambda: bool(self._ear.playout_started))
        first = self._ear.playout_started.popleft()
        self._notify(Speaks(speech.key, first.at, manner is Manner.INTERRUPTION))
        await self._until(lambda: number in self._ear.marks)
        last = self._ear.marks[number]
        tail = _tail(last.position - self._position)
        self._position = last.position
        self._said(Saying(speech.key, first.at, last.at, manner, tail, awaited, max(0, first.at - at)))

    async def _dial(self, step: Digits, *, awaited: bool) -> None:
        number = len(self.sayings) + 1
        at = self._due()
        await self._until_time(at)
        self._leg.send_digits(step.digits, tone=step.tone, gap=step.gap, number=number)
        await self._until(lambda: number in self._ear.marks)
        # The mark is told with the last packet of the last gap.
        ended = Nanos(self._ear.marks[number].at + FRAME * SECOND // RATE - step.gap)
        first = Nanos(ended - len(step.digits) * step.tone - (len(step.digits) - 1) * step.gap)
        self._said(Saying(step.digits, first, ended, Manner.DIGITS, 0, awaited))

    def _said(self, saying: Saying) -> None:
        self.sayings.append(saying)
        self.expected.append(None)
        self._next = None

    def _behind(self, step: Behind) -> None:
        if step.noise == "off":
            self._leg.set_backdrop(b"", RATE)
        else:
            self._leg.set_backdrop(self._clips[step.key], RATE, level_db=0.0, duck_db=0.0)

    async def _hold(self, length: Nanos | None) -> None:
        await self._until_time(self._due())
        start = self._now()
        self._call.hold(held=True)
        self._next = None
        if length is not None:
            await self._until_time(Nanos(start + length))
            self._call.hold(held=False)
            self.busy.append((start, self._now()))


def _tail(played: int) -> int:
    """Nanoseconds from the beginning of the last packet to its end. ``played`` counts samples, and the silence in
    which the first packet may begin among them."""
    return ((played - 1) % FRAME + 1) * SECOND // RATE


def _waits(steps: list[Step]) -> bool:
    """Whether the caller waits for the agent before it says or does anything else."""
    for step in steps:
        if isinstance(step, Listen | Interrupt):
            return True
        if isinstance(step, Say | Digits | HangUp):
            return False
    return False
