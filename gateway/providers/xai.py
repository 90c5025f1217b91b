"""xAI: Grok by voice (realtime), its speech to text and text to speech, and Grok behind Chat Completions."""

from __future__ import annotations

import json
from binascii import a2b_base64
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

from pydantic import Field

from gateway.audio import ALAW_8K, PCM_8K, PCM_16K, PCM_24K, ULAW_8K, AudioFormat, Encoding
from gateway.options import Secret
from gateway.providers.contract import Brief, ModelInfo
from gateway.providers.dialect import (
    Done,
    Fault,
    Flushed,
    Heard,
    Life,
    Opening,
    Ready,
    RealtimeEvent,
    Resumable,
    Sound,
    SttDialect,
    SttEvent,
    TtsDialect,
    TtsEvent,
    Wire,
)
from gateway.providers.openai_chat import ChatDialect, ChatLlm
from gateway.providers.openai_events import RealtimeEvents, ga_format, tools_block
from gateway.providers.options import RoleOptions, VendorOptions, address, dumps, merged, secret, web_socket
from gateway.providers.sessions.vendor import adapter
from gateway.units import SECOND, Nanos

__all__ = ["SPEC", "XaiOptions", "XaiRealtime", "XaiStt", "XaiTts"]

_CODECS: Final = {Encoding.PCM: "pcm", Encoding.ULAW: "mulaw", Encoding.ALAW: "alaw"}


class XaiSttRole(RoleOptions):
    """Speech to text at xAI."""

    language: str | None = None
    """None takes the plug's."""
    keyterms: tuple[str, ...] = ()
    """Names and terms to listen for."""


class XaiTtsRole(RoleOptions):
    """Text to speech at xAI."""

    voice: str = "eve"
    """Name of the voice."""
    speed: float | None = None
    """1 is the voice's own."""


class XaiLlm(ChatLlm):
    """A Grok."""

    model: str = "grok-4-fast-non-reasoning"
    """As xAI names it."""


class XaiRealtimeRole(RoleOptions):
    """Grok by voice."""

    model: str = "grok-voice-latest"
    """A numbered one does not change by itself."""
    voice: str = "eve"
    """Name of the voice."""
    audio: Literal["mulaw", "alaw", "pcm8", "pcm16", "pcm24"] = "mulaw"
    """Both ways."""
    silence_ms: int = Field(default=400, ge=0)
    """After so much silence it takes the caller's turn as ended."""


class XaiOptions(VendorOptions):
    """A provider of kind ``xai``."""

    api_key: Secret
    """From console.x.ai."""
    base_url: str = "https://api.x.ai/v1"
    """Where the API is."""
    stt: XaiSttRole = Field(default_factory=XaiSttRole)
    llm: XaiLlm = Field(default_factory=XaiLlm)
    tts: XaiTtsRole = Field(default_factory=XaiTtsRole)
    realtime: XaiRealtimeRole = Field(default_factory=XaiRealtimeRole)


_FORMATS: Final = {"mulaw": ULAW_8K, "alaw": ALAW_8K, "pcm8": PCM_8K, "pcm16": PCM_16K, "pcm24": PCM_24K}


def _opening(options: XaiOptions, path: str, query: dict[str, Any], more: dict[str, Any]) -> Opening:
    headers = {"Authorization": f"Bearer {secret(options.api_key)}", **options.headers}
    return Opening(address(web_socket(options.base_url), path, query, more), headers)


