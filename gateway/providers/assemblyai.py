"""AssemblyAI: Universal-Streaming listens and takes turns itself; its voices speak over a socket of their own.

What the API's ``words`` of a voice count from is not stated clearly; they are taken to lie on the session's time.
"""

from __future__ import annotations

import json
from binascii import a2b_base64
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pydantic import Field

from gateway.audio import PCM_16K, ULAW_8K, AudioFormat, Encoding
from gateway.options import Secret
from gateway.providers.contract import ModelInfo, Word
from gateway.providers.dialect import (
    Done,
    Fault,
    Heard,
    Life,
    Model,
    Opening,
    Ready,
    Sound,
    SpokenWords,
    SttDialect,
    SttEvent,
    TtsDialect,
    TtsEvent,
    TurnEvent,
    Wire,
)
from gateway.providers.options import RoleOptions, VendorOptions, address, dumps, secret, web_socket
from gateway.providers.sessions.vendor import adapter
from gateway.units import SECOND, Nanos, from_ms

__all__ = ["SPEC", "AssemblyAiOptions", "AssemblyAiStt", "AssemblyAiTts"]

_ENCODINGS: Final = {Encoding.PCM: "pcm_s16le", Encoding.ULAW: "pcm_mulaw"}
_PERMANENT: Final = {1008, 3006, 4001, 4002, 4003, 4100, 4101}
"""The key, the bill, and what is no valid request."""
_BUSY: Final = {3009, 4102}
_OWN_CODES: Final = range(3000, 5000)
_LONGEST_TEXT: Final = 2000


class AssemblyAiSttRole(RoleOptions):
    """Speech to text at AssemblyAI."""

    model: str = "universal-3-6-pro"
    """``universal-streaming-english`` is the older one, and says everything in lower case."""
    languages: tuple[str, ...] | None = None
    """Those that may be spoken; None is the plug's alone. The older models take none."""
    keyterms: tuple[str, ...] = ()
    """Names and terms to listen for."""
    min_turn_silence_ms: int | None = Field(default=None, ge=0)
    """So much silence may end a turn; None leaves it to the model."""
    max_turn_silence_ms: int | None = Field(default=None, ge=0)
    """So much silence does end it."""


class AssemblyAiTtsRole(RoleOptions):
    """Text to speech at AssemblyAI."""

    voice: str | None = None
    """Name of the voice; None is the service's own choice."""
    base_url: str | None = None
    """Where the voices are; None is ``https://tts.us.assemblyai.com``, or the block's ``base_url`` if that was
    changed."""


class AssemblyAiOptions(VendorOptions):
    """A provider of kind ``assemblyai``."""

    api_key: Secret
    """From assemblyai.com."""
    base_url: str = "https://streaming.assemblyai.com"
    """Where the API is; ``https://streaming.eu.assemblyai.com`` stays in Europe."""
    version: str = "2025-05-12"
    """Of the API, as the header ``AssemblyAI-Version`` pins it."""
    stt: AssemblyAiSttRole = Field(default_factory=AssemblyAiSttRole)
    tts: AssemblyAiTtsRole = Field(default_factory=AssemblyAiTtsRole)


class AssemblyAiStt(SttDialect):
    """Turns as the model takes them, each transcript that of the whole turn. It refuses frames of less than 50 ms."""

    life = Life(greeted=True, keep_alive=Nanos(20 * SECOND), longest=Nanos(170 * 60 * SECOND), frame_ms=80, filled=True)

    def __init__(self, options: AssemblyAiOptions, rate: int, language: str) -> None:
        self._options = options
        stt = options.stt
        self._languages = stt.languages if stt.languages is not None else (language.partition("-")[0],)
        self.hears = ULAW_8K if rate == 8000 else PCM_16K
        self.model = ModelInfo(stt.model, "")
        self._started = False
        self._ended = -1

    def opening(self) -> Opening:
        options, stt = self._options, self._options.stt
        older = stt.model.startswith("universal-streaming")
        query = {
            "speech_model": stt.model,
            "encoding": _ENCODINGS[self.hears.encoding],
            "sample_rate": self.hears.rate,
            "language_codes": json.dumps(self._languages) if self._languages and not older else None,
            "keyterms_prompt": json.dumps(stt.keyterms, ensure_ascii=False) if stt.keyterms else None,
            "min_turn_silence": stt.min_turn_silence_ms,
            "max_turn_silence": stt.max_turn_silence_ms,
        }
        headers = {
            "Authorization": secret(options.api_key),
            "AssemblyAI-Version": options.version,
            **options.headers,
        }
        return Opening(address(web_socket(options.base_url), "/v3/ws", query, stt.query), headers)

    def keep_alive(self) -> Iterable[Wire]:
        return ('{"type":"KeepAlive"}',)

    def end(self) -> Iterable[Wire]:
        return ('{"type":"ForceEndpoint"}',)

    def close(self) -> Iterable[Wire]:
        return ('{"type":"Terminate"}',)

    def closed(self, code: int | None, reason: str) -> Fault | None:
        return _closed(code, reason)

    def decode(self, message: Wire) -> Iterator[SttEvent]:
        found = json.loads(message)
        match found.get("type"):
            case "Begin":
                yield Ready()
                yield from _model(found, "model", "api_version")
            case "SpeechStarted":
                yield from self._start()
            case "Turn":
                yield from self._turn(found)
            case "Error":
                yield _fault(found)

    def _start(self) -> Iterator[SttEvent]:
        """Told by itself by the newer models, by the first words of a turn by the others."""
        if not self._started:
            self._started = True
            yield TurnEvent("started")

    def _turn(self, found: dict[str, Any]) -> Iterator[SttEvent]:
        """A turn that has ended may come once more, formatted: the first is what the answer is made of."""
        if found["turn_order"] <= self._ended:
            return
        if found["transcript"]:
            yield from self._start()
        yield Heard(
            found["transcript"],
            confidence=found.get("end_of_turn_confidence"),
            language=found.get("language_code") or "",
        )
        if found["end_of_turn"]:
            self._ended = found["turn_order"]
            self._started = False
            yield TurnEvent("ended")


