"""Who plays whom. A new adapter inherits the whole contract suite by its line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.played import cartesia, deepgram, openai_chat
from tests.played.stage import Script

__all__ = ["CAST", "Part"]


@dataclass(frozen=True, slots=True)
class Part:
    """A provider in one role. ``{at}`` in ``base_url`` becomes the stage's host and port."""

    kind: str
    role: str
    script: type[Script]
    block: Mapping[str, Any] = field(default_factory=dict)
    """What its YAML block needs beside the base URL, the key and short limits."""
    base_url: str = "http://{at}"
    name: str = ""

    @property
    def id(self) -> str:
        return f"{self.kind}-{self.name or self.role}"


CAST = [
    Part("deepgram", "stt", deepgram.Nova, name="nova"),
    Part("deepgram", "stt", deepgram.Flux, {"stt": {"model": "flux-general-en"}}, name="flux"),
    Part("openai-compatible", "llm", openai_chat.Chat, {"llm": {"model": "acme-llm"}}, "http://{at}/v1"),
    Part("cartesia", "tts", cartesia.Sonic),
]
