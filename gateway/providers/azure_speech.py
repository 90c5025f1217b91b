"""Azure Speech: recognition and synthesis over its WebSockets, whose messages are headers and a body.

The protocol is that of Microsoft's own SDK; there is no page of documentation for it any more.
"""

from __future__ import annotations

import json
import struct
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from pydantic import Field

from gateway.audio import PCM_16K, ULAW_8K, AudioFormat, Encoding
from gateway.options import Secret
from gateway.providers.contract import ModelInfo, Word
from gateway.providers.dialect import (
    Done,
    Envelope,
    Fault,
    Heard,
    Life,
    Opening,
    Sound,
    SpokenWords,
    SttDialect,
    SttEvent,
    TtsDialect,
    TtsEvent,
    TurnEvent,
    Wire,
)
from gateway.providers.options import RoleOptions, VendorOptions, address, dumps, merged, secret, web_socket
from gateway.providers.sessions.vendor import adapter
from gateway.units import SECOND, Nanos

__all__ = ["SPEC", "AzureSpeechOptions", "AzureStt", "AzureTts"]

_STT_PATH: Final = "/speech/recognition/conversation/cognitiveservices/v1"
_TTS_PATH: Final = "/tts/cognitiveservices/websocket/v1"
_OUTPUTS: Final = {
    (Encoding.ULAW, 8000): "raw-8khz-8bit-mono-mulaw",
    (Encoding.ALAW, 8000): "raw-8khz-8bit-mono-alaw",
    (Encoding.PCM, 16_000): "raw-16khz-16bit-mono-pcm",
    (Encoding.PCM, 24_000): "raw-24khz-16bit-mono-pcm",
}
_WAV_TAGS: Final = {Encoding.PCM: 1, Encoding.ALAW: 6, Encoding.ULAW: 7}
_TICKS: Final = 100
"""Nanoseconds of an offset."""
_NOTHING: Final = {"NoMatch", "InitialSilenceTimeout", "BabbleTimeout", "EndOfDictation"}
_PERMANENT: Final = {"BadRequest", "Forbidden", "InvalidMessage"}


class AzureSttRole(RoleOptions):
    """Speech to text at Azure."""

    language: str | None = None
    """With its region: ``en-US``; None takes the plug's."""
    url: str | None = None
    """Instead of the region's address: a container, a private endpoint."""
    segmentation_ms: int = Field(default=400, ge=100, le=5000)
    """So much silence ends a phrase, which is when its final text comes."""


class AzureTtsRole(RoleOptions):
    """Text to speech at Azure."""

    voice: str = "en-US-AvaMultilingualNeural"
    """Name of the voice."""
    url: str | None = None
    """Instead of the region's address."""
    rate: str | None = None
    """Of speaking, as SSML has it: ``+10%``."""

    @property
    def voice_language(self) -> str:
        tied = "multilingual" not in self.voice.lower() and self.voice.count("-") >= 2
        return self.voice.partition("-")[0] if tied else ""


class AzureSpeechOptions(VendorOptions):
    """A provider of kind ``azure-speech``."""

    api_key: Secret
    """Of the Speech resource."""
    region: str = "westeurope"
    """Of the resource."""
    base_url: str | None = None
    """Instead of the region's addresses, for both roles: a gateway."""
    stt: AzureSttRole = Field(default_factory=AzureSttRole)
    tts: AzureTtsRole = Field(default_factory=AzureTtsRole)


def _base(options: AzureSpeechOptions, url: str | None, service: str) -> str:
    return web_socket(url or options.base_url or f"wss://{options.region}.{service}.speech.microsoft.com")


def _headers(options: AzureSpeechOptions) -> dict[str, str]:
    return {
        "Ocp-Apim-Subscription-Key": secret(options.api_key),
        "X-ConnectionId": uuid.uuid4().hex,
        **options.headers,
    }


def _text(path: str, request: str, body: str, kind: str = "application/json; charset=utf-8") -> str:
    return f"Path: {path}\r\nX-RequestId: {request}\r\nContent-Type: {kind}\r\n\r\n{body}"


def _binary_head(path: str, request: str, kind: str) -> bytes:
    """What stands before a binary body: the length of the headers, and they."""
    headers = f"Path: {path}\r\nX-RequestId: {request}\r\nContent-Type: {kind}\r\n".encode()
    return struct.pack(">H", len(headers)) + headers


def _split(message: Wire) -> tuple[dict[str, str], Any]:
    """Headers (names in lower case) and body of a message."""
    if isinstance(message, bytes):
        (length,) = struct.unpack_from(">H", message)
        head, body = message[2 : 2 + length].decode(), message[2 + length :]
    else:
        head, _, body = message.partition("\r\n\r\n")  # type: ignore[assignment]
    lines = (line.partition(":") for line in head.splitlines() if line)
    return {name.strip().lower(): value.strip() for name, _, value in lines}, body


def _speech_config(audio: AudioFormat | None) -> str:
    context: dict[str, Any] = {"system": {"name": "Linecard", "version": "1", "build": "Linux", "lang": "Python"}}
    if audio is not None:
        source = {
            "type": "Stream",
            "bitspersample": 8 * audio.encoding.width,
            "channelcount": 1,
            "samplerate": audio.rate,
        }
        context["audio"] = {"source": source}
    return dumps({"context": context})


