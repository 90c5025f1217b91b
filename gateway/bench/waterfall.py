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
_LION: Final = 0.6
"""A stage that takes more than this share of the time is drawn with a break, so that the others can be seen."""
_SHORTENED: Final = 0.3
"""Share of the width that it gets instead."""


@dataclass(frozen=True, slots=True)
class Bar:
    stage: str
    label: str
    drawing: str
    """Spaces up to where the stage begins, then the bar; never wider than asked for."""
    ms: float


def bars(stages_ms: Mapping[str, float], width: int, *, ascii_only: bool = False) -> list[Bar]:
    """One bar per stage, following each other over ``width`` columns. A stage too short to see is a thin line.

    The configured hangover usually dwarfs everything else: a stage beyond all proportion is drawn shorter, with a gap
    in its bar that says so. All other bars share one scale.
    """
    stages = [(stage, max(0.0, stages_ms[stage])) for stage in LABELS if stage in stages_ms]
    total = sum(ms for _, ms in stages)
    lion = next((stage for stage, ms in stages if ms > _LION * total and len(stages) > 1 and width >= 12), None)
    drawn: list[Bar] = []
    reached = 0.0
    for stage, ms in stages:
        start, reached = reached, reached + _share(stage, ms, total, lion, stages_ms) * width
        drawing = _draw(start, reached, width, ascii_only=ascii_only)
        drawn.append(Bar(stage, LABELS[stage], _broken(drawing) if stage == lion else drawing, stages_ms[stage]))
    return drawn


def _share(stage: str, ms: float, total: float, lion: str | None, stages_ms: Mapping[str, float]) -> float:
    """Of the width."""
    if stage == lion:
        return _SHORTENED
    others = total - (max(0.0, stages_ms[lion]) if lion else 0.0)
    return ms / others * (1 - _SHORTENED if lion else 1) if others > 0 else 0.0


def _broken(drawing: str) -> str:
    middle = len(drawing) // 2
    return drawing[: middle - 1] + "//" + drawing[middle + 1 :]


def _draw(start: float, end: float, width: int, *, ascii_only: bool) -> str:
    first = max(0, min(int(start + 1e-9), width - 1))
    eighths = max(1, round((end - first) * 8))
    full, rest = divmod(min(eighths, (width - first) * 8), 8)
    if ascii_only:
        return " " * first + "#" * max(1, full + (rest >= 4))
    return " " * first + "█" * full + (_EIGHTHS[rest] if rest else "")
