"""Inworld: text to speech in contexts, speech to text, and a realtime cascade that speaks OpenAI's events."""

from __future__ import annotations

import json
import uuid
from binascii import a2b_base64
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

from pydantic import Field

from gateway.audio import PCM_16K, AudioFormat, Encoding
from gateway.options import Secret
from gateway.providers.contract import Brief, ModelInfo, Word
from gateway.providers.dialect import (
    Done,
    Envelope,
    Fault,
    Heard,
    Life,
    Opening,
    Sound,
    Spent,
    SpokenWords,
    SttDialect,
    SttEvent,
    TtsDialect,
    TtsEvent,
    TurnEvent,
    Wire,
)
from gateway.providers.openai_events import FORMATS, RealtimeEvents, ga_format, tools_block
from gateway.providers.options import RoleOptions, VendorOptions, address, dumps, merged, secret, web_socket
from gateway.providers.sessions.vendor import adapter
from gateway.units import SECOND, Nanos, from_seconds

__all__ = ["SPEC", "InworldOptions", "InworldRealtime", "InworldStt", "InworldTts"]

_ENCODINGS: Final = {Encoding.PCM: "PCM", Encoding.ULAW: "MULAW", Encoding.ALAW: "ALAW"}
_NOT_FOUND: Final = 5
_PERMANENT: Final = {3, 7, 9, 12, 16}
"""gRPC: invalid argument, permission denied, failed precondition, unimplemented, unauthenticated."""
_EXHAUSTED: Final = 8
_LONGEST_TEXT: Final = 1000
"""Characters of one message."""


class InworldSttRole(RoleOptions):
    """Speech to text at Inworld."""

    model: str = "inworld/inworld-stt-1"
    """As Inworld names it."""
    language: str | None = None
    """BCP 47; None takes the plug's."""


class InworldTtsRole(RoleOptions):
    """Text to speech at Inworld."""

    model: str = "inworld-tts-2"
    """As Inworld names it."""
    voice: str = "Ashley"
    """Name of the voice."""
    encoding: Literal["MULAW", "ALAW", "PCM"] = "PCM"
    """Of telephone calls; G.711 is in its documentation, but not in every version of its own client."""


class InworldRealtimeRole(RoleOptions):
    """A cascade of recognition, language model and speech at Inworld."""

    model: str = "openai/gpt-4.1-mini"
    """The language model."""
    voice: str = "Ashley"
    """Name of the voice."""
    speech_model: str = "inworld-tts-2"
    """What speaks."""
    audio: Literal["mulaw", "alaw", "pcm"] = "mulaw"
    """Both ways; ``pcm`` is 24 kHz."""


class InworldOptions(VendorOptions):
    """A provider of kind ``inworld``."""

    api_key: Secret
    """As the portal shows it: it is encoded already."""
    base_url: str = "https://api.inworld.ai"
    """Where the API is."""
    stt: InworldSttRole = Field(default_factory=InworldSttRole)
    tts: InworldTtsRole = Field(default_factory=InworldTtsRole)
    realtime: InworldRealtimeRole = Field(default_factory=InworldRealtimeRole)


def _headers(options: InworldOptions) -> dict[str, str]:
    return {"Authorization": f"Basic {secret(options.api_key)}", **options.headers}


class InworldTts(TtsDialect):
    """Up to five contexts on a socket; each sentence is one."""

    life = Life(longest=Nanos(30 * 60 * SECOND))
    contexts = 5

    def __init__(self, options: InworldOptions, rate: int, language: str) -> None:
        self._options = options
        self._language = language
        encoding = {"MULAW": Encoding.ULAW, "ALAW": Encoding.ALAW, "PCM": Encoding.PCM}[options.tts.encoding]
        self.speaks = AudioFormat(encoding, 8000) if rate == 8000 else AudioFormat(Encoding.PCM, min(rate, 24_000))
        self.model = ModelInfo(options.tts.model, "")

    def opening(self) -> Opening:
        options = self._options
        url = address(web_socket(options.base_url), "/tts/v1/voice:streamBidirectional", {}, options.tts.query)
        return Opening(url, _headers(options))

    def speak(self, context: str, text: str) -> Iterator[Wire]:
        tts = self._options.tts
        create = {
            "voiceId": tts.voice,
            "modelId": tts.model,
            "audioConfig": {"audioEncoding": _ENCODINGS[self.speaks.encoding], "sampleRateHertz": self.speaks.rate},
            "language": self._language,
            "autoMode": True,
            "timestampType": "WORD",
        }
        yield dumps({"create": merged(create, tts.extra), "contextId": context})
        for start in range(0, len(text), _LONGEST_TEXT):
            yield dumps({"send_text": {"text": text[start : start + _LONGEST_TEXT]}, "contextId": context})
        yield dumps({"close_context": {}, "contextId": context})

    def cancel(self, context: str) -> Iterable[Wire]:
        return (dumps({"cancel_context": {}, "contextId": context}),)

    def decode(self, message: Wire) -> Iterator[TtsEvent]:
        found = json.loads(message)
        if "error" in found:
            yield _fault(found["error"], "")
            return
        result = found.get("result") or {}
        context = result.get("contextId") or ""
        status = result.get("status") or {}
        if status.get("code", 0) not in {0, _NOT_FOUND}:
            yield _fault(status, context)
        elif chunk := result.get("audioChunk"):
            if alignment := (chunk.get("timestampInfo") or {}).get("wordAlignment"):
                yield SpokenWords(_words(alignment), context)
            if chunk.get("audioContent"):
                yield Sound(a2b_base64(chunk["audioContent"]), context)
        elif "contextClosed" in result:
            if usage := result.get("usage"):
                yield Spent(characters=usage.get("processedCharactersCount", 0), context=context)
            yield Done(context=context)