class XaiRealtime(RealtimeEvents):
    """OpenAI's events; a session that was lost is taken up again by the name of its conversation."""

    life = Life(greeted=True, flows=True, longest=Nanos(50 * 60 * SECOND))

    def __init__(self, options: XaiOptions, rate: int, brief: Brief) -> None:
        super().__init__(brief, options.realtime.model, _FORMATS[options.realtime.audio])
        self._options = options
        self._conversation = ""

    def opening(self) -> Opening:
        role = self._options.realtime
        query = {"model": role.model, "conversation_id": self._conversation or None}
        return _opening(self._options, "/realtime", query, role.query)

    def resume(self, handle: str) -> bool:
        self._conversation = handle
        return True

    def session(self) -> dict[str, Any]:
        role = self._options.realtime
        body = {
            "instructions": self.brief.prompt,
            "voice": role.voice,
            "turn_detection": {"type": "server_vad", "silence_duration_ms": role.silence_ms},
            "audio": {
                "input": {"format": ga_format(self.hears), "transcription": {"model": "grok-transcribe"}},
                "output": {"format": ga_format(self.speaks)},
            },
            "tools": tools_block(self.brief.tools),
            "resumption": {"enabled": True},
        }
        return merged(body, role.extra)

    def decode(self, message: Wire) -> Iterator[RealtimeEvent]:
        found = json.loads(message)
        if found["type"] == "conversation.created":
            yield Resumable(found["conversation"]["id"])
        else:
            yield from super().decode(message)

    def _introduction(self) -> Iterator[Wire]:
        """A conversation that was taken up again has been greeted."""
        if self.brief.greeting and not self._conversation:
            item = {
                "type": "force_message",
                "role": "assistant",
                "content": [{"type": "text", "text": self.brief.greeting}],
            }
            yield dumps({"type": "conversation.item.create", "item": item})

    def _remember(self, role: str, text: str) -> Iterator[RealtimeEvent]:
        """The provider does."""
        yield from ()


class XaiStt(SttDialect):
    """Segments; an utterance is whole when its text is ``speech_final``."""

    life = Life(greeted=True, flows=True)

    def __init__(self, options: XaiOptions, rate: int, language: str) -> None:
        self._options = options
        self._language = (options.stt.language or language).partition("-")[0]
        self.hears = ULAW_8K if rate == 8000 else PCM_16K
        self.model = ModelInfo("xai stt", "")

    def opening(self) -> Opening:
        stt = self._options.stt
        query = {
            "encoding": _CODECS[self.hears.encoding],
            "sample_rate": self.hears.rate,
            "language": self._language,
            "interim_results": True,
            "endpointing": 300,
            "keyterm": stt.keyterms,
        }
        return _opening(self._options, "/stt", query, stt.query)

    def close(self) -> Iterable[Wire]:
        return ('{"type":"audio.done"}',)

    def decode(self, message: Wire) -> Iterator[SttEvent]:
        found = json.loads(message)
        match found["type"]:
            case "transcript.created":
                yield Ready()
            case "transcript.partial":
                whole = bool(found.get("speech_final"))
                yield Heard(found["text"], final=whole, whole=False)
                if whole:
                    yield Flushed()
            case "error":
                yield _fault(found)


class XaiTts(TtsDialect):
    """One utterance at a time; a socket serves many."""

    def __init__(self, options: XaiOptions, rate: int, language: str) -> None:
        self._options = options
        self._language = language.partition("-")[0]
        self.speaks = ULAW_8K if rate == 8000 else AudioFormat(Encoding.PCM, 24_000 if rate >= 24_000 else 16_000)
        self.model = ModelInfo("xai tts", "")

    def opening(self) -> Opening:
        tts = self._options.tts
        query = {
            "voice": tts.voice,
            "language": self._language,
            "codec": _CODECS[self.speaks.encoding],
            "sample_rate": self.speaks.rate,
            "speed": tts.speed,
        }
        return _opening(self._options, "/tts", query, tts.query)

    def speak(self, context: str, text: str) -> Iterable[Wire]:
        return (dumps({"type": "text.delta", "delta": text}), '{"type":"text.done"}')

    def cancel(self, context: str) -> Iterable[Wire]:
        return ('{"type":"text.clear"}',)

    def decode(self, message: Wire) -> Iterator[TtsEvent]:
        found = json.loads(message)
        match found["type"]:
            case "audio.delta":
                yield Sound(a2b_base64(found["delta"]))
            case "audio.done" | "audio.clear":
                yield Done()
            case "error":
                yield _fault(found)


def _fault(found: dict[str, Any]) -> Fault:
    """Errors carry no code, only a sentence."""
    text = str(found.get("message") or found.get("error") or "")
    lower = text.lower()
    permanent = any(word in lower for word in ("invalid", "unauthorized", "unsupported", "permission", "credit"))
    return Fault(text, not permanent, busy="rate limit" in lower)


def _llm(options: XaiOptions) -> ChatDialect:
    return ChatDialect(options, options.llm)


SPEC: Final = adapter("xai", XaiOptions, stt=XaiStt, llm=_llm, tts=XaiTts, realtime=XaiRealtime)
