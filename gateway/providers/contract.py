"""What the house asks of a model provider.

A *provider* is one configured account or server, shared by all calls of the process. It opens *sessions*, one per call
and role. A session's verbs never wait; its results arrive at the listener it was opened with, on the event loop, and
end with at most one ``Failed``. ``elapsed`` is the time that the model itself reports for its work, so that a report
can tell the model's share of a stage from the network's and ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from gateway.audio import Encoding
from gateway.errors import ProviderError
from gateway.options import Options
from gateway.turns.alignment import Word
from gateway.turns.history import Message, Tool, ToolUse
from gateway.units import Nanos, Samples
from gateway.wire.pipe import Frame, PatchLeg

__all__ = [
    "NOBODY",
    "NO_BRIEF",
    "AnswerBegan",
    "Beside",
    "Brief",
    "Bye",
    "Digits",
    "Failed",
    "Generated",
    "Interrupted",
    "LanguageWanted",
    "LlmSession",
    "Message",
    "ModelInfo",
    "Party",
    "PatchEar",
    "Patchable",
    "Provider",
    "ProviderSpec",
    "RealtimeSession",
    "Said",
    "Speech",
    "SpeechDone",
    "SttSession",
    "Token",
    "Tool",
    "ToolCall",
    "ToolUse",
    "Transcript",
    "TtsSession",
    "TurnHint",
    "Unasked",
    "Usage",
    "Word",
    "Words",
]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Name and version as the provider reports them; recorded with every turn."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Brief:
    """What a realtime model is told before the first word."""

    prompt: str = ""
    greeting: str = ""
    """What it says first, if it can be told so; empty lets the caller begin."""
    language: str = ""
    tools: tuple[Tool, ...] = ()


NO_BRIEF: Final = Brief()


@dataclass(frozen=True, slots=True)
class Party:
    """Who talks with whom, for a model that is a bot and wants to know."""

    caller: str = ""
    called: str = ""


NOBODY: Final = Party()


# --- results, as a listener gets them ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Transcript:
    """What an STT heard. Each ``end_turn`` is answered by exactly one with ``final`` set.

    Of a final, ``text`` and ``understood`` together say: words (text, True); noise or nothing said (empty, True: the
    turn is dropped); speech that the model could not put into words (empty, False: the agent asks again).
    """

    turn: int
    text: str
    final: bool
    understood: bool = True
    end_of_turn: bool = False
    """The model itself is sure that the caller has finished."""
    confidence: float | None = None
    elapsed: Nanos | None = None
    """A final: the model's time between having the last audio and this answer."""
    language: str = ""
    """What the model takes it to be (BCP 47); empty if it does not say."""
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class TurnHint:
    """An STT's own opinion of who has the floor: ``started`` (barge-in), ``eager_end`` (an answer may be prepared),
    ``resumed`` (what was prepared is void). That a turn has ended is told by ``Transcript.end_of_turn``."""

    kind: Literal["started", "eager_end", "resumed"]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of an LLM's text, to be appended as it is."""

    request: int
    text: str
    elapsed: Nanos | None = None
    """The first token of a request: the model's time until it."""
    interruptible: bool = True
    """False: the caller cannot break into the answer that it belongs to."""


@dataclass(frozen=True, slots=True)
class Generated:
    """The LLM's answer is complete (or its cancel is acknowledged)."""

    request: int
    cancelled: bool = False
    hang_up: bool = False
    """The model wants the call to end once this answer was played."""
    finish: str = ""
    """Why it ended: ``stop``, ``length``, ``tools``, ``filtered``; empty if the provider does not say."""


@dataclass(frozen=True, slots=True)
class Bye:
    """The LLM wants the call to end, and says so beside its answers: once what it said before was played."""


@dataclass(frozen=True, slots=True)
class Unasked:
    """The LLM says something beside its answers: a piece of text, to be appended to the one before. ``last``: what it
    wanted to say is complete."""

    text: str
    last: bool = False
    interruptible: bool = True


