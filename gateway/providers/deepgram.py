"""Deepgram: speech to text, Nova (``/v1/listen``) and Flux (``/v2/listen``, which ends turns itself).

Its voices are in ``deepgram_tts.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from gateway.audio import PCM_16K, AudioFormat, Encoding
from gateway.options import Secret
from gateway.providers.contract import ModelInfo, Word
from gateway.providers.deepgram_tts import DeepgramAura, DeepgramFluxVoice, DeepgramTts
from gateway.providers.dialect import (
    Fault,
    Flushed,
    Heard,
    Life,
    Model,
    Opening,
    Ready,
    SttDialect,
    SttEvent,
    TtsDialect,
    TurnEvent,
    Wire,
)
from gateway.providers.options import RoleOptions, VendorOptions, address, secret, web_socket
from gateway.providers.sessions.vendor import adapter
from gateway.units import SECOND, Nanos, from_seconds

__all__ = ["SPEC", "DeepgramFlux", "DeepgramNova", "DeepgramOptions"]

_ENCODINGS: Final = {Encoding.PCM: "linear16", Encoding.ULAW: "mulaw", Encoding.ALAW: "alaw"}
_PERMANENT: Final = {"UNPARSABLE_CLIENT_MESSAGE", "DATA-0000", "MESSAGE-0000"}


class DeepgramStt(RoleOptions):
    """Speech to text at Deepgram."""

    model: str = "nova-3"
    """``nova-3``, ``nova-2-phonecall``, ...; one that begins with ``flux-`` ends turns itself."""
    language: str | None = None
    """``multi`` or a language; None takes the plug's. Flux models have theirs in their name."""
    encoding: Literal["auto", "mulaw", "alaw", "linear16"] = "auto"
    """How the audio is sent; ``auto``: as the telephone brings it. ``linear16`` is 16 kHz, for wideband calls."""
    keyterms: tuple[str, ...] = ()
    """Names and terms to listen for."""


class DeepgramOptions(VendorOptions):
    """A provider of kind ``deepgram``."""

    api_key: Secret
    """From console.deepgram.com; temporary tokens are no keys."""
    base_url: str = "https://api.deepgram.com"
    """Where the API is; ``https://api.eu.deepgram.com`` stays in Europe."""
    stt: DeepgramStt = Field(default_factory=DeepgramStt)
    tts: DeepgramTts = Field(default_factory=DeepgramTts)


def hearing(encoding: str, rate: int) -> AudioFormat:
    """``auto``: what the caller's codec carries, and no more bytes than it takes."""
    match encoding:
        case "auto":
            return AudioFormat(Encoding.ULAW, 8000) if rate == 8000 else PCM_16K
        case "linear16":
            return PCM_16K
        case "alaw":
            return AudioFormat(Encoding.ALAW, 8000)
        case _:
            return AudioFormat(Encoding.ULAW, 8000)


class _Listening(SttDialect):
    path: ClassVar[str]

    def __init__(self, options: DeepgramOptions, rate: int, language: str) -> None:
        self._options = options
        self._language = options.stt.language or language
        self.hears = hearing(options.stt.encoding, rate)
        self.model = ModelInfo(options.stt.model, "")

    def opening(self) -> Opening:
        options = self._options
        query = {
            "model": options.stt.model,
            "encoding": _ENCODINGS[self.hears.encoding],
            "sample_rate": self.hears.rate,
            "keyterm": options.stt.keyterms,
            **self.query(),
        }
        headers = {"Authorization": f"Token {secret(options.api_key)}", **options.headers}
        return Opening(address(web_socket(options.base_url), self.path, query, options.stt.query), headers)

    def query(self) -> dict[str, Any]:
        return {}

    def close(self) -> Iterable[Wire]:
        return ('{"type":"CloseStream"}',)


