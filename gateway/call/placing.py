"""What is asked of a call that we place, and what becomes of it: values, and the table from SIP statuses to results."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from gateway.sip.events import Ended
from gateway.sip.message import Header
from gateway.units import SECOND, Nanos, Samples

__all__ = ["AnsweredBy", "Order", "Result", "Results", "Screener", "Screening", "result_of"]


_RING: Final = Nanos(60 * SECOND)
_SCREEN: Final = Nanos(4 * SECOND)


class Results(StrEnum):
    """What becomes of a call that we place."""

    ANSWERED = "answered"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    DECLINED = "declined"
    FAILED = "failed"
    """The network, the number or the trunk: nobody was asked."""
    CANCELLED = "cancelled"
    """By us, before the answer."""
    REFUSED = "refused"
    """By a limit or policy of our own; nothing was sent."""


class AnsweredBy(StrEnum):
    """Who picked up, as far as somebody has listened."""

    UNKNOWN = "unknown"
    HUMAN = "human"
    MACHINE = "machine"
    SCREENING = "screening"
    """An assistant that asks who is calling, and why."""


@dataclass(frozen=True, slots=True)
class Result:
    """How the attempt has ended; for an answered call the talk begins here."""

    what: Results
    status: int | None = None
    """The final SIP status, if the far end or the network has given one."""
    reason: str = ""
    """The far end's Reason header text or reason phrase, or what we say."""
    call_id: str = ""
    target: str = ""
    """The trunk's target that was asked last."""
    rang_s: float | None = None
    """Seconds from the first ringing to the result; None: it did not ring."""
    answered_by: AnsweredBy = AnsweredBy.UNKNOWN
    cause: int | None = None
    """Why it was not answered, as the telephone network says it: Q.850's cause of the far end's Reason (RFC 3326), or
    what its status means (RFC 3398 8.2.6.1). None where the far end has said nothing."""


class Screening(Protocol):
    """Listens to one call from its answer on. The methods of a leg's observer that it has are called, and return at
    once; the plug hears the same."""

    def on_audio(self, pcm: bytes, media_time: Samples, arrival: Nanos, flags: int) -> None: ...

    def on_speech_started(self, media_time: Samples, arrival: Nanos) -> None: ...

    def on_speech_ended(self, media_time: Samples, arrival: Nanos) -> None: ...

    def verdict(self) -> Awaitable[AnsweredBy]:
        """As soon as it is clear; cancelled when nobody waits for it any longer."""


class Screener(Protocol):
    """Answering-machine and call-screening detection."""

    def open(self, uplink_rate: int) -> Screening:
        """``uplink_rate`` is that of the frames, in Hz."""


@dataclass(frozen=True, slots=True)
class Order:
    """A call to place."""

    trunk: str
    to: str
    """Number in E.164, or whatever user part the trunk understands."""
    plug: str
    """What the call is connected to when it is answered."""
    caller: str | None = None
    """Number to show; None: the trunk's default."""
    display: str = ""
    private: bool = False
    """Withhold the number (RFC 3323, RFC 3325)."""
    headers: tuple[Header, ...] = ()
    """Put into the INVITE, after those of the trunk."""
    ring_timeout: Nanos = _RING
    """From the first INVITE to the answer; then it is cancelled."""
    early_media: bool = False
    """Connect the media of 183: the plug hears announcements, and must not speak before the answer."""
    hangup_after: Nanos | None = None
    screener: Screener | None = None
    screen_for: Nanos = _SCREEN
    """So long the plug waits for the screener's verdict."""
    hang_up_on: frozenset[AnsweredBy] = field(default_factory=frozenset)
    """Verdicts that end the call without a word."""


_BUSY: Final = frozenset({486, 600})
_NO_ANSWER: Final = frozenset({408, 480, 487})
_DECLINED: Final = frozenset({433, 603, 607, 608})  # RFC 5079, RFC 8197, RFC 8688


def result_of(ended: Ended) -> Results:
    """What the end of a call that was never answered means. A 408 of the network is no bell that nobody heard."""
    if ended.by == "local" and ended.status is None:
        return Results.CANCELLED
    if ended.by == "network":
        return Results.FAILED
    if ended.status in _BUSY:
        return Results.BUSY
    if ended.status in _NO_ANSWER:
        return Results.NO_ANSWER
    return Results.DECLINED if ended.status in _DECLINED else Results.FAILED
