"""One answer of the agent, from its first token to its last packet."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.turns.playback import Sentence
from gateway.turns.sentences import SentenceSplitter
from gateway.units import Nanos

__all__ = ["Answer", "Cut"]


@dataclass(slots=True)
class Answer:
    """What the agent is saying, or is about to say."""

    turn: int
    kind: str
    """As in ``effects.TurnDone``."""
    heard: str = ""
    understood: bool = True
    interruptible: bool = True
    generating: int | None = None
    """The LLM's request that is still running."""
    hang_up: str | None = None
    """The reason to hang up with, once the answer was played."""
    splitter: SentenceSplitter = field(default_factory=SentenceSplitter)


@dataclass(frozen=True, slots=True)
class Cut:
    """An answer that was stopped and waits for the plane to say how far it got."""

    answer: Answer
    sentences: list[Sentence]
    onset: Nanos | None
    """Arrival of the speech that interrupted it; None if it was not a caller who did."""
    at: Nanos