class DeepgramNova(_Listening):
    """Segments as they are recognised; the gateway says when a turn has ended (``Finalize``)."""

    life = Life(keep_alive=Nanos(4 * SECOND))
    path = "/v1/listen"
    _last: tuple[float, float] | None = None

    def query(self) -> dict[str, Any]:
        return {
            "language": self._language,
            "interim_results": True,
            "punctuate": True,
            "smart_format": True,
            "endpointing": 300,
        }

    def keep_alive(self) -> Iterable[Wire]:
        return ('{"type":"KeepAlive"}',)

    def end(self) -> Iterable[Wire]:
        return ('{"type":"Finalize"}',)

    def decode(self, message: Wire) -> Iterator[SttEvent]:
        found = json.loads(message)
        match found.get("type"):
            case "Results":
                yield from self._results(found)
            case "Error":
                yield Fault(f"{found.get('variant')}: {found.get('description')}", transient=False)

    def _results(self, found: dict[str, Any]) -> Iterator[SttEvent]:
        span = (found["start"], found["duration"]) if found["is_final"] and not found.get("from_finalize") else None
        if span is not None and span == self._last:  # the same segment once more
            return
        self._last = span or self._last
        version = found.get("metadata", {}).get("model_info", {})
        if version and self.model.version != version["version"]:
            self.model = ModelInfo(version["name"], version["version"])
            yield Model(self.model)
        best = found["channel"]["alternatives"][0]
        yield Heard(
            best["transcript"],
            final=found["is_final"],
            confidence=best.get("confidence"),
            language=(best.get("languages") or [""])[0],
            words=_words(best.get("words", ())),
        )
        if found.get("from_finalize"):
            yield Flushed()


class DeepgramFlux(_Listening):
    """Turns as the model takes them. It hears time pass only by audio, so silence must flow."""

    life = Life(greeted=True, flows=True, frame_ms=80)
    path = "/v2/listen"

    def query(self) -> dict[str, Any]:
        multilingual = self._options.stt.model.endswith("-multi")
        return {"language_hint": self._language if multilingual else None}

    def end(self) -> Iterable[Wire]:
        return ('{"type":"ForceEndTurn"}',)

    def decode(self, message: Wire) -> Iterator[SttEvent]:
        found = json.loads(message)
        match found.get("type"):
            case "Connected":
                yield Ready()
                yield Model(ModelInfo(self.model.name, found.get("request_id", "")))
            case "TurnInfo":
                yield from self._turn(found)
            case "Error":
                code = found.get("code", "")
                yield Fault(f"{code}: {found.get('description', '')}", transient=code not in _PERMANENT)

    def _turn(self, found: dict[str, Any]) -> Iterator[SttEvent]:
        """The transcript is that of the whole turn, each time anew."""
        event = found["event"]
        if event == "StartOfTurn":
            yield TurnEvent("started")
        yield Heard(
            found["transcript"],
            confidence=found.get("end_of_turn_confidence") if event == "EndOfTurn" else None,
            language=(found.get("languages") or [""])[0],
        )
        match event:
            case "EagerEndOfTurn":
                yield TurnEvent("eager_end")
            case "TurnResumed":
                yield TurnEvent("resumed")
            case "EndOfTurn":
                yield TurnEvent("ended")


def _words(found: Iterable[dict[str, Any]]) -> tuple[Word, ...]:
    return tuple(
        Word(word.get("punctuated_word", word["word"]), from_seconds(word["start"]), from_seconds(word["end"]))
        for word in found
    )


def _stt(options: DeepgramOptions, rate: int, language: str) -> SttDialect:
    flux = options.stt.model.startswith("flux-")
    return (DeepgramFlux if flux else DeepgramNova)(options, rate, language)


def _tts(options: DeepgramOptions, rate: int, language: str) -> TtsDialect:
    flux = options.tts.model.startswith("flux-")
    return (DeepgramFluxVoice if flux else DeepgramAura)(options, rate, language)


SPEC: Final = adapter("deepgram", DeepgramOptions, stt=_stt, tts=_tts)
