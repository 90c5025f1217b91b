"""What one adapter file is made of: a *dialect* per role, which knows a provider's words and does no I/O.

A dialect is told the verbs of the contract and answers with messages to send; it is shown what came and answers with
the events below. The session that drives it (``gateway/providers/sessions``) owns the connection, the clock, the
numbers of turns and requests, deadlines, reconnecting, and what must not be said after a cancel. So a dialect is
short, and a test replays an exchange through it without a socket.

One instance serves one connection (STT, TTS, realtime) or one request (LLM), and may remember what it needs to. What it
cannot read raises one of ``READ_ERRORS`` (``sessions/reading.py``); what it does not know it ignores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal

from gateway.audio import AudioFormat
from gateway.providers.contract import NOBODY, Brief, Interrupted, Message, ModelInfo, Party, Said, Tool, ToolUse, Word
from gateway.units import SECOND, Nanos
from gateway.wire.tcp import Framing

__all__ = [
    "RAW",
    "SILENCE_MS",
    "Dialect",
    "Done",
    "Envelope",
    "Fault",
    "Flushed",
    "HangUp",
    "Heard",
    "HttpReply",
    "HttpRequest",
    "HttpTtsDialect",
    "Language",
    "Life",
    "LlmDialect",
    "LlmEvent",
    "LlmSocketDialect",
    "LlmSocketEvent",
    "Model",
    "Opening",
    "Press",
    "Ready",
    "RealtimeDialect",
    "RealtimeEvent",
    "Reply",
    "Resumable",
    "Retire",
    "ServerEvent",
    "Sound",
    "Spent",
    "SpokenWords",
    "SttDialect",
    "SttEvent",
    "Text",
    "TtsDialect",
    "TtsEvent",
    "TurnEvent",
    "TurnSttDialect",
    "Use",
    "Wire",
]

Wire = str | bytes
"""A message to send: text or binary."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How a connection begins."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    first: tuple[Wire, ...] = ()
    """Sent as soon as it is open."""
    subprotocols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A POST whose answer is a stream."""

    url: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HttpReply:
    """The head of the answer to it, with a status below 300; names of headers are in lower case."""

    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event of a ``text/event-stream``, or one line of JSON."""

    kind: str
    data: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """How a frame of audio is sent: raw in a binary message behind ``before``, or as base64 in a text message between
    ``before`` and ``after``. Built in Cython, so it is constant."""

    before: bytes = b""
    after: bytes = b""
    base64: bool = False


RAW: Final = Envelope()
SILENCE_MS: Final = 500
"""Without audio for so long, so much silence is sent."""


@dataclass(frozen=True, slots=True)
class Life:
    """How a connection of this provider is kept."""

    greeted: bool = False
    """The server speaks first: nothing is asked of it before the dialect's ``Ready``."""
    keep_alive: Nanos | None = None
    """After so long without a message of ours the dialect's ``keep_alive`` is sent."""
    longest: Nanos | None = None
    """Before this age the connection is replaced, in a moment when nothing is asked of it."""
    flows: bool = False
    """It hears time pass only by audio, or gives up without: where none comes (hold, a gap in RTP) silence is sent."""
    frame_ms: int = 20
    """How much audio the provider wants in one message."""
    filled: bool = False
    """It refuses a shorter one: the last of a turn is filled with silence."""
    probe: bool = True
    """It answers WebSocket pings."""


# --- events of every role ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ready:
    """The server is ready for work."""


@dataclass(frozen=True, slots=True)
class Model:
    """Which model answers, as the provider itself says."""

    info: ModelInfo


@dataclass(frozen=True, slots=True)
class Reply:
    """A message that the protocol wants answered at once."""

    wire: Wire


@dataclass(frozen=True, slots=True)
class Spent:
    """What the provider counted."""

    seconds: float = 0.0
    characters: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    context: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """The provider says that something failed. With ``context`` that request alone; without, the connection."""

    text: str
    transient: bool
    busy: bool = False
    retry_after: Nanos | None = None
    context: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """The request, or the context, has been answered whole (or its cancel is acknowledged)."""

    reason: str = ""
    """LLM: ``stop``, ``length``, ``tools``, ``filtered``."""
    context: str = ""


