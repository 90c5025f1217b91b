"""What a call measured, worked out from two lists of facts: when the caller spoke, and when the agent was heard.

Nothing here waits or listens, so each rule can be tested with a handful of numbers. All times are CLOCK_MONOTONIC
nanoseconds on the caller's side of the wire. A sample's time is that of its packet plus its place inside it, in both
directions: so no figure depends on how speech happens to be cut into packets.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from gateway.bench.measure.onset import Edge
from gateway.media.contract import LegStats
from gateway.units import MS, SECOND, Nanos

__all__ = [
    "CallResult",
    "DeadAir",
    "Manner",
    "Saying",
    "Span",
    "Summary",
    "Ticket",
    "TurnResult",
    "dead_air",
    "measure",
    "spans",
    "summarise",
]

DEAD_AIR: Final = 2 * SECOND
"""A silence longer than this makes a caller ask whether anybody is there."""
_FALSE_STOP: Final = 1000 * MS
"""An agent that falls silent within this time after a backchannel was stopped by it,"""
_PAUSE: Final = 800 * MS
"""unless it goes on before this: a pause between two sentences."""


class Manner(StrEnum):
    """How the caller said something."""

    TURN = "turn"
    INTERRUPTION = "interruption"
    """Into the agent's speech, which should stop."""
    TALK_OVER = "talk-over"
    """Into the agent's speech, whatever it does."""
    BACKCHANNEL = "backchannel"
    """Into the agent's speech, which should go on: mhm."""
    DIGITS = "digits"


@dataclass(frozen=True, slots=True)
class Ticket:
    """Which of a run's calls it is."""

    number: int = 0
    seed: int = 0
    """Of all that this call draws: think times, noise, losses."""
    phase: str = ""
    warm_up: bool = False
    due: Nanos | None = None
    """When the schedule wanted the INVITE to leave."""


@dataclass(frozen=True, slots=True)
class Saying:
    """The caller said something."""

    text: str
    first_sent: Nanos
    """Departure of the first sample of speech."""
    last_sent: Nanos
    """Departure of the last packet with speech."""
    manner: Manner = Manner.TURN
    tail: int = 0
    """Nanoseconds from the beginning of that packet to the end of the last sample of speech in it."""
    awaited: bool = True
    """The caller then waits for an answer."""
    late: int = 0
    """Nanoseconds by which it began later than the scenario wanted."""

    @property
    def ended(self) -> Nanos:
        """Departure of the last sample of speech."""
        return Nanos(self.last_sent + self.tail)

    @property
    def interrupting(self) -> bool:
        return self.manner is Manner.INTERRUPTION


@dataclass(frozen=True, slots=True)
class Span:
    """The agent spoke. ``end`` is None if it was still speaking when the call ended."""

    start: Edge
    end: Edge | None

    def open_at(self, time: Nanos) -> bool:
        return self.start.at <= time and (self.end is None or self.end.at > time)


@dataclass(frozen=True, slots=True)
class TurnResult:
    """One turn of the caller and what came back."""

    number: int
    """From 1; the greeting is nobody's turn."""
    saying: Saying
    answer: Span | None
    stopped: Nanos | None = None
    """Arrival of the agent's last sound after the caller had spoken over it."""
    talked_over: bool = False
    """The agent began to answer while the caller was still speaking."""
    false_barge_in: bool = False
    """The agent was stopped by what should not have stopped it."""
    overlap: int = 0
    """Nanoseconds during which both spoke."""
    clipped: int | None = None
    """Nanoseconds of sound that were expected of the answer and not heard; None if nobody knows what to expect."""

    @property
    def gap(self) -> int | None:
        """Last sample of the caller's speech sent to first sample of the answer received; negative when talked over."""
        return None if self.answer is None else self.answer.start.at - self.saying.ended

    @property
    def packet_gap(self) -> int | None:
        """The same from packet to packet, as protocol analysers and gateways stamp it: up to 20 ms to either side."""
        return None if self.answer is None else self.answer.start.packet - self.saying.last_sent

    @property
    def stop(self) -> int | None:
        """First sample of the interruption sent to last sound of the agent received."""
        return None if self.stopped is None else max(0, self.stopped - self.saying.first_sent)

    @property
    def unanswered(self) -> bool:
        return self.answer is None and self.saying.awaited


@dataclass(frozen=True, slots=True)
class DeadAir:
    """Nobody spoke, and the caller was not thinking either."""

    since: Nanos
    length: int


@dataclass(slots=True)
class CallResult:
    """One call, filled in while it goes on."""

    ticket: Ticket = field(default_factory=Ticket)
    scenario: str = ""
    call_id: str = ""
    invited: Nanos | None = None
    ringing: Nanos | None = None
    answered: Nanos | None = None
    first_audio: Nanos | None = None
    """First RTP packet from the far end, with sound in it or not."""
    ended: Nanos | None = None
    ended_by: str = ""
    """``local``, ``remote`` or ``network``, and the reason that was given."""
    status: int | None = None
    """Of the final response, when the call was refused."""
    outcome: str = ""
    """One of ``gateway.bench.measure.outcome.Outcome``."""
    failure: str | None = None
    """Why the call is no success, in words; None if it is one."""
    greeting: Span | None = None
    turns: list[TurnResult] = field(default_factory=list)
    heard: list[Span] = field(default_factory=list)
    """All that the agent said."""
    dead_air: list[DeadAir] = field(default_factory=list)
    stats: LegStats = field(default_factory=LegStats)
    impairments: dict[str, Any] | None = None
    """As the call's file wrote them, and what they did."""
    recording: str | None = None

    @property
    def set_up(self) -> int | None:
        """INVITE sent to 200 received."""
        return None if self.invited is None or self.answered is None else self.answered - self.invited

    @property
    def greeted_after(self) -> int | None:
        """200 received to the first sample of the agent's speech."""
        return None if self.greeting is None or self.answered is None else self.greeting.start.at - self.answered

    @property
    def success(self) -> bool:
        """Answered, ended in order, and every turn got an answer."""
        return self.failure is None and self.answered is not None and not any(t.unanswered for t in self.turns)


