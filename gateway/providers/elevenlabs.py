"""ElevenLabs: speech in contexts on one WebSocket, Scribe listening, and its hosted agents."""

from __future__ import annotations

import json
from binascii import a2b_base64
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pydantic import Field

from gateway.audio import PCM_16K, ULAW_8K, AudioFormat, Encoding
from gateway.options import Secret
from gateway.providers.contract import Brief, Interrupted, ModelInfo, Said, ToolUse, Word
from gateway.providers.dialect import (
    Done,
    Envelope,
    Fault,
    Flushed,
    Heard,
    Life,
    Opening,
    Ready,
    RealtimeDialect,
    RealtimeEvent,
    Reply,
    Sound,
    SpokenWords,
    SttDialect,
    SttEvent,
    TtsDialect,
    TtsEvent,
    Use,
    Wire,
)
from gateway.providers.options import RoleOptions, VendorOptions, address, dumps, merged, secret, web_socket
from gateway.providers.sessions.vendor import adapter
from gateway.units import SECOND, Nanos, from_ms

__all__ = ["SPEC", "Agent", "ElevenLabsOptions", "Scribe", "Voice"]

_PERMANENT: Final = {
    "auth_error",
    "quota_exceeded",
    "unaccepted_terms",
    "input_error",
    "invalid_request",
    "chunk_size_exceeded",
}
_BUSY: Final = {"rate_limited", "queue_overflow", "resource_exhausted"}
_BENIGN: Final = {"commit_throttled"}
_ERRORS: Final = (
    _PERMANENT | _BUSY | {"transcriber_error", "error", "session_time_limit_exceeded", "insufficient_audio_activity"}
)
_FORMATS: Final = {"ulaw": Encoding.ULAW, "alaw": Encoding.ALAW, "pcm": Encoding.PCM}


class ElevenLabsStt(RoleOptions):
    """Scribe."""

    model: str = "scribe_v2_realtime"
    """As ElevenLabs names it."""
    language: str | None = None
    """None takes the plug's."""
    keyterms: tuple[str, ...] = ()
    """Up to 50 names and terms to listen for."""


class ElevenLabsTts(RoleOptions):
    """Text to speech at ElevenLabs."""

    model: str = "eleven_flash_v2_5"
    """As ElevenLabs names it."""
    voice: str = "21m00Tcm4TlvDq8ikWAM"
    """Identifier of the voice."""


class ElevenLabsAgent(RoleOptions):
    """An agent that was made on the platform. Its audio must be set there to ``ulaw_8000`` both ways."""

    agent: str = ""
    """Identifier of the agent."""
    overrides: bool = False
    """Send the plug's prompt and greeting; the agent's security settings must allow it."""


class ElevenLabsOptions(VendorOptions):
    """A provider of kind ``elevenlabs``."""

    api_key: Secret
    """From elevenlabs.io."""
    base_url: str = "https://api.elevenlabs.io"
    """Where the API is; ``https://api.eu.residency.elevenlabs.io`` stays in Europe."""
    stt: ElevenLabsStt = Field(default_factory=ElevenLabsStt)
    tts: ElevenLabsTts = Field(default_factory=ElevenLabsTts)
    realtime: ElevenLabsAgent = Field(default_factory=ElevenLabsAgent)


def _opening(
    options: ElevenLabsOptions, path: str, query: dict[str, Any], role: RoleOptions, first: tuple[Wire, ...] = ()
) -> Opening:
    headers = {"xi-api-key": secret(options.api_key), **options.headers}
    return Opening(address(web_socket(options.base_url), path, query, role.query), headers, first)


