"""Vosk's WebSocket server (alphacep/vosk-server): speech to text on one's own machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pydantic import Field

from gateway.audio import PCM_8K, PCM_16K
from gateway.options import Secret
from gateway.providers.contract import ModelInfo, Word
from gateway.providers.dialect import Flushed, Heard, Life, Opening, SttDialect, SttEvent, Wire
from gateway.providers.options import RoleOptions, VendorOptions, dumps, merged, secret, web_socket
from gateway.providers.sessions.vendor import adapter
from gateway.units import from_seconds

__all__ = ["SPEC", "VoskOptions", "VoskStt"]

_RESET: Final = '{"reset" : 1}'
"""The server compares it byte for byte."""


class VoskRole(RoleOptions):
    """Speech to text by Kaldi models."""

    model: str = "vosk"
    """Only a name for the records: the server speaks with the model that it was started with, and does not tell."""
    phrases: tuple[str, ...] = ()
    """If given, nothing else is understood; add ``[unk]`` for the rest. Small models only."""


class VoskOptions(VendorOptions):
    """A provider of kind ``vosk``."""

    base_url: str = "ws://127.0.0.1:2700"
    """Where the server is."""
    api_key: Secret | None = None
    """The server asks for none; sent as ``Authorization: Bearer`` to a proxy in front of it."""
    stt: VoskRole = Field(default_factory=VoskRole)


class VoskStt(SttDialect):
    """Each message is answered by one. The server ends segments after a silence; ``reset`` ends one now. It knows no
    errors: it hangs up."""

    life = Life(frame_ms=100)

    def __init__(self, options: VoskOptions, rate: int, language: str) -> None:
        self._options = options
        self.hears = PCM_8K if rate == 8000 else PCM_16K
        self.model = ModelInfo(options.stt.model, "")

    def opening(self) -> Opening:
        options, stt = self._options, self._options.stt
        config: dict[str, Any] = {"sample_rate": self.hears.rate, "words": True, "max_alternatives": 0}
        if stt.phrases:
            config["phrase_list"] = list(stt.phrases)
        key = secret(options.api_key)
        headers = {**({"Authorization": f"Bearer {key}"} if key else {}), **options.headers}
        return Opening(web_socket(options.base_url), headers, (dumps({"config": merged(config, stt.extra)}),))

    def end(self) -> Iterable[Wire]:
        return (_RESET,)

    def decode(self, message: Wire) -> Iterator[SttEvent]:
        """What a reset is answered with looks like any other end of a segment, so each is taken for it. At worst that
        is one that was on its way, and what follows it has no words."""
        found = json.loads(message)
        if "partial" in found:
            yield Heard(found["partial"])
        elif "text" in found:
            words = found.get("result") or ()
            yield Heard(
                found["text"],
                final=True,
                confidence=min((word["conf"] for word in words if "conf" in word), default=None),
                words=tuple(
                    Word(word["word"], from_seconds(word["start"]), from_seconds(word["end"])) for word in words
                ),
            )
            yield Flushed()


SPEC: Final = adapter("vosk", VoskOptions, stt=VoskStt)
