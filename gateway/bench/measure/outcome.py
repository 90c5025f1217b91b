"""Every call ends as something with a name: what a caller would say of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.bench.measure.results import CallResult

__all__ = ["Ending", "Outcome", "judge"]


class Outcome(StrEnum):
    """The names; all but the first are failures."""

    OK = "ok"
    NO_ANSWER = "no-answer"
    """Nobody took the call, or nobody is there."""
    BUSY = "busy"
    REFUSED = "refused"
    """Another 4xx, 5xx or 6xx."""
    OTHER_CODEC = "other-codec"
    """No codec in common, or packets of one that was not agreed on."""
    NO_AUDIO = "no-audio"
    """Answered, and not a sound came."""
    NEVER_SILENT = "never-silent"
    """The agent still spoke when the caller lost patience."""
    TOO_LONG = "too-long"
    """The call reached its limit otherwise."""
    HUNG_UP_EARLY = "hung-up-early"
    """The agent ended the call before the caller had said everything."""
    UNANSWERED_TURN = "unanswered-turn"
    CANCELLED = "cancelled"
    """The run was ended."""
    BROKEN = "broken"
    """The bench could not place or follow the call."""


_BUSY: Final = frozenset({486, 600, 603})
_AWAY: Final = frozenset({408, 480, 487})
_NOBODY: Final = "ICMP"
"""The network says so, which SIP turns into a 503 (RFC 3261 8.1.3.1)."""
_INCOMPATIBLE: Final = frozenset({415, 488, 606})


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call came to its end, as its caller knows it."""

    complete: bool
    """The script was followed to its end."""
    limit: bool = False
    """The call's limit ended it."""
    left: bool = False
    """The caller left early, as its scenario wanted."""
    sound: bool = True
    """The agent was ever heard."""
    speaking: bool = False
    """It was speaking at the end."""


def judge(result: CallResult, ending: Ending) -> None:
    """Sets outcome and failure of a call that is over, unless it was given a name already."""
    if not result.outcome:
        result.outcome, why = _judge(result, ending)
        result.failure = result.failure or why


def _judge(result: CallResult, ending: Ending) -> tuple[Outcome, str | None]:
    if ending.left:
        return Outcome.OK, None
    if result.answered is None:
        return _unanswered(result, ending.limit)
    if not ending.sound and (ending.complete or ending.limit):
        return _soundless(result)
    if ending.limit:
        return (Outcome.NEVER_SILENT if ending.speaking else Outcome.TOO_LONG), None
    return _talked(result, ending.complete)


def _talked(result: CallResult, complete: bool) -> tuple[Outcome, str | None]:
    if not complete:
        return Outcome.HUNG_UP_EARLY, f"the call ended ({result.ended_by}) before the caller had said everything"
    unanswered = sum(turn.unanswered for turn in result.turns)
    if unanswered:
        return Outcome.UNANSWERED_TURN, f"{unanswered} of {len(result.turns)} turns got no answer"
    return Outcome.OK, None


def _unanswered(result: CallResult, limit: bool) -> tuple[Outcome, str | None]:
    status = result.status
    reason = result.ended_by.partition(": ")[2] or result.ended_by
    why = f"not answered: {'' if status is None else f'{status} '}{reason}"
    if limit or status is None or status in _AWAY or reason.startswith(_NOBODY):
        return Outcome.NO_ANSWER, why
    if status in _BUSY:
        return Outcome.BUSY, why
    return (Outcome.OTHER_CODEC if status in _INCOMPATIBLE else Outcome.REFUSED), why


def _soundless(result: CallResult) -> tuple[Outcome, str | None]:
    if result.stats.packets_received:
        return Outcome.NO_AUDIO, f"{result.stats.packets_received} packets came, and no sound in them"
    if result.stats.packets_refused:
        why = f"{result.stats.packets_refused} packets came, none of the codec that was agreed on"
        return Outcome.OTHER_CODEC, why
    return Outcome.NO_AUDIO, "no packet of audio came"
