"""Soniox: speech to text, token by token; and voices, five at once on a socket."""

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
    Flushed,
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
from gateway.providers.elevenlabs import words_of
from gateway.providers.faults import http_fault
from gateway.providers.options import RoleOptions, VendorOptions, address, dumps, merged, secret, web_socket
from gateway.providers.sessions.vendor import adapter
from gateway.units import SECOND, Nanos, from_ms

__all__ = ["SPEC", "SonioxOptions", "SonioxStt", "SonioxTts"]

_HEARS: Final = {Encoding.PCM: "pcm_s16le", Encoding.ULAW: "mulaw"}
_SPEAKS: Final = {Encoding.PCM: "pcm_s16le", Encoding.ULAW: "pcm_mulaw"}
_MARKS: Final = {"<end>", "<fin>"}


class SonioxSttRole(RoleOptions):
    """Speech to text at Soniox."""

    model: str = "stt-rt-v5"
    """As Soniox names it; no version is reported."""
    languages: tuple[str, ...] | None = None
    """Those that are likely; None is the plug's alone."""
    context: str = ""
    """What the calls are about, with names and terms."""
    endpoints: bool = True
    """The model's own opinion of when a turn has ended is told to the gateway."""
    max_endpoint_delay_ms: int = Field(default=1000, ge=500, le=3000)
    """It ends a turn after so much at the latest."""


class SonioxTtsRole(RoleOptions):
    """Text to speech at Soniox."""

    model: str = "tts-rt-v1"
    """As Soniox names it."""
    voice: str = "Adrian"
    """Name of the voice; each speaks every language."""
    speed: float | None = None
    """1 is the voice's own."""
    base_url: str | None = None
    """Where the voices are; None is ``https://tts-rt.soniox.com``, or the block's ``base_url`` if that was changed."""


class SonioxOptions(VendorOptions):
    """A provider of kind ``soniox``."""

    api_key: Secret
    """From console.soniox.com."""
    base_url: str = "https://stt-rt.soniox.com"
    """Where the API is."""
    stt: SonioxSttRole = Field(default_factory=SonioxSttRole)
    tts: SonioxTtsRole = Field(default_factory=SonioxTtsRole)


class SonioxStt(SttDialect):
    """Tokens are parts of words with their own spaces: final ones come once, the others anew each time. The text since
    the last mark is told as a whole; ``<fin>`` answers ``finalize``, ``<end>`` is the model's own opinion."""

    life = Life(keep_alive=Nanos(8 * SECOND), longest=Nanos(290 * 60 * SECOND), frame_ms=60)

    def __init__(self, options: SonioxOptions, rate: int, language: str) -> None:
        self._options = options
        languages = options.stt.languages
        self._languages = languages if languages is not None else (language.partition("-")[0],)
        self.hears = ULAW_8K if rate == 8000 else PCM_16K
        self.model = ModelInfo(options.stt.model, "")
        self._final: list[dict[str, Any]] = []

    def opening(self) -> Opening:
        options, stt = self._options, self._options.stt
        config: dict[str, Any] = {
            "api_key": secret(options.api_key),
            "model": stt.model,
            "audio_format": _HEARS[self.hears.encoding],
            "sample_rate": self.hears.rate,
            "num_channels": 1,
            "enable_endpoint_detection": stt.endpoints,
        }
        if stt.endpoints:
            config["max_endpoint_delay_ms"] = stt.max_endpoint_delay_ms
        if self._languages:
            config["language_hints"] = list(self._languages)
        if stt.context:
            config["context"] = stt.context
        headers = {"Authorization": f"Bearer {secret(options.api_key)}", **options.headers}
        url = address(web_socket(options.base_url), "/transcribe-websocket", {}, stt.query)
        return Opening(url, headers, (dumps(merged(config, stt.extra)),))

    def keep_alive(self) -> Iterable[Wire]:
        return ('{"type":"keepalive"}',)

    def end(self) -> Iterable[Wire]:
        return ('{"type":"finalize"}',)

    def close(self) -> Iterable[Wire]:
        return ('{"type":"finish"}',)

    def decode(self, message: Wire) -> Iterator[SttEvent]:
        found = json.loads(message)
        if found.get("error_code"):
            yield _fault(found)
            return
        open_text, came = "", False
        for token in found.get("tokens") or ():
            if token["text"] in _MARKS:
                yield from self._mark(token["text"])
                came = False
            elif token.get("is_final"):
                self._final.append(token)
                came = True
            else:
                open_text += token["text"]
                came = True
        if came:
            yield Heard(self._text() + open_text, language=self._language())

    def _mark(self, mark: str) -> Iterator[SttEvent]:
        if self._final:
            sure = min((token["confidence"] for token in self._final if "confidence" in token), default=None)
            words = tuple(_words(self._final))
            yield Heard(self._text(), final=True, confidence=sure, language=self._language(), words=words)
        if mark == "<fin>":
            yield Flushed()
        elif self._final:
            yield TurnEvent("ended")
        self._final.clear()

    def _text(self) -> str:
        return "".join(token["text"] for token in self._final)

    def _language(self) -> str:
        return (self._final[-1].get("language") or "") if self._final else ""