class AssemblyAiTts(TtsDialect):
    """One sentence at a time; each ``Flush`` has a number."""

    life = Life(greeted=True, keep_alive=Nanos(30 * SECOND), longest=Nanos(58 * 60 * SECOND))

    def __init__(self, options: AssemblyAiOptions, rate: int, language: str) -> None:
        self._options = options
        self._language = language.partition("-")[0]
        self.speaks = ULAW_8K if rate == 8000 else AudioFormat(Encoding.PCM, 24_000 if rate >= 24_000 else 16_000)
        self.model = ModelInfo("assemblyai-tts-1", "")
        self._cancelling = False
        self._done = -1
        self._start: float | None = None

    def opening(self) -> Opening:
        options, tts = self._options, self._options.tts
        query = {
            "voice": tts.voice,
            "language": self._language,
            "encoding": _ENCODINGS[self.speaks.encoding],
            "sample_rate": self.speaks.rate,
            "word_boundaries": True,
            "inactivity_timeout": 120,
        }
        unchanged = options.base_url == AssemblyAiOptions.model_fields["base_url"].default
        base = tts.base_url or ("https://tts.us.assemblyai.com" if unchanged else options.base_url)
        headers = {"Authorization": secret(options.api_key), **options.headers}
        return Opening(address(web_socket(base), "/v1/ws", query, tts.query), headers)

    def keep_alive(self) -> Iterable[Wire]:
        return ('{"type":"KeepAlive"}',)

    def speak(self, context: str, text: str) -> Iterable[Wire]:
        self._start = None
        for at in range(0, len(text), _LONGEST_TEXT):
            yield dumps({"type": "Generate", "text": text[at : at + _LONGEST_TEXT]})
        yield '{"type":"Flush"}'

    def cancel(self, context: str) -> Iterable[Wire]:
        self._cancelling = True
        return ('{"type":"Cancel"}',)

    def close(self) -> Iterable[Wire]:
        return ('{"type":"Terminate"}',)

    def closed(self, code: int | None, reason: str) -> Fault | None:
        return _closed(code, reason)

    def decode(self, message: Wire) -> Iterator[TtsEvent]:
        found = json.loads(message)
        match found.get("type"):
            case "Begin":
                yield Ready()
                yield from _model(found, "model", "voice_id")
            case "Audio" if not self._cancelling:
                yield Sound(a2b_base64(found["audio"]))
            case "WordBoundaries" if not self._cancelling:
                yield SpokenWords(self._words(found))
            case "FlushDone" if not self._cancelling and found["flush_id"] > self._done:
                self._done = found["flush_id"]
                yield Done()
            case "Cancelled":
                self._cancelling = False
                yield Done()
            case "Error":
                yield _fault(found)

    def _words(self, found: dict[str, Any]) -> tuple[Word, ...]:
        if self._start is None:
            self._start = found["audio_start_ms"]
        start = self._start
        return tuple(
            Word(word["word"], from_ms(word["start"] - start), from_ms(word["end"] - start)) for word in found["words"]
        )


def _model(found: dict[str, Any], name: str, version: str) -> Iterator[Model]:
    configuration = found.get("configuration") or {}
    if configuration.get(name):
        yield Model(ModelInfo(configuration[name], str(configuration.get(version) or "")))


def _fault(found: dict[str, Any]) -> Fault:
    code = found.get("error_code")
    return _coded(code, f"{code}: {found.get('error', '')}" if code else str(found.get("error", "")))


def _closed(code: int | None, reason: str) -> Fault | None:
    return _coded(code, f"closed: {code} {reason}") if code in _OWN_CODES else None


def _coded(code: Any, text: str) -> Fault:
    return Fault(text, code not in _PERMANENT, code in _BUSY)


SPEC: Final = adapter("assemblyai", AssemblyAiOptions, stt=AssemblyAiStt, tts=AssemblyAiTts)
