"""What a call measured, worked out from two lists of facts: when the caller spoke, and when the agent was heard.

Nothing here waits or listens, so each rule can be tested with a handful of numbers. All times are CLOCK_MONOTONIC
nanoseconds at the packet, on the caller's side of the wire.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gateway.bench.measure.onset import Edge
from gateway.media.contract import LegStats
from gateway.units import Nanos

__all__ = ["CallResult", "Saying", "Span", "Summary", "TurnResult", "measure", "spans", "summarise"]


@dataclass(frozen=True, slots=True)
class Saying:
    """The caller said something."""

    text: str
    first_sent: Nanos
    """Departure of the first packet with speech."""
    last_sent: Nanos
    """Departure of the last one."""
    interrupting: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """The agent spoke. ``end`` is None if it was still speaking when the call ended."""

    start: Edge
    end: Edge | None

    def open_at(self, time: Nanos) -> bool:
        return self.start.packet <= time and (self.end is None or self.end.packet > time)


@dataclass(frozen=True, slots=True)
class TurnResult:
    """One turn of the caller and what came back."""

    number: int
    """From 1; the greeting is nobody's turn."""
    saying: Saying
    answer: Span | None
    stopped: Nanos | None = None
    """Arrival of the agent's last packet with sound after the caller had spoken over it."""
    talked_over: bool = False
    """The agent began to answer while the caller was still speaking."""

    @property
    def gap(self) -> int | None:
        """Last packet of the caller's speech sent to first packet of the answer received; negative when talked over."""
        return None if self.answer is None else self.answer.start.packet - self.saying.last_sent

    @property
    def stop(self) -> int | None:
        """First packet of the interruption sent to last packet of the agent received."""
        return None if self.stopped is None else max(0, self.stopped - self.saying.first_sent)


@dataclass(slots=True)
class CallResult:
    """One call, filled in while it goes on."""

    call_id: str = ""
    invited: Nanos | None = None
    ringing: Nanos | None = None
    answered: Nanos | None = None
    first_audio: Nanos | None = None
    """First RTP packet from the far end, with sound in it or not."""
    ended: Nanos | None = None
    ended_by: str = ""
    status: int | None = None
    """Of the final response, when the call was refused."""
    failure: str | None = None
    """Why the call is no success, in words; None if it is one."""
    greeting: Span | None = None
    turns: list[TurnResult] = field(default_factory=list)
    stats: LegStats = field(default_factory=LegStats)

    @property
    def set_up(self) -> int | None:
        """INVITE sent to 200 received."""
        return None if self.invited is None or self.answered is None else self.answered - self.invited

    @property
    def greeted_after(self) -> int | None:
        """200 received to first packet of the agent's speech."""
        return None if self.greeting is None or self.answered is None else self.greeting.start.packet - self.answered

    @property
    def success(self) -> bool:
        """Answered, ended in order, and every turn got an answer."""
        return self.failure is None and self.answered is not None and all(turn.answer for turn in self.turns)


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


def measure(result: CallResult, sayings: Sequence[Saying], heard: Sequence[Span]) -> None:
    """Fills in greeting and turns."""
    first = sayings[0].first_sent if sayings else None
    result.greeting = next((span for span in heard if first is None or span.start.packet < first), None)
    for number, saying in enumerate(sayings, 1):
        until = sayings[number].first_sent if number < len(sayings) else None
        result.turns.append(_turn(number, saying, [s for s in heard if until is None or s.start.packet < until]))


def _turn(number: int, saying: Saying, heard: Sequence[Span]) -> TurnResult:
    answer = next((span for span in heard if span.start.packet > saying.last_sent), None)
    early = next(
        (span for span in heard if span.start.packet > saying.first_sent and span.open_at(saying.last_sent)), None
    )
    return TurnResult(number, saying, early or answer, _stopped(saying, heard), talked_over=early is not None)


def _stopped(saying: Saying, heard: Sequence[Span]) -> Nanos | None:
    """None where nobody was interrupted, or where the agent went on regardless until the end of the call.

    A piece that began while the caller was speaking, and ended then, counts too: the interruption fell into a pause
    between two sentences and the agent had not yet noticed.
    """
    if not saying.interrupting:
        return None
    stopped = saying.first_sent
    for span in heard:
        if span.end is None and span.open_at(saying.first_sent):
            return None
        if span.end is not None and (span.open_at(saying.first_sent) or span.end.packet <= saying.last_sent):
            stopped = max(stopped, span.end.packet)
    return stopped


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