class InworldStt(SttDialect):
    """Audio as base64 in JSON; ``endTurn`` asks for what is open."""

    envelope = Envelope(b'{"audioChunk":{"content":"', b'"}}', base64=True)
    life = Life(flows=True, frame_ms=60)

    def __init__(self, options: InworldOptions, rate: int, language: str) -> None:
        self._options = options
        self._language = options.stt.language or language
        self.hears = PCM_16K
        self.model = ModelInfo(options.stt.model, "")

    def opening(self) -> Opening:
        options, stt = self._options, self._options.stt
        config = {
            "modelId": stt.model,
            "audioEncoding": "LINEAR16",
            "sampleRateHertz": self.hears.rate,
            "numberOfChannels": 1,
            "language": self._language,
        }
        first = dumps({"transcribeConfig": merged(config, stt.extra)})
        url = address(web_socket(options.base_url), "/stt/v1/transcribe:streamBidirectional", {}, stt.query)
        return Opening(url, _headers(options), (first,))

    def end(self) -> Iterable[Wire]:
        return ('{"endTurn":{}}',)

    def close(self) -> Iterable[Wire]:
        return ('{"closeStream":{}}',)

    def decode(self, message: Wire) -> Iterator[SttEvent]:
        found = json.loads(message)
        if "error" in found:
            yield _fault(found["error"], "")
            return
        result = found.get("result") or {}
        if "speechStarted" in result:
            yield TurnEvent("started")
        elif text := result.get("transcription"):
            final = bool(text.get("isFinal"))
            yield Heard(text.get("transcript") or "", final=final)
            if final:
                yield TurnEvent("ended")


class InworldRealtime(RealtimeEvents):
    """OpenAI's events without truncation: what was not heard stays in the model's memory."""

    truncates = False

    def __init__(self, options: InworldOptions, rate: int, brief: Brief) -> None:
        super().__init__(brief, options.realtime.model, FORMATS[options.realtime.audio])
        self._options = options
        self._key = uuid.uuid4().hex

    def opening(self) -> Opening:
        options = self._options
        query = {"key": self._key, "protocol": "realtime"}
        url = address(web_socket(options.base_url), "/api/v1/realtime/session", query, options.realtime.query)
        return Opening(url, _headers(options))

    def session(self) -> dict[str, Any]:
        role = self._options.realtime
        body = {
            "type": "realtime",
            "model": role.model,
            "instructions": self.brief.prompt,
            "output_modalities": ["audio", "text"],
            "audio": {
                "input": {
                    "format": ga_format(self.hears),
                    "transcription": {"model": "inworld/inworld-stt-1"},
                    "turn_detection": {"type": "semantic_vad", "create_response": True, "interrupt_response": True},
                },
                "output": {"voice": role.voice, "model": role.speech_model, "format": ga_format(self.speaks)},
            },
            "tools": tools_block(self.brief.tools),
        }
        return merged(body, role.extra)


def _words(alignment: dict[str, Any]) -> tuple[Word, ...]:
    rows = zip(alignment["words"], alignment["wordStartTimeSeconds"], alignment["wordEndTimeSeconds"], strict=True)
    return tuple(Word(text, from_seconds(start), from_seconds(end)) for text, start, end in rows)


def _fault(status: dict[str, Any], context: str) -> Fault:
    """Codes are gRPC's."""
    code = status.get("code", 13)
    return Fault(
        f"{code}: {status.get('message', '')}", code not in _PERMANENT, busy=code == _EXHAUSTED, context=context
    )


SPEC: Final = adapter("inworld", InworldOptions, stt=InworldStt, tts=InworldTts, realtime=InworldRealtime)