class SonioxTts(TtsDialect):
    """Each sentence is a stream of its own."""

    life = Life(keep_alive=Nanos(20 * SECOND))
    contexts = 5

    def __init__(self, options: SonioxOptions, rate: int, language: str) -> None:
        self._options = options
        self._language = language.partition("-")[0]
        self.speaks = ULAW_8K if rate == 8000 else AudioFormat(Encoding.PCM, 24_000 if rate >= 24_000 else 16_000)
        self.model = ModelInfo(options.tts.model, "")

    def opening(self) -> Opening:
        options, tts = self._options, self._options.tts
        unchanged = options.base_url == SonioxOptions.model_fields["base_url"].default
        base = tts.base_url or ("https://tts-rt.soniox.com" if unchanged else options.base_url)
        headers = {"Authorization": f"Bearer {secret(options.api_key)}", **options.headers}
        return Opening(address(web_socket(base), "/tts-websocket", {}, tts.query), headers)

    def keep_alive(self) -> Iterable[Wire]:
        return ('{"keep_alive":true}',)

    def speak(self, context: str, text: str) -> Iterable[Wire]:
        tts = self._options.tts
        config: dict[str, Any] = {
            "api_key": secret(self._options.api_key),
            "stream_id": context,
            "model": tts.model,
            "language": self._language,
            "voice": tts.voice,
            "audio_format": _SPEAKS[self.speaks.encoding],
            "sample_rate": self.speaks.rate,
            "return_timestamps": True,
        }
        if tts.speed is not None:
            config["speed"] = tts.speed
        yield dumps(merged(config, tts.extra))
        yield dumps({"stream_id": context, "text": text, "text_end": True})

    def cancel(self, context: str) -> Iterable[Wire]:
        return (dumps({"stream_id": context, "cancel": True}),)

    def decode(self, message: Wire) -> Iterator[TtsEvent]:
        """The stream ends with ``terminated``, after a fault as well."""
        found = json.loads(message)
        context = found.get("stream_id") or ""
        if found.get("error_code"):
            yield _fault(found, context)
            return
        if found.get("audio"):
            yield Sound(a2b_base64(found["audio"]), context)
        if times := found.get("timestamps"):
            starts, ends = times["character_start_times_seconds"], times["character_end_times_seconds"]
            spans = zip(times["characters"], starts, ends, strict=True)
            words = words_of([(text, 1e3 * start, 1e3 * (end - start)) for text, start, end in spans], 0.0)
            yield SpokenWords(tuple(words), context)
        if found.get("terminated"):
            yield Done(context=context)


def _words(tokens: Iterable[dict[str, Any]]) -> Iterator[Word]:
    """A token that begins with a space begins a word."""
    text, start, end = "", 0, 0
    for token in tokens:
        if token["text"].startswith(" ") and text:
            yield Word(text, from_ms(start), from_ms(end))
            text = ""
        start = start if text else token.get("start_ms") or 0
        text, end = text + token["text"].strip(), token.get("end_ms") or 0
    if text:
        yield Word(text, from_ms(start), from_ms(end))


def _fault(found: dict[str, Any], context: str = "") -> Fault:
    """Errors are numbered as HTTP's are."""
    fault = http_fault(int(found["error_code"]), {}, str(found.get("error_message", "")))
    return Fault(fault.text.removeprefix("HTTP "), fault.transient, fault.busy, context=context)


SPEC: Final = adapter("soniox", SonioxOptions, stt=SonioxStt, tts=SonioxTts)