@dataclass(frozen=True, slots=True)
class Digits:
    """The LLM wants keys to be pressed: digits for the far end."""

    digits: str


@dataclass(frozen=True, slots=True)
class LanguageWanted:
    """The LLM wants the call to go on in another language (BCP 47); empty leaves it as it is."""

    speech: str = ""
    transcription: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The LLM asks for a tool; ``Generated`` follows. The result goes back in a ``Message`` of role ``tool``."""

    request: int
    use: ToolUse


@dataclass(frozen=True, slots=True)
class Speech:
    """A burst of synthesised audio, mono at ``rate`` Hz. ``request`` is 0 from a realtime model."""

    request: int
    audio: bytes
    rate: int
    elapsed: Nanos | None = None
    """The first burst of a request: the model's time until it."""
    encoding: Encoding = Encoding.PCM
    """G.711 goes to the plane as it came."""

    @property
    def samples(self) -> int:
        """Samples at ``rate``."""
        return len(self.audio) // self.encoding.width


@dataclass(frozen=True, slots=True)
class AnswerBegan:
    """What a realtime model says goes straight to the telephone; its answer began to come then."""

    at: Nanos


@dataclass(frozen=True, slots=True)
class SpeechDone:
    """All audio of a request has been delivered (or its cancel is acknowledged)."""

    request: int
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """What a realtime model says, as text. A final replaces what came before it in the same answer."""

    text: str
    final: bool


@dataclass(frozen=True, slots=True)
class Words:
    """Word times of a request, from a TTS that tells them: in order, and each piece once. They may come before or after
    the audio that they describe."""

    request: int
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """What the provider counts for a request, to be added to what it told before; it comes before the request's end, or
    of a whole session (``request`` None) at any time. What a provider does not tell is counted by the gateway."""

    request: int | None = None
    seconds: float = 0.0
    """Of audio, heard or spoken."""
    characters: int = 0
    """Of text to be spoken."""
    input_tokens: int = 0
    """All of them; ``cached_tokens`` is the part that the provider found in its cache."""
    cached_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A realtime model heard the caller break in: what it said but was not played yet should be flushed."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The session has ended by a fault. ``request`` tells which request, None that the whole session is gone."""

    error: ProviderError
    request: int | None = None


SttResult = Transcript | TurnHint | Usage | Failed
Beside = Bye | Unasked | Digits | LanguageWanted
"""What an LLM tells that belongs to no request."""
LlmResult = Token | ToolCall | Generated | Beside | Usage | Failed
TtsResult = Speech | Words | SpeechDone | Usage | Failed
RealtimeResult = Speech | AnswerBegan | SpeechDone | Interrupted | Transcript | Said | ToolCall | Usage | Failed


# --- sessions ---------------------------------------------------------------------------------------------------------


class SttSession(Protocol):
    """Speech to text for one call. Audio flows all the time; turns say where speech lies in it."""

    model: ModelInfo

    def audio(self, pcm: bytes, media_time: Samples, flags: int) -> None:
        """A frame at the session's rate; ``media_time`` in samples of the 8 kHz RTP clock."""

    def begin_turn(self, turn: int, media_time: Samples) -> None:
        """The gateway heard speech begin there (audio before it was already sent: use some as pre-roll)."""

    def end_turn(self, turn: int, media_time: Samples) -> None:
        """The gateway takes the turn as ended: give the final ``Transcript`` now."""

    def cancel_turn(self, turn: int) -> None:
        """Forget the turn; no final is wanted."""

    def close(self) -> None: ...