class Voice(TtsDialect):
    """Five contexts on a socket; each sentence is one. Times of the characters become those of words."""

    contexts = 5
    life = Life(keep_alive=Nanos(10 * SECOND))

    def __init__(self, options: ElevenLabsOptions, rate: int, language: str) -> None:
        self._options = options
        self._language = language.partition("-")[0]
        self.speaks = ULAW_8K if rate == 8000 else AudioFormat(Encoding.PCM, 24_000 if rate >= 24_000 else 16_000)
        self.model = ModelInfo(options.tts.model, "")
        self._spans: dict[str, float] = {}

    def opening(self) -> Opening:
        tts = self._options.tts
        multilingual = "_v2_5" in tts.model
        query = {
            "model_id": tts.model,
            "output_format": f"{_name(self.speaks)}",
            "language_code": self._language if multilingual else None,
            "auto_mode": True,
            "sync_alignment": True,
            "inactivity_timeout": 180,
        }
        return _opening(self._options, f"/v1/text-to-speech/{tts.voice}/multi-stream-input", query, tts)

    def speak(self, context: str, text: str) -> Iterable[Wire]:
        first = merged({"text": " ", "context_id": context}, self._options.tts.extra)
        return (
            dumps(first),
            dumps({"text": f"{text.strip()} ", "context_id": context, "flush": True}),
            dumps({"context_id": context, "close_context": True}),
        )

    def cancel(self, context: str) -> Iterable[Wire]:
        return (dumps({"context_id": context, "close_context": True}),)

    def keep_alive(self) -> Iterable[Wire]:
        return ('{"text":""}',)

    def close(self) -> Iterable[Wire]:
        return ('{"close_socket":true}',)

    def decode(self, message: Wire) -> Iterator[TtsEvent]:
        found = json.loads(message)
        context = found.get("contextId") or found.get("context_id") or ""
        if found.get("error"):
            yield _fault(str(found["error"]), str(found.get("message") or ""))
            return
        if found.get("audio"):
            if alignment := found.get("alignment"):
                yield SpokenWords(self._words(context, alignment), context)
            yield Sound(a2b_base64(found["audio"]), context)
        if found.get("isFinal") or found.get("is_final"):
            self._spans.pop(context, None)
            yield Done(context=context)

    def _words(self, context: str, alignment: dict[str, Any]) -> tuple[Word, ...]:
        """Times count from the start of the piece that they came with."""
        start = self._spans.get(context, 0.0)
        spans = alignment.get("charDurationsMs") or alignment.get("charsDurationsMs") or ()
        characters = list(zip(alignment["chars"], alignment["charStartTimesMs"], spans, strict=True))
        if characters:
            self._spans[context] = start + characters[-1][1] + characters[-1][2]
        return tuple(words_of(characters, start))


def words_of(characters: list[tuple[str, float, float]], start: float) -> Iterator[Word]:
    """Words of (character, start, length), in milliseconds."""
    text, began, ended = "", 0.0, 0.0
    for character, at, length in [*characters, (" ", 0.0, 0.0)]:
        if character.isspace():
            if text:
                yield Word(text, from_ms(start + began), from_ms(start + ended))
            text = ""
            continue
        began = at if not text else began
        text, ended = text + character, at + length


class Scribe(SttDialect):
    """The gateway says when a turn has ended (``commit``). Ten seconds without audio end the session."""

    life = Life(greeted=True, flows=True, frame_ms=60)

    def __init__(self, options: ElevenLabsOptions, rate: int, language: str) -> None:
        self._options = options
        self._language = (options.stt.language or language).partition("-")[0]
        self.hears = ULAW_8K if rate == 8000 else PCM_16K
        before = (
            f'{{"message_type":"input_audio_chunk","commit":false,"sample_rate":{self.hears.rate},"audio_base_64":"'
        )
        self.envelope = Envelope(before.encode(), b'"}', base64=True)
        self.model = ModelInfo(options.stt.model, "")

    def opening(self) -> Opening:
        stt = self._options.stt
        query = {
            "model_id": stt.model,
            "audio_format": _name(self.hears),
            "commit_strategy": "manual",
            "language_code": self._language,
            "keyterms": stt.keyterms,
        }
        return _opening(self._options, "/v1/speech-to-text/realtime", query, stt)

    def end(self) -> Iterable[Wire]:
        chunk = {
            "message_type": "input_audio_chunk",
            "audio_base_64": "",
            "commit": True,
            "sample_rate": self.hears.rate,
        }
        return (dumps(chunk),)

    def decode(self, message: Wire) -> Iterator[SttEvent]:
        found = json.loads(message)
        match found.get("message_type"):
            case "session_started":
                yield Ready()
            case "partial_transcript":
                yield Heard(found["text"])
            case "committed_transcript":
                yield Heard(found["text"], final=True, language=found.get("language_code") or "")
                yield Flushed()
            case str(kind) if kind in _ERRORS:
                yield _fault(kind, str(found.get("error") or ""))