def spans(edges: Iterable[Edge]) -> list[Span]:
    """Edges, in order, to the pieces of speech that they delimit."""
    found: list[Span] = []
    start: Edge | None = None
    for edge in edges:
        if edge.started:
            start = edge
        elif start is not None:
            found.append(Span(start, edge))
            start = None
    return found if start is None else [*found, Span(start, None)]


def measure(
    result: CallResult, sayings: Sequence[Saying], heard: Sequence[Span], expected: Sequence[int | None] = ()
) -> None:
    """Fills in greeting and turns. ``expected``: nanoseconds of sound in the answer to each saying, where known."""
    first = sayings[0].first_sent if sayings else None
    result.heard = list(heard)
    result.greeting = next((span for span in heard if first is None or span.start.at < first), None)
    for number, saying in enumerate(sayings, 1):
        until = sayings[number].first_sent if number < len(sayings) else None
        wanted = expected[number - 1] if number <= len(expected) else None
        before = [s for s in heard if until is None or s.start.at < until]
        result.turns.append(_turn(number, saying, before, wanted))


def _turn(number: int, saying: Saying, heard: Sequence[Span], expected: int | None) -> TurnResult:
    overlap = sum(_overlap(saying, span) for span in heard)
    if saying.manner is Manner.BACKCHANNEL:
        return TurnResult(number, saying, None, false_barge_in=_cut_off(saying, heard), overlap=overlap)
    answer = next((span for span in heard if span.start.at > saying.ended), None)
    early = next((span for span in heard if span.start.at > saying.first_sent and span.open_at(saying.ended)), None)
    return TurnResult(
        number,
        saying,
        early or answer,
        _stopped(saying, heard),
        talked_over=early is not None,
        overlap=overlap,
        clipped=None if expected is None else _clipped(saying, heard, expected),
    )


def _overlap(saying: Saying, span: Span) -> int:
    end = saying.ended if span.end is None else min(saying.ended, span.end.at)
    return max(0, end - max(saying.first_sent, span.start.at))


def _clipped(saying: Saying, heard: Sequence[Span], expected: int) -> int:
    """Only sound counts: what was lost in the middle of a word, and concealed or silent, was not heard either."""
    sound = sum(span.end.sound for span in heard if span.end is not None and span.start.at > saying.first_sent)
    return max(0, expected - sound)


def _cut_off(saying: Saying, heard: Sequence[Span]) -> bool:
    """Whether the agent fell silent over a backchannel, and not just between two sentences."""
    for number, span in enumerate(heard):
        if span.end is None or not span.open_at(saying.first_sent):
            continue
        following = heard[number + 1].start.at if number + 1 < len(heard) else None
        stopped = span.end.at - saying.first_sent <= _FALSE_STOP
        return stopped and (following is None or following - span.end.at > _PAUSE)
    return False


def _stopped(saying: Saying, heard: Sequence[Span]) -> Nanos | None:
    """None where nobody was interrupted, or where the agent went on regardless until the end of the call.

    A piece that began while the caller was speaking, and ended then, counts too: the interruption fell into a pause
    between two sentences and the agent had not yet noticed.
    """
    if saying.manner is not Manner.INTERRUPTION:
        return None
    stopped = saying.first_sent
    for span in heard:
        if span.end is None and span.open_at(saying.first_sent):
            return None
        if span.end is not None and (span.open_at(saying.first_sent) or span.end.at <= saying.ended):
            stopped = max(stopped, span.end.at)
    return stopped


def dead_air(since: Nanos, until: Nanos, sounds: Iterable[tuple[int, int]], limit: int = DEAD_AIR) -> Iterator[DeadAir]:
    """Silences longer than ``limit`` between two moments. ``sounds``: (from, to) of whoever spoke or was thinking."""
    quiet = int(since)
    for start, end in sorted(sounds):
        if min(start, until) - quiet > limit:
            yield DeadAir(Nanos(quiet), min(start, until) - quiet)
        quiet = max(quiet, end)
    if until - quiet > limit:
        yield DeadAir(Nanos(quiet), until - quiet)


@dataclass(frozen=True, slots=True)
class Summary:
    """A handful of measurements of one kind."""

    count: int
    p50: float
    p95: float
    p99: float
    max: float


def summarise(values: Iterable[float]) -> Summary | None:
    """Percentiles by nearest rank: each is a value that was measured. None if there is no value."""
    ordered = sorted(values)
    if not ordered:
        return None
    at = [ordered[math.ceil(share * len(ordered)) - 1] for share in (0.50, 0.95, 0.99, 1.0)]
    return Summary(len(ordered), *at)