class LlmSession(Protocol):
    model: ModelInfo

    def generate(self, request: int, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> None: ...

    def cancel(self, request: int) -> None:
        """Acknowledged by ``Generated(cancelled=True)``."""

    def interrupted(self, text: str, played_ms: int) -> None:
        """The caller broke in: so much of the last answer was heard. For one who remembers the conversation himself."""

    def digit(self, digit: str) -> None:
        """The caller pressed a key; nothing to most."""

    def close(self) -> None: ...


class TtsSession(Protocol):
    model: ModelInfo

    def speak(self, request: int, text: str) -> None:
        """Synthesise one sentence; requests are answered in order."""

    def cancel(self, request: int) -> None:
        """Acknowledged by ``SpeechDone(cancelled=True)``."""

    def close(self) -> None: ...


class RealtimeSession(Protocol):
    model: ModelInfo

    def audio(self, pcm: bytes, media_time: Samples, flags: int) -> None: ...

    def interrupted(self, played_ms: int) -> None:
        """The gateway flushed; this much of the current answer was heard."""

    def tool_result(self, call: str, text: str) -> None:
        """Answers a ``ToolCall``; nothing if the model knows no tools."""

    def close(self) -> None: ...


class Straight(Protocol):
    """A ``RealtimeSession`` that can hand its audio (PCM, and its rate) to ``straight``, while that is set, and not to
    its listener: fifty times a second for each call, and nothing between model and telephone needs to look at it."""

    straight: Callable[[bytes, int], None] | None


class PatchEar(Protocol):
    """Who asked for the patch of a ``Patchable``; frames and verbs of the session are his again after the last."""

    def on_patched(self, session: Patchable) -> None:
        """Frames of the leg do not come to its observer any more."""

    def on_spoke(self, session: Patchable) -> None:
        """The caller speaks, and ``watch`` asked for it."""

    def on_kept(self, session: Patchable, frames: Sequence[Frame]) -> None:
        """What the session has heard last, in order, and each frame once."""

    def on_unpatched(self, session: Patchable) -> None: ...


class Patchable(Straight, Protocol):
    """A ``RealtimeSession`` whose audio can pass between leg and server without the event loop."""

    def patch(self, leg: PatchLeg, ear: PatchEar) -> None:
        """As soon as it can be, if it can."""

    def attend(self) -> None:
        """The next audio begins an answer: ``AnswerBegan`` tells when it was played, or ``Speech`` brings it."""

    def keep(self, on: bool) -> None:
        """``on_kept`` gets all that the caller says from now on, and half a second before; or only the end of it."""

    def watch(self, since: Nanos) -> None:
        """``on_spoke`` tells when the caller speaks then or later, once."""


class Provider(Protocol):
    """``name`` is the key of its YAML block. Every ``open_`` raises ``ProviderError`` if no session can be had.

    The ``rate`` of a listening session is that of the PCM it will be given; of a TTS, the most that the caller's codec
    can carry: speech comes at any rate that the plane plays, G.711 included.
    """

    name: str

    def listening_rate(self, role: str) -> int:
        """At which rate its ``stt`` or ``realtime`` sessions hear best; they take 8000 and 16000 Hz in any case."""

    async def start(self) -> None:
        """Warms up; a provider that is not there yet is no error here."""

    async def close(self) -> None: ...

    async def open_stt(self, listener: Callable[[SttResult], None], *, rate: int, language: str) -> SttSession: ...

    async def open_llm(self, listener: Callable[[LlmResult], None], *, party: Party = NOBODY) -> LlmSession: ...

    async def open_tts(self, listener: Callable[[TtsResult], None], *, rate: int, language: str) -> TtsSession: ...

    async def open_realtime(
        self, listener: Callable[[RealtimeResult], None], *, rate: int, brief: Brief = NO_BRIEF
    ) -> RealtimeSession: ...


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """The constant that a provider's file ends in, and its entry point names."""

    kind: str
    options: type[Options]
    create: Callable[[str, Options], Provider]
    """(name, options) -> provider; opens nothing yet."""
    roles: frozenset[str] = field(default_factory=frozenset)
    """Of ``stt``, ``llm``, ``tts``, ``realtime``."""
    live: Mapping[str, str] = field(default_factory=dict)
    """Role -> when a round trip with the provider itself was last seen to work."""
