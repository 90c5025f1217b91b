"""Deepgram's voices: Aura (``/v1/speak``) and Flux (``/v2/speak``, which speaks in turns)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Final

from gateway.audio import ULAW_8K, AudioFormat, Encoding
from gateway.providers.contract import ModelInfo
from gateway.providers.dialect import (
    Done,
    Fault,
    Life,
    Model,
    Opening,
    Ready,
    Sound,
    Spent,
    TtsDialect,
    TtsEvent,
    Wire,
)
from gateway.providers.options import RoleOptions, address, dumps, secret, web_socket
from gateway.units import SECOND, Nanos

__all__ = ["DeepgramAura", "DeepgramFluxVoice", "DeepgramTts"]

_ENCODINGS: Final = {Encoding.PCM: "linear16", Encoding.ULAW: "mulaw", Encoding.ALAW: "alaw"}
_PERMANENT: Final = ("MESSAGE-", "DATA-", "BIG-")


class DeepgramTts(RoleOptions):
    """Text to speech at Deepgram."""

    model: str = "aura-2-thalia-en"
    """The voice is in the name; one that begins with ``flux-`` speaks in turns."""

    @property
    def voice_language(self) -> str:
        language = self.model.rpartition("-")[2]
        return language if len(language) == 2 else ""


class _Speaking(TtsDialect):
    """One utterance at a time, any number after each other."""

    path: ClassVar[str]

    def __init__(self, options: Any, rate: int, language: str) -> None:
        self._options = options
        self.speaks = ULAW_8K if rate == 8000 else AudioFormat(Encoding.PCM, 24_000 if rate >= 24_000 else 16_000)
        self.model = ModelInfo(options.tts.model, "")
        self._dropping = False

    def opening(self) -> Opening:
        options = self._options
        query = {
            "model": options.tts.model,
            "encoding": _ENCODINGS[self.speaks.encoding],
            "sample_rate": self.speaks.rate,
        }
        headers = {"Authorization": f"Token {secret(options.api_key)}", **options.headers}
        return Opening(address(web_socket(options.base_url), self.path, query, options.tts.query), headers)

    def speak(self, context: str, text: str) -> Iterable[Wire]:
        return (dumps({"type": "Speak", "text": text}), '{"type":"Flush"}')

    def close(self) -> Iterable[Wire]:
        return ('{"type":"Close"}',)

    def decode(self, message: Wire) -> Iterator[TtsEvent]:
        if isinstance(message, bytes):
            if message and not self._dropping:
                yield Sound(message)
            return
        yield from self.told(json.loads(message))

    def told(self, found: dict[str, Any]) -> Iterator[TtsEvent]:
        raise NotImplementedError

    def _model(self, found: dict[str, Any]) -> Iterator[TtsEvent]:
        self.model = ModelInfo(found["model_name"], found.get("model_version") or "")
        yield Model(self.model)


class DeepgramAura(_Speaking):
    life = Life(longest=Nanos(55 * 60 * SECOND))
    path = "/v1/speak"

    def cancel(self, context: str) -> Iterable[Wire]:
        """What is still on its way is dropped until ``Cleared``."""
        self._dropping = True
        return ('{"type":"Clear"}',)

    def told(self, found: dict[str, Any]) -> Iterator[TtsEvent]:
        match found["type"]:
            case "Metadata":
                yield from self._model(found)
            case "Flushed" if not self._dropping:
                yield Done()
            case "Cleared":
                self._dropping = False
                yield Done()
            case "Error":
                yield _fault(found)


class DeepgramFluxVoice(_Speaking):
    life = Life(greeted=True, longest=Nanos(55 * 60 * SECOND))
    path = "/v2/speak"

    def cancel(self, context: str) -> Iterable[Wire]:
        self._dropping = True
        return ('{"type":"Interrupt"}',)

    def told(self, found: dict[str, Any]) -> Iterator[TtsEvent]:
        match found["type"]:
            case "Connected":
                yield Ready()
                yield from self._model(found)
            case "SpeechMetadata" if not self._dropping:
                yield Spent(
                    seconds=found.get("audio_duration_ms", 0) / 1000,
                    characters=found.get("billable_character_count", 0),
                )
                yield Done()
            case "SpeechInterrupted":
                self._dropping = False
                yield Done()
            case "Warning" if found.get("code") == "NO_ACTIVE_SPEECH":  # it had ended already
                self._dropping = False
                yield Done()
            case "Error":
                yield _fault(found)


def _fault(found: dict[str, Any]) -> Fault:
    code = str(found.get("code") or found.get("err_code") or "")
    text = found.get("description") or found.get("err_msg") or ""
    return Fault(f"{code}: {text}", not code.startswith(_PERMANENT))