@dataclass(frozen=True, slots=True)
class Retire:
    """The server will soon end this connection: replace it in the next quiet moment."""


@dataclass(frozen=True, slots=True)
class Resumable:
    """The handle with which a later connection takes up this session (``RealtimeDialect.resume``)."""

    handle: str


class Dialect:
    """What the dialects of every role that lives on a WebSocket share."""

    life: ClassVar[Life] = Life()
    framing: ClassVar[Framing | None] = None
    """Of a protocol on plain TCP (an ``Opening`` to ``tcp://host:port``)."""
    envelope: Envelope = RAW
    model: ModelInfo
    """As asked for; ``Model`` brings what the provider says."""

    def opening(self) -> Opening:
        raise NotImplementedError

    def keep_alive(self) -> Iterable[Wire]:
        return ()

    def silence(self) -> bytes:
        """Half a second of it, where audio has to flow."""
        return b""

    def close(self) -> Iterable[Wire]:
        """Said before the connection is closed."""
        return ()

    def closed(self, code: int | None, reason: str) -> Fault | None:
        """What a close code of the provider's own means; None leaves it to the rules of ``faults``."""
        return None

    def decode(self, message: Wire) -> Iterable[Any]:
        """The events that a message stands for."""
        raise NotImplementedError


# --- speech to text ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heard:
    """Text of what was said. ``final`` text is appended to what is final already; other text stands for everything
    since, until it is replaced. ``whole``: the text is that of the turn so far, and replaces all of it."""

    text: str
    final: bool = False
    whole: bool = False
    confidence: float | None = None
    language: str = ""
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Flushed:
    """Everything sent before the last ``end`` has been answered."""


@dataclass(frozen=True, slots=True)
class TurnEvent:
    """The provider's own opinion of the caller's turn. After ``ended`` the text so far is final."""

    kind: Literal["started", "eager_end", "resumed", "ended"]


SttEvent = Ready | Model | Reply | Spent | Fault | Retire | Heard | Flushed | TurnEvent


