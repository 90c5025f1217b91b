"""Cartesia: Sonic speaks, any number of calls on one WebSocket, each sentence a context of its own; Ink listens."""

from __future__ import annotations

import json
from binascii import a2b_base64
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Final

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
from gateway.providers.options import RoleOptions, VendorOptions, address, dumps, merged, secret, web_socket
from gateway.providers.sessions.vendor import adapter
from gateway.units import SECOND, Nanos, from_seconds

__all__ = ["SPEC", "CartesiaOptions", "CartesiaTtsDialect"]

_ENCODINGS: Final = {Encoding.PCM: "pcm_s16le", Encoding.ULAW: "pcm_mulaw", Encoding.ALAW: "pcm_alaw"}


class CartesiaTts(RoleOptions):
    """Text to speech at Cartesia."""

    model: str = "sonic-3.5"
    """A dated one (``sonic-3.5-2026-05-04``) does not change by itself; no version is reported."""
    voice: str = "a0e99841-438c-4a64-b679-ae501e7d6091"
    """Identifier of the voice."""
    speed: float | None = Field(default=None, ge=0.6, le=1.5)
    """1 is the voice's own."""


class CartesiaStt(RoleOptions):
    """Ink."""

    model: str = "ink-2"
    """``ink-2`` takes turns itself; ``ink-whisper`` hears more languages and waits for the gateway."""
    keyterms: tuple[str, ...] = ()
    """Names and terms to listen for."""


class CartesiaOptions(VendorOptions):
    """A provider of kind ``cartesia``."""

    api_key: Secret
    """From play.cartesia.ai."""
    base_url: str = "https://api.cartesia.ai"
    """Where the API is."""
    version: str = "2026-08-14"
    """Of the API, as the header ``Cartesia-Version`` pins it."""
    stt: CartesiaStt = Field(default_factory=CartesiaStt)
    tts: CartesiaTts = Field(default_factory=CartesiaTts)


def _opening(options: CartesiaOptions, path: str, query: dict[str, Any], role: RoleOptions) -> Opening:
    headers = {"X-API-Key": secret(options.api_key), "Cartesia-Version": options.version, **options.headers}
    return Opening(address(web_socket(options.base_url), path, query, role.query), headers)


class _Ink(SttDialect):
    path: ClassVar[str]

    def __init__(self, options: CartesiaOptions, rate: int, language: str) -> None:
        self._options = options
        self._language = language.partition("-")[0]
        self.hears = ULAW_8K if rate == 8000 else PCM_16K
        self.model = ModelInfo(options.stt.model, "")

    def opening(self) -> Opening:
        stt = self._options.stt
        query = {
            "model": stt.model,
            "encoding": _ENCODINGS[self.hears.encoding],
            "sample_rate": self.hears.rate,
            "keyterm": stt.keyterms,
            **self.query(),
        }
        return _opening(self._options, self.path, query, stt)

    def query(self) -> dict[str, Any]:
        return {}


class CartesiaInk(_Ink):
    """Turns as the model takes them; there is no way to ask for one sooner."""

    life = Life(flows=True, frame_ms=100)
    path = "/stt/turns/websocket"

    def close(self) -> Iterable[Wire]:
        return ('{"type":"close"}',)

    def decode(self, message: Wire) -> Iterator[SttEvent]:
        found = json.loads(message)
        match found.get("type"):
            case "turn.start":
                yield TurnEvent("started")
            case "turn.update":
                yield Heard(found["transcript"])
            case "turn.eager_end":
                yield Heard(found["transcript"])
                yield TurnEvent("eager_end")
            case "turn.resume":
                yield TurnEvent("resumed")
            case "turn.end":
                yield Heard(found["transcript"])
                yield TurnEvent("ended")
            case "error":
                yield _fault(found, "")


class CartesiaInkManual(_Ink):
    """Segments; the gateway says when a turn has ended, by a bare word."""

    life = Life(flows=True, frame_ms=100)
    path = "/stt/websocket"

    def query(self) -> dict[str, Any]:
        return {"language": self._language}

    def end(self) -> Iterable[Wire]:
        return ("finalize",)

    def close(self) -> Iterable[Wire]:
        return ("close",)

    def decode(self, message: Wire) -> Iterator[SttEvent]:
        found = json.loads(message)
        match found.get("type"):
            case "transcript":
                yield Heard(found["text"], final=bool(found["is_final"]), language=found.get("language") or "")
            case "flush_done":
                yield Flushed()
            case "error":
                yield _fault(found, "")


class CartesiaTtsDialect(TtsDialect):
    """The service closes a socket on which nothing was said for five minutes, and takes no keep-alive for an answer."""

    life = Life(longest=Nanos(270 * SECOND))
    contexts = 20

    def __init__(self, options: CartesiaOptions, rate: int, language: str) -> None:
        self._options = options
        self._language = language.partition("-")[0]
        self.speaks = (
            AudioFormat(Encoding.ULAW, 8000)
            if rate == 8000
            else AudioFormat(Encoding.PCM, min(max(rate, 16_000), 24_000))
        )
        self.model = ModelInfo(options.tts.model, "")

    def opening(self) -> Opening:
        return _opening(self._options, "/tts/websocket", {}, self._options.tts)

    def speak(self, context: str, text: str) -> Iterable[Wire]:
        tts = self._options.tts
        body: dict[str, Any] = {
            "model_id": tts.model,
            "transcript": text,
            "voice": {"mode": "id", "id": tts.voice},
            "language": self._language,
            "context_id": context,
            "continue": False,
            "max_buffer_delay_ms": 0,
            "output_format": {
                "container": "raw",
                "encoding": _ENCODINGS[self.speaks.encoding],
                "sample_rate": self.speaks.rate,
            },
            "add_timestamps": True,
        }
        if tts.speed is not None:
            body["generation_config"] = {"speed": tts.speed}
        return (dumps(merged(body, tts.extra)),)

    def cancel(self, context: str) -> Iterable[Wire]:
        return (dumps({"context_id": context, "cancel": True}),)

    def decode(self, message: Wire) -> Iterator[TtsEvent]:
        found = json.loads(message)
        context = found.get("context_id") or ""
        match found.get("type"):
            case "chunk":
                yield Sound(a2b_base64(found["data"]), context)
            case "timestamps":
                yield SpokenWords(_words(found["word_timestamps"]), context)
            case "done":
                yield Done(context=context)
            case "error":
                yield _fault(found, context)


def _words(found: dict[str, Any]) -> tuple[Word, ...]:
    return tuple(
        Word(text, from_seconds(start), from_seconds(end))
        for text, start, end in zip(found["words"], found["start"], found["end"], strict=True)
    )


def _fault(found: dict[str, Any], context: str) -> Fault:
    status = found.get("status_code") or 500
    text = " ".join(str(found[key]) for key in ("error_code", "title", "message") if found.get(key))
    return Fault(text or f"status {status}", status >= 500 or status in {408, 429}, status == 429, context=context)


def _stt(options: CartesiaOptions, rate: int, language: str) -> SttDialect:
    turns = options.stt.model.startswith("ink-2")
    return (CartesiaInk if turns else CartesiaInkManual)(options, rate, language)


SPEC: Final = adapter("cartesia", CartesiaOptions, stt=_stt, tts=CartesiaTtsDialect)