class Agent(RealtimeDialect):
    """The platform takes the turns and remembers; it reports in which formats it hears and speaks."""

    life = Life(greeted=True, flows=True, frame_ms=60)
    envelope = Envelope(b'{"user_audio_chunk":"', b'"}', base64=True)

    def __init__(self, options: ElevenLabsOptions, rate: int, brief: Brief) -> None:
        self._options = options
        self.brief = brief
        self.hears = self.speaks = ULAW_8K
        self.model = ModelInfo(f"agent {options.realtime.agent}", "")
        self._void = -1

    def opening(self) -> Opening:
        role, brief = self._options.realtime, self.brief
        body: dict[str, Any] = {"type": "conversation_initiation_client_data"}
        if role.overrides:
            agent: dict[str, Any] = {"prompt": {"prompt": brief.prompt}, "first_message": brief.greeting}
            if brief.language:
                agent["language"] = brief.language.partition("-")[0]
            body["conversation_config_override"] = {"agent": agent}
        first = dumps(merged(body, role.extra))
        return _opening(self._options, "/v1/convai/conversation", {"agent_id": role.agent}, role, (first,))

    def tool_result(self, call: str, text: str) -> Iterable[Wire]:
        return (dumps({"type": "client_tool_result", "tool_call_id": call, "result": text, "is_error": False}),)

    def decode(self, message: Wire) -> Iterator[RealtimeEvent]:
        found = json.loads(message)
        match found.get("type"):
            case "conversation_initiation_metadata":
                yield from self._started(found["conversation_initiation_metadata_event"])
            case "audio":
                event = found["audio_event"]
                if event["event_id"] > self._void:  # what is older was interrupted
                    yield Sound(a2b_base64(event["audio_base_64"]))
            case "interruption":
                self._void = found["interruption_event"]["event_id"]
                yield Interrupted()
            case "user_transcript":
                yield Heard(found["user_transcription_event"]["user_transcript"], final=True)
            case "agent_response":
                yield Said(found["agent_response_event"]["agent_response"], final=True)
            case "agent_response_correction":  # what was heard of it
                yield Said(found["agent_response_correction_event"]["corrected_agent_response"], final=True)
            case "ping":
                yield Reply(dumps({"type": "pong", "event_id": found["ping_event"]["event_id"]}))
            case "client_tool_call":
                call = found["client_tool_call"]
                arguments = dumps(call.get("parameters") or {})
                yield Use(ToolUse(call["tool_call_id"], call["tool_name"], arguments))

    def _started(self, event: dict[str, Any]) -> Iterator[RealtimeEvent]:
        hears, speaks = _format(event.get("user_input_audio_format")), _format(event.get("agent_output_audio_format"))
        if hears != self.hears or speaks is None:
            yield Fault("the agent's audio is not ulaw_8000: set it so on the platform", transient=False)
            return
        self.speaks = speaks
        yield Ready()


def _name(audio: AudioFormat) -> str:
    return {Encoding.ULAW: "ulaw", Encoding.ALAW: "alaw", Encoding.PCM: "pcm"}[audio.encoding] + f"_{audio.rate}"


def _format(name: str | None) -> AudioFormat | None:
    encoding, _, rate = (name or "").partition("_")
    return AudioFormat(_FORMATS[encoding], int(rate)) if encoding in _FORMATS and rate.isdecimal() else None


def _fault(kind: str, text: str) -> Fault:
    busy = kind in _BUSY or any(word in f"{kind} {text}" for word in ("too_many_concurrent", "system_busy"))
    return Fault(f"{kind}: {text}" if text else kind, kind not in _PERMANENT, busy)


SPEC: Final = adapter("elevenlabs", ElevenLabsOptions, stt=Scribe, tts=Voice, realtime=Agent)