class SttDialect(Dialect):
    """One connection that listens."""

    hears: AudioFormat
    """What it wants; the session converts to it."""
    settle: ClassVar[Nanos] = Nanos(SECOND // 2)
    """If an ``end`` is not answered by ``Flushed`` or ``ended``: how long text may still come."""

    def silence(self) -> bytes:
        return self.hears.silence(SILENCE_MS)

    def written(self, audio: bytes) -> bytes:
        """A piece of what it ``hears``, if the provider writes samples as no ``AudioFormat`` does."""
        return audio

    def end(self) -> Iterable[Wire]:
        """Asks for the rest of the text now."""
        return ()

    def cancel(self) -> Iterable[Wire]:
        """What was said is of no interest any more."""
        return self.end()


class TurnSttDialect(SttDialect):
    """One connection that hears one turn, and is of no use after it."""

    def begin(self) -> Iterable[Wire]:
        """A turn begins: its audio follows."""
        return ()


# --- language model ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer; ``context`` names it where the protocol does."""

    text: str
    context: str = ""
    interruptible: bool = True
    """False: the bot does not want the caller to break in."""


@dataclass(frozen=True, slots=True)
class Use:
    """A whole tool call."""

    use: ToolUse


@dataclass(frozen=True, slots=True)
class HangUp:
    """The call is to end, once what was said before was played; of an answer that was cancelled it counts no more."""

    context: str = ""


@dataclass(frozen=True, slots=True)
class Press:
    """Digits are to be sent to the far end."""

    digits: str
    context: str = ""


@dataclass(frozen=True, slots=True)
class Language:
    """The call is to go on in another language."""

    speech: str = ""
    transcription: str = ""


LlmEvent = Text | Use | Model | Spent | Fault | Done
LlmSocketEvent = LlmEvent | Ready | Reply | Retire | HangUp | Press | Language


class LlmDialect:
    """One request and its answer."""

    model: ModelInfo

    def request(self, messages: Sequence[Message], tools: Sequence[Tool]) -> HttpRequest:
        raise NotImplementedError

    def head(self, reply: HttpReply) -> Iterable[LlmEvent]:
        """The answer begins; most providers say nothing of interest in its head."""
        return ()

    def decode(self, event: ServerEvent) -> Iterable[LlmEvent]:
        raise NotImplementedError

    def end(self) -> Iterable[LlmEvent]:
        """The stream is at its end: ``Done``, or the ``Fault`` that it ended too early."""
        return (Fault("the answer broke off", transient=True),)


class LlmSocketDialect(Dialect):
    """One call's connection to one who answers in text. The session asks one thing at a time; a *context* is the number
    of a request, and a protocol without such numbers leaves it empty in its events. What has the context ``unasked``
    while nothing is asked is said unasked."""

    unasked: ClassVar[str] = ""
    party: Party = NOBODY
    """Set before ``opening``."""

    def ask(self, request: int, messages: Sequence[Message], tools: Sequence[Tool]) -> Iterable[Wire]:
        raise NotImplementedError

    def cancel(self, request: int) -> Iterable[Wire]:
        """The answer is not wanted any more."""
        return ()

    def interrupted(self, text: str, played_ms: int) -> Iterable[Wire]:
        """The caller broke in, and heard so much of the last answer."""
        return ()

    def digit(self, digit: str) -> Iterable[Wire]:
        """The caller pressed a key."""
        return ()


# --- text to speech ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sound:
    """A burst of audio in the format that the dialect speaks."""

    audio: bytes
    context: str = ""


@dataclass(frozen=True, slots=True)
class SpokenWords:
    """Times from the start of the context's audio."""

    words: tuple[Word, ...]
    context: str = ""


TtsEvent = Ready | Model | Reply | Spent | Fault | Retire | Sound | SpokenWords | Done


class TtsDialect(Dialect):
    """One connection that speaks. A *context* is one request on it; the session makes up its name, and a provider
    without such names leaves ``context`` empty in its events: they belong to the only one at work."""

    contexts: ClassVar[int] = 1
    """How many requests, of any calls, may be at work on one connection at once."""
    named: ClassVar[bool] = False
    """A cancel is not acknowledged, but what still comes bears the context's name: it is free again at once."""
    speaks: AudioFormat

    def speak(self, context: str, text: str) -> Iterable[Wire]:
        """Says the whole text, and ends the context."""
        raise NotImplementedError

    def cancel(self, context: str) -> Iterable[Wire] | None:
        """Stops. What still comes of it is dropped until ``Done``. None: the protocol has no way but to hang up."""
        return None


class HttpTtsDialect:
    """One request and its audio, raw in the body as it is made (or decoded from it by ``audio``)."""

    speaks: AudioFormat
    model: ModelInfo

    def request(self, text: str) -> HttpRequest:
        raise NotImplementedError

    def head(self, reply: HttpReply) -> Iterable[Fault | Model]:
        """May refuse what is not the audio that was asked for."""
        return ()

    def audio(self, piece: bytes) -> bytes:
        """What of a piece of the body is audio."""
        return piece


# --- speech to speech -------------------------------------------------------------------------------------------------

RealtimeEvent = (
    Ready | Model | Reply | Spent | Fault | Retire | Resumable | Sound | Done | Heard | Interrupted | Said | Use
)


class RealtimeDialect(Dialect):
    """One connection of a speech-to-speech model."""

    life: ClassVar[Life] = Life(greeted=True, flows=True)
    hears: AudioFormat
    speaks: AudioFormat
    brief: Brief

    def silence(self) -> bytes:
        return self.hears.silence(SILENCE_MS)

    def resume(self, handle: str) -> bool:
        """The next ``opening`` is to take up a session that was lost. False: the protocol cannot."""
        return False

    def booking(self) -> HttpRequest | None:
        """What is asked for over HTTP before the connection, by a provider that gives each call an address."""
        return None

    def booked(self, answer: dict[str, Any]) -> None:
        """The JSON that answered it, before ``opening``."""

    def interrupted(self, played_ms: int) -> Iterable[Wire]:
        """The gateway has flushed; so much of the answer at work was heard."""
        return ()

    def tool_result(self, call: str, text: str) -> Iterable[Wire]:
        return ()