class AzureStt(SttDialect):
    """Phrases, each ended by silence as the service hears it; there is no way to ask for one sooner."""

    life = Life(flows=True, frame_ms=100, longest=Nanos(9 * 60 * SECOND))
    settle = Nanos(1200 * SECOND // 1000)

    def __init__(self, options: AzureSpeechOptions, rate: int, language: str) -> None:
        self._options = options
        self._language = options.stt.language or language
        self._request = uuid.uuid4().hex
        self.hears = ULAW_8K if rate == 8000 else PCM_16K
        self.model = ModelInfo("azure speech", "")
        self.envelope = Envelope(_binary_head("audio", self._request, "audio/x-wav"))

    def opening(self) -> Opening:
        options, stt = self._options, self._options.stt
        query = {"language": self._language, "format": "simple"}
        segmentation = {"mode": "Custom", "segmentationSilenceTimeoutMs": stt.segmentation_ms}
        detection = {"mode": "Conversation", "conversation": {"segmentation": segmentation}}
        first = (
            _text("speech.config", self._request, _speech_config(self.hears)),
            _text("speech.context", self._request, dumps(merged({"phraseDetection": detection}, stt.extra))),
            self.envelope.before + _wav_header(self.hears),
        )
        return Opening(address(_base(options, stt.url, "stt"), _STT_PATH, query, stt.query), _headers(options), first)

    def close(self) -> Iterable[Wire]:
        return (self.envelope.before,)  # a body of nothing ends the stream

    def decode(self, message: Wire) -> Iterator[SttEvent]:
        headers, body = _split(message)
        match headers["path"]:
            case "speech.startDetected":
                yield TurnEvent("started")
            case "speech.hypothesis" | "speech.fragment":
                yield Heard(json.loads(body)["Text"])
            case "speech.phrase":
                yield from self._phrase(json.loads(body))
            case "error":
                yield Fault(str(body), transient=True)

    @staticmethod
    def _phrase(found: dict[str, Any]) -> Iterator[SttEvent]:
        status = found["RecognitionStatus"]
        if status == "Success":
            language = (found.get("PrimaryLanguage") or {}).get("Language", "")
            yield Heard(found["DisplayText"], final=True, language=language)
            yield TurnEvent("ended")
        elif status not in _NOTHING:
            yield Fault(f"recognition: {status}", status not in _PERMANENT, busy=status == "TooManyRequests")


class AzureTts(TtsDialect):
    """A sentence is a turn of the protocol. Stopping one is documented nowhere, so an interrupted connection is given
    up, and another is ready before the caller has finished."""

    life = Life(longest=Nanos(9 * 60 * SECOND))

    def __init__(self, options: AzureSpeechOptions, rate: int, language: str) -> None:
        self._options = options
        self._language = language
        self.speaks = ULAW_8K if rate == 8000 else AudioFormat(Encoding.PCM, 24_000 if rate >= 24_000 else 16_000)
        self.model = ModelInfo(options.tts.voice, "")
        self._request = ""

    def opening(self) -> Opening:
        options, tts = self._options, self._options.tts
        return Opening(address(_base(options, tts.url, "tts"), _TTS_PATH, {}, tts.query), _headers(options))

    def speak(self, context: str, text: str) -> Iterable[Wire]:
        request = self._request = uuid.uuid5(uuid.NAMESPACE_OID, context).hex
        metadata = {"wordBoundaryEnabled": True, "sentenceBoundaryEnabled": False, "visemeEnabled": False}
        output = _OUTPUTS[self.speaks.encoding, self.speaks.rate]
        synthesis = {"synthesis": {"audio": {"metadataOptions": metadata, "outputFormat": output}}}
        return (
            _text("speech.config", request, _speech_config(None)),
            _text("synthesis.context", request, dumps(merged(synthesis, self._options.tts.extra))),
            _text("ssml", request, self._ssml(text), "application/ssml+xml"),
        )

    def decode(self, message: Wire) -> Iterator[TtsEvent]:
        headers, body = _split(message)
        if headers.get("x-requestid", self._request).lower() != self._request:
            return
        match headers["path"]:
            case "audio" if body:
                yield Sound(body)
            case "audio.metadata":
                words = tuple(_words(json.loads(body)["Metadata"]))
                if words:
                    yield SpokenWords(words)
            case "turn.end":
                yield Done()

    def _ssml(self, text: str) -> str:
        tts = self._options.tts
        said = escape(text)
        if tts.rate:
            said = f"<prosody rate={quoteattr(tts.rate)}>{said}</prosody>"
        return (
            f'<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang={quoteattr(self._language)}>'
            f"<voice name={quoteattr(tts.voice)}>{said}</voice></speak>"
        )


def _words(metadata: list[dict[str, Any]]) -> Iterator[Word]:
    for item in metadata:
        if (
            item["Type"] == "WordBoundary"
            and item["Data"]["text"].get("BoundaryType", "WordBoundary") == "WordBoundary"
        ):
            data = item["Data"]
            start = data["Offset"] * _TICKS
            yield Word(data["text"]["Text"], Nanos(start), Nanos(start + data["Duration"] * _TICKS))


def _wav_header(audio: AudioFormat) -> bytes:
    """Of a stream without an end: its lengths are zero."""
    width, rate = audio.encoding.width, audio.rate
    form = struct.pack("<HHIIHH", _WAV_TAGS[audio.encoding], 1, rate, rate * width, width, 8 * width)
    return b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<I", len(form)) + form + b"data\0\0\0\0"


SPEC: Final = adapter("azure-speech", AzureSpeechOptions, stt=AzureStt, tts=AzureTts)
