"""Wyoming: the servers of Home Assistant's voice (faster-whisper, Piper, Kokoro and others), one's own, over plain TCP.

The protocol knows neither a key nor TLS: it is for the same machine or a private network.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from codecs_ext.resample import SOURCES, Resample
from gateway.audio import PCM_16K, AudioFormat, Encoding
from gateway.providers.contract import ModelInfo
from gateway.providers.dialect import (
    Dialect,
    Done,
    Envelope,
    Fault,
    Flushed,
    Heard,
    Life,
    Model,
    Opening,
    Ready,
    Sound,
    SttEvent,
    TtsDialect,
    TtsEvent,
    TurnSttDialect,
    Wire,
)
from gateway.providers.options import RoleOptions, VendorOptions, dumps, merged
from gateway.providers.sessions.vendor import adapter

__all__ = ["SPEC", "WyomingOptions", "WyomingStt", "WyomingTts"]

_LINE_LIMIT: Final = 1024 * 1024
_MESSAGE_LIMIT: Final = 16 * 1024 * 1024
_FORMAT: Final = {"rate": PCM_16K.rate, "width": 2, "channels": 1}


class WyomingSttRole(RoleOptions):
    """Speech to text."""

    model: str | None = None
    """Name of the model; None is the server's first."""
    language: str | None = None
    """As the server names it; None takes the plug's, without its region."""


class WyomingTtsRole(RoleOptions):
    """Text to speech."""

    voice: str | None = None
    """Name of the voice; None is the server's own choice for the language."""
    speaker: str | None = None
    """Of a voice that has several."""


class WyomingOptions(VendorOptions):
    """A provider of kind ``wyoming``: one server. STT and TTS are usually two."""

    base_url: str
    """``tcp://127.0.0.1:10300`` is where STT usually is, port 10200 where TTS is."""
    stt: WyomingSttRole = Field(default_factory=WyomingSttRole)
    tts: WyomingTtsRole = Field(default_factory=WyomingTtsRole)

    @field_validator("base_url")
    @classmethod
    def _base_is_an_address(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "")
        if parts.scheme != "tcp" or not parts.hostname or not parts.port:
            raise ValueError(f"{url!r} is no TCP address; write one like tcp://127.0.0.1:10300")
        return url


class _Event(NamedTuple):
    kind: str
    data: dict[str, Any]
    payload: bytes


class _Framing:
    """A line of JSON, then as much JSON and as many bytes as it says."""

    def size(self, waiting: bytearray) -> int | None:
        if waiting and waiting[0] != ord("{"):
            raise ValueError("it does not begin with a brace")
        end = waiting.find(b"\n", 0, _LINE_LIMIT)
        if end < 0:
            if len(waiting) >= _LINE_LIMIT:
                raise ValueError("a line of more than 1 MiB")
            return None
        head = json.loads(waiting[:end])
        more = [head.get(key) or 0 for key in ("data_length", "payload_length")]
        if not all(isinstance(size, int) and 0 <= size <= _MESSAGE_LIMIT for size in more):
            raise ValueError(f"lengths of {more}")
        return end + 1 + sum(more)

    def wrap(self, before: bytes, audio: bytes) -> bytes:
        return b"%b%d}\n%b" % (before, len(audio), audio)


def _message(kind: str, data: dict[str, Any]) -> str:
    return dumps({"type": kind, "data": data}) + "\n"


def _event(message: Wire) -> _Event:
    if isinstance(message, str):
        raise TypeError("a message is bytes")
    line, _, rest = message.partition(b"\n")
    head = json.loads(line)
    size = head.get("data_length") or 0
    data = {**(head.get("data") or {}), **(json.loads(rest[:size]) if size else {})}
    return _Event(head["type"], data, rest[size:])


class _Wyoming(Dialect):
    """A server that describes itself is ready."""

    life = Life(greeted=True, probe=False)
    framing = _Framing()
    _options: WyomingOptions
    _kind: str

    def opening(self) -> Opening:
        return Opening(self._options.base_url, first=(_message("describe", {}),))

    def _common(self, event: _Event) -> Iterator[Any]:
        match event.kind:
            case "info":
                yield Ready()
                for program in (event.data.get(self._kind) or ())[:1]:
                    yield Model(ModelInfo(self.model.name or program["name"], str(program.get("version") or "")))
            case "error":
                yield Fault(f"{event.data.get('code') or 'error'}: {event.data.get('text', '')}", transient=True)


class WyomingStt(_Wyoming, TurnSttDialect):
    """Most servers know nothing but the whole turn; some stream its text."""

    envelope = Envelope(f'{{"type":"audio-chunk","data":{dumps(_FORMAT)},"payload_length":'.encode())
    hears = PCM_16K
    _kind = "asr"

    def __init__(self, options: WyomingOptions, rate: int, language: str) -> None:
        self._options = options
        self._language = options.stt.language or language.partition("-")[0]
        self.model = ModelInfo(options.stt.model or "", "")
        self._text = ""

    def begin(self) -> Iterable[Wire]:
        stt = self._options.stt
        asked: dict[str, Any] = {"language": self._language}
        if stt.model:
            asked["name"] = stt.model
        return (_message("transcribe", merged(asked, stt.extra)), _message("audio-start", _FORMAT))

    def end(self) -> Iterable[Wire]:
        return (_message("audio-stop", {}),)

    def decode(self, message: Wire) -> Iterator[SttEvent]:
        event = _event(message)
        match event.kind:
            case "transcript-start":
                self._text = ""
            case "transcript-chunk":
                self._text += event.data["text"]
                yield Heard(self._text)
            case "transcript":
                yield Heard(event.data["text"], final=True, language=event.data.get("language") or "")
                yield Flushed()
            case _:
                yield from self._common(event)


class WyomingTts(_Wyoming, TtsDialect):
    """One sentence after the other. There is no word for stopping: it is hung up, and another connection made."""

    _kind = "tts"

    def __init__(self, options: WyomingOptions, rate: int, language: str) -> None:
        self._options = options
        self._language = language.partition("-")[0]
        self.speaks = AudioFormat(Encoding.PCM, next(one for one in (24_000, 16_000, 8000) if one <= max(rate, 8000)))
        self.model = ModelInfo(options.tts.voice or "", "")
        self._resample: Resample | None = None

    def speak(self, context: str, text: str) -> Iterable[Wire]:
        tts = self._options.tts
        voice: dict[str, Any] = {"name": tts.voice} if tts.voice else {"language": self._language}
        if tts.speaker:
            voice["speaker"] = tts.speaker
        return (_message("synthesize", merged({"text": text, "voice": voice}, tts.extra)),)

    def decode(self, message: Wire) -> Iterator[TtsEvent]:
        event = _event(message)
        match event.kind:
            case "audio-start":
                yield from self._announced(event.data)
            case "audio-chunk" if event.payload:
                yield Sound(self._resample.process(event.payload) if self._resample else event.payload)
            case "audio-stop":
                yield Done()
            case _:
                yield from self._common(event)

    def _announced(self, data: dict[str, Any]) -> Iterator[TtsEvent]:
        rate, width, channels = data["rate"], data["width"], data["channels"]
        if rate not in SOURCES or width != 2 or channels != 1:
            sent = f"{rate} Hz, {width} bytes, {channels} channels"
            yield Fault(f"it sends audio that cannot be played: {sent}", transient=False)
            return
        self._resample = None if rate == self.speaks.rate else Resample(rate, self.speaks.rate)


SPEC: Final = adapter("wyoming", WyomingOptions, stt=WyomingStt, tts=WyomingTts)
