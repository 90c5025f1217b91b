"""The slowest turns, each as a card: what was said, what it sounded like, and where its time went."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.bench.report.audio import Clip, cut
from gateway.bench.report.facts import Heard, slowest
from gateway.bench.runs.run_file import Inside, Run
from gateway.bench.waterfall import LABELS

__all__ = ["Bar", "Card", "cards"]

_BESIDE: Final = 0.45
"""Share of a telephone's width that the text of a bar needs; what has less room beside it holds its text itself."""
_INSIDE: Final = 0.4


@dataclass(frozen=True, slots=True)
class Bar:
    """A stage in the waterfall; shares of the gap."""

    stage: str
    label: str
    start: float
    width: float
    ms: float
    model_ms: float | None
    """What the model reported for itself."""

    @property
    def text_side(self) -> str:
        before, after = self.start, 1 - self.start - self.width
        if self.width >= _INSIDE and max(before, after) < _BESIDE:
            return "inside"
        return "right" if after >= before else "left"


@dataclass(frozen=True, slots=True)
class Card:
    one: Heard
    clip: Clip | None
    bars: Sequence[Bar]
    apart_ms: float | None
    """What the caller measured less what the agent's own stamps say."""

    @property
    def waves(self) -> tuple[str, str]:
        """The caller above the middle of a box of 1000 by 100, the agent below."""
        if self.clip is None:
            return "", ""
        return _wave(self.clip.caller, -1), _wave(self.clip.agent, 1)

    @property
    def gap(self) -> tuple[float, float] | None:
        """Where the silence lies in the clip, as shares of it."""
        clip = self.clip
        if clip is None or self.one.turn.gap_ms is None or clip.onset_s is None:
            return None
        return _within(clip.ended_s / clip.length_s), _within(clip.onset_s / clip.length_s)


def cards(run: Run, directory: Path, count: int) -> list[Card]:
    """Those that callers waited longest for."""
    return [_card(one, directory) for one in slowest(run, count)]


def _card(one: Heard, directory: Path) -> Card:
    inside, gap = one.turn.inside, one.turn.gap_ms
    apart = None if inside is None or inside.gap_ms is None or gap is None else gap - inside.gap_ms
    return Card(one, cut(one, directory), list(_bars(inside)) if inside is not None else [], apart)


def _bars(inside: Inside) -> Iterator[Bar]:
    """The stages of the house have names; what another version reports keeps its own."""
    stages = {stage: inside.stages_ms[stage] for stage in LABELS if stage in inside.stages_ms}
    stages |= {stage: ms for stage, ms in inside.stages_ms.items() if stage not in stages}
    total = sum(max(0.0, ms) for ms in stages.values())
    reached = 0.0
    for stage, ms in stages.items():
        width = max(0.0, ms) / total if total else 0.0
        known = stage if stage in LABELS else "other"
        yield Bar(known, LABELS.get(stage, stage), reached, width, ms, inside.model_ms.get(stage))
        reached += width


def _wave(peaks: Sequence[float], side: int) -> str:
    """A filled outline; ``side`` is -1 for upwards."""
    if not peaks:
        return ""
    step = 1000 / len(peaks)
    places = "".join(f"L{i * step:.0f} {50 + side * peak * 48:.0f}" for i, peak in enumerate(peaks))
    return f"M0 50{places}L1000 50Z"


def _within(share: float) -> float:
    return min(1.0, max(0.0, share))
