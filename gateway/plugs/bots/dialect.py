"""What the file of one bot protocol is made of: a dialect without I/O, as for a provider (``docs/adapters.md``).

It is told what happens on the telephone, and answers with messages to send; it is shown what the bot sent, and answers
with the events below. ``session.py`` owns the connection, the playout queue and the clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from gateway.audio import ULAW_8K, AudioFormat
from gateway.providers.contract import ModelInfo
from gateway.providers.dialect import Dialect, Envelope, Fault, Wire

__all__ = ["LEFT", "BotCall", "BotDialect", "BotEvent", "Clear", "HangUp", "Keys", "Mark", "Play", "StatusWanted"]


@dataclass(frozen=True, slots=True)
class BotCall:
    """The call as a bot is told of it. The tokens are 32 hexadecimal digits each, made up for this call."""

    call_id: str
    """Of the SIP call."""
    caller: str
    called: str
    call_token: str
    stream_token: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    """From the configuration, for the bot."""


@dataclass(frozen=True, slots=True)
class Play:
    """Audio to be queued; any length. Without a format it is what the dialect ``speaks``."""

    audio: bytes
    format: AudioFormat | None = None


@dataclass(frozen=True, slots=True)
class Clear:
    """Everything queued is to be dropped, now: the bot heard the caller break in."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The bot wants to be told when what is queued so far was played, or dropped."""

    name: str


@dataclass(frozen=True, slots=True)
class Keys:
    """Digits to be sent to the caller's side."""

    digits: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """The call is to end, after what is queued if the protocol says so."""

    reason: str
    after_playout: bool = False


@dataclass(frozen=True, slots=True)
class StatusWanted:
    """The bot asks how much is queued."""


BotEvent = Play | Clear | Mark | Keys | HangUp | StatusWanted
"""Besides ``Ready``, ``Reply`` and ``Fault``, which mean what they mean for a provider."""


LEFT: Final = Fault("the bot has closed the connection", transient=False)
"""No failure: the bot is done with the call."""


class BotDialect(Dialect):
    """One connection, one call."""

    hears: AudioFormat = ULAW_8K
    """What the bot gets, in frames of ``life.frame_ms``."""
    speaks: AudioFormat = ULAW_8K
    beat_every: ClassVar[int] = 0
    """After so many frames ``beat`` is asked for something to send; 0: never."""
    model = ModelInfo("bot", "")

    def started(self) -> Iterable[Wire]:
        """The caller is there: audio follows."""
        return ()

    def wrap(self) -> Envelope:
        """Around the next frame of the caller's audio: many protocols number them."""
        return self.envelope

    def beat(self) -> Iterable[Wire]:
        return ()

    def digit(self, digit: str, duration_ms: int) -> Iterable[Wire]:
        """The caller pressed a key."""
        return ()

    def played(self, name: str) -> Iterable[Wire]:
        """What was queued before the mark has left."""
        return ()

    def cleared(self, names: tuple[str, ...]) -> Iterable[Wire]:
        """The queue was emptied as asked; these marks were in it."""
        return ()

    def drained(self) -> Iterable[Wire]:
        """The last of what was queued has left."""
        return ()

    def status(self, queued_ms: int) -> Iterable[Wire]:
        """The answer to ``StatusWanted``."""
        return ()

    def resume(self) -> bool:
        """The connection was lost: the next ``opening`` takes the same session up. False: the protocol cannot."""
        return False

    def resumed(self) -> Iterable[Wire]:
        """It has: what the bot is told then."""
        return ()

    def closed(self, code: int | None, reason: str) -> Fault | None:
        """A bot that closes politely has nothing more to say (RFC 6455 7.4.1); many servers say "going away"."""
        return LEFT if code in {1000, 1001, 1005} else None
