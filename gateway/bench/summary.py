"""Calls to the rows of the table at the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.bench.measure.inside import InsideInterruption, InsideTurn
from gateway.bench.measure.results import CallResult, summarise
from gateway.bench.terminal import Row
from gateway.bench.waterfall import LABELS
from gateway.units import to_ms

__all__ = ["inside_rows", "outside_rows"]


def outside_rows(calls: Sequence[CallResult]) -> list[Row]:
    """What callers measured at the wire."""
    turns = [turn for call in calls for turn in call.turns]
    return _rows(
        ("call set-up, INVITE to 200", (call.set_up for call in calls)),
        ("greeting, 200 to first sound", (call.greeted_after for call in calls)),
        ("response gap, as heard", (turn.gap for turn in turns if not turn.talked_over)),
        ("interruption to silence, as heard", (turn.stop for turn in turns)),
    )


def inside_rows(turns: Sequence[InsideTurn], interruptions: Sequence[InsideInterruption]) -> list[Row]:
    """What the gateway wrote down of them: the gap, its stages, and what of it is the gateway's own."""
    answered = [turn for turn in turns if turn.gap_ms is not None]
    rows = _rows_ms(("response gap, in the gateway", (turn.gap_ms for turn in answered)))
    for stage, label in LABELS.items():
        rows += _rows_ms((label, (turn.stages_ms.get(stage) for turn in answered)), stage=True)
    return rows + _rows_ms(
        ("ours: gap - hangover - models", (turn.ours_ms for turn in answered)),
        ("interruption to silence", (stop.stop_ms for stop in interruptions)),
    )


def _rows(*kinds: tuple[str, Iterable[int | None]]) -> list[Row]:
    return _rows_ms(
        *((label, (None if value is None else to_ms(value) for value in values)) for label, values in kinds)
    )


def _rows_ms(*kinds: tuple[str, Iterable[float | None]], stage: bool = False) -> list[Row]:
    summaries = ((label, summarise(v for v in values if v is not None)) for label, values in kinds)
    return [Row(label, summary, stage) for label, summary in summaries if summary is not None]
