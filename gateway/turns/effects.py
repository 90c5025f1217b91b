"""All that a conversation asks its plug to do, and all that it reports."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.timeline import Interruption, TurnTimes
from gateway.turns.history import Message
from gateway.units import Samples

__all__ = [
    "Apologise",
    "BeginTurn",
    "CancelGenerate",
    "CancelSpeak",
    "CancelTurn",
    "CoverGap",
    "Effect",
    "EndTurn",
    "Flush",
    "Generate",
    "HangUp",
    "Heard",
    "Interrupted",
    "MarkAnswer",
    "Report",
    "Speak",
    "TellInterrupted",
    "ToLeg",
    "ToModel",
    "Trim",
    "TurnDone",
]


@dataclass(frozen=True, slots=True)
class BeginTurn:
    """To the STT: speech begins at ``media_time``."""

    turn: int
    media_time: Samples


@dataclass(frozen=True, slots=True)
class EndTurn:
    """To the STT: the turn has ended there, the final is wanted."""

    turn: int
    media_time: Samples


@dataclass(frozen=True, slots=True)
class CancelTurn:
    """To the STT: it was nothing."""

    turn: int


@dataclass(frozen=True, slots=True)
class Generate:
    """To the LLM."""

    request: int
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class CancelGenerate:
    request: int


@dataclass(frozen=True, slots=True)
class TellInterrupted:
    """To the LLM: the caller broke in, and heard this of the answer."""

    text: str
    played_ms: int


@dataclass(frozen=True, slots=True)
class Speak:
    """To the TTS: one sentence."""

    request: int
    text: str


@dataclass(frozen=True, slots=True)
class CancelSpeak:
    request: int


@dataclass(frozen=True, slots=True)
class Flush:
    """To the leg: stop talking. Answer with ``Conversation.flushed``."""

    number: int


@dataclass(frozen=True, slots=True)
class Trim:
    """To the leg: what is queued beyond ``position`` is not to be played. Answer with ``Conversation.trimmed``."""

    request: int
    position: Samples


@dataclass(frozen=True, slots=True)
class CoverGap:
    """To the leg: play what covers a gap, and tell ``Conversation.covered`` how long it is."""


@dataclass(frozen=True, slots=True)
class MarkAnswer:
    """To the leg: a mark here, behind what covered the gap. Answer with ``Conversation.answer_begins`` when it was
    sent."""

    request: int


@dataclass(frozen=True, slots=True)
class Apologise:
    """To the leg: a model is gone. Play the recorded sentence for that as ``request``, and report it as delivered."""

    request: int


@dataclass(frozen=True, slots=True)
class HangUp:
    reason: str


ToModel = BeginTurn | EndTurn | CancelTurn | Generate | CancelGenerate | TellInterrupted | Speak | CancelSpeak
ToLeg = Flush | Trim | CoverGap | MarkAnswer | Apologise
Effect = ToModel | ToLeg | HangUp


@dataclass(frozen=True, slots=True)
class Heard:
    """The caller said this (final)."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The agent stopped because the caller spoke."""

    interruption: Interruption


@dataclass(frozen=True, slots=True)
class TurnDone:
    """A turn is over: its answer was played or cut, or it got none."""

    kind: str
    """``greeting``, ``answer``, ``prompt`` (spoken unasked), ``apology`` (a model failed), ``unanswered`` (the caller
    went on before the answer) or ``noise``."""
    heard: str
    said: str
    """What the caller heard of the answer."""
    understood: bool
    interrupted: bool
    times: TurnTimes


Report = Heard | Interrupted | TurnDone
