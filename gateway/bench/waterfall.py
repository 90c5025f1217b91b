"""Where the time of a turn went, drawn as bars that follow each other: pure text, no terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["LABELS", "Bar", "bars"]

LABELS: Final[Mapping[str, str]] = {
    "hangover": "hangover",
    "stt": "STT final",
    "llm": "LLM first token",
    "tts": "TTS first audio",
    "first_packet": "first packet",
}
"""Stages in their order, with what people call them."""

_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True, slots=True)
class Bar:
    stage: str
    label: str
    drawing: str
    """Spaces up to where the stage begins, then the bar; never wider than asked for."""
    ms: float


def bars(stages_ms: Mapping[str, float], width: int, *, ascii_only: bool = False) -> list[Bar]:
    """One bar per stage, on a common scale that fills ``width`` columns. A stage too short to see is a thin line."""
    total = sum(stages_ms.values()) or 1.0
    drawn: list[Bar] = []
    reached = 0.0
    for stage, label in LABELS.items():
        if stage not in stages_ms:
            continue
        start = reached / total * width
        reached += stages_ms[stage]
        end = reached / total * width
        drawn.append(Bar(stage, label, _draw(start, end, width, ascii_only=ascii_only), stages_ms[stage]))
    return drawn


def _draw(start: float, end: float, width: int, *, ascii_only: bool) -> str:
    first = max(0, min(int(start + 1e-9), width - 1))
    eighths = max(1, round((end - first) * 8))
    full, rest = divmod(min(eighths, (width - first) * 8), 8)
    if ascii_only:
        return " " * first + "#" * max(1, full + (rest >= 4))
    return " " * first + "█" * full + (_EIGHTHS[rest] if rest else "")
