"""Rime: voices over the socket ``ws3``.

A server that does not tell ``done`` (it is newer than the rest) is of no use: the end of a sentence is then found by
its deadline alone. The newer protocol ``rime.v1`` is not spoken here.
"""

from __future__ import annotations

import json
from binascii import a2b_base64
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

from pydantic import Field

from gateway.audio import ULAW_8K, AudioFormat, Encoding
from gateway.options import Secret
from gateway.providers.contract import ModelInfo, Word
from gateway.providers.dialect import Done, Fault, Opening, Sound, SpokenWords, TtsDialect, TtsEvent, Wire
from gateway.providers.options import RoleOptions, VendorOptions, address, dumps, secret, web_socket
from gateway.providers.sessions.vendor import adapter
from gateway.units import from_seconds

__all__ = ["SPEC", "RimeOptions", "RimeTts"]

_ENCODINGS: Final = {Encoding.PCM: "pcm", Encoding.ULAW: "mulaw"}
_LANGUAGES: Final = {"en": "eng", "es": "spa", "fr": "fra", "de": "ger", "hi": "hin", "pt": "por", "ja": "jpn"}


class RimeRole(RoleOptions):
    """Text to speech at Rime."""

    model: str = "arcana"
    """``arcana``, ``mistv2``, ``coda``; no version is reported."""
    voice: str = "astra"
    """Name of the speaker; each model has its own."""
    language: str | None = None
    """Three letters, as Rime names it; None takes the plug's."""
    encoding: Literal["auto", "mulaw", "pcm"] = "auto"
    """``auto``: mu-law for a telephone call, linear for a wideband one."""
    speed: float | None = Field(default=None, gt=0)
    """``speedAlpha``: below 1 some models are slower, others faster."""


class RimeOptions(VendorOptions):
    """A provider of kind ``rime``."""

    api_key: Secret
    """From rime.ai."""
    base_url: str = "https://users-ws.rime.ai"
    """Where the API is."""
    tts: RimeRole = Field(default_factory=RimeRole)


class RimeTts(TtsDialect):
    """``clear`` is for all of a connection, so it carries one sentence at a time; it is not answered, and what still
    comes of the sentence bears its name."""

    named = True

    def __init__(self, options: RimeOptions, rate: int, language: str) -> None:
        self._options = options
        spoken = language.partition("-")[0]
        self._language = options.tts.language or _LANGUAGES.get(spoken, spoken)
        law = options.tts.encoding == "mulaw" or (options.tts.encoding == "auto" and rate == 8000)
        self.speaks = ULAW_8K if law else AudioFormat(Encoding.PCM, max(8000, min(rate, 24_000)))
        self.model = ModelInfo(options.tts.model, "")

    def opening(self) -> Opening:
        options, tts = self._options, self._options.tts
        query = {
            "speaker": tts.voice,
            "modelId": tts.model,
            "audioFormat": _ENCODINGS[self.speaks.encoding],
            "samplingRate": self.speaks.rate,
            "segment": "never",
            "lang": self._language,
            "speedAlpha": tts.speed,
        }
        headers = {"Authorization": f"Bearer {secret(options.api_key)}", **options.headers}
        return Opening(address(web_socket(options.base_url), "/ws3", query, tts.query), headers)

    def speak(self, context: str, text: str) -> Iterable[Wire]:
        """Nothing is spoken before the flush, so that a sentence is never cut in its middle."""
        yield dumps({"text": text, "contextId": context})
        yield dumps({"operation": "flush", "contextId": context})

    def cancel(self, context: str) -> Iterable[Wire]:
        return ('{"operation":"clear"}',)

    def close(self) -> Iterable[Wire]:
        return ('{"operation":"clear"}',)

    def decode(self, message: Wire) -> Iterator[TtsEvent]:
        found = json.loads(message)
        context = found.get("contextId") or ""
        match found.get("type"):
            case "chunk":
                yield Sound(a2b_base64(found["data"]), context)
            case "timestamps":
                yield SpokenWords(_words(found["word_timestamps"]), context)
            case "done":
                yield Done(context=context)
            case "error":
                yield Fault(str(found.get("message") or "error"), transient=True, context=context)


def _words(found: dict[str, Any]) -> tuple[Word, ...]:
    return tuple(
        Word(text, from_seconds(start), from_seconds(end))
        for text, start, end in zip(found["words"], found["start"], found["end"], strict=True)
    )


SPEC: Final = adapter("rime", RimeOptions, tts=RimeTts)
