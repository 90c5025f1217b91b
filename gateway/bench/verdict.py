"""Was the demo's call good? Every turn understood, answered, and measured on both sides alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from gateway.bench.measure.inside import InsideInterruption, InsideTurn, joined
from gateway.bench.measure.results import CallResult, TurnResult
from gateway.units import to_ms

__all__ = ["faults"]

_AGREE_MS: Final = 21.0
"""The most that inside and outside view of one gap may differ by: the last packet, if only its first samples are
speech, and what the stamps of the two processes differ by."""
_SUM_MS: Final = 0.01
"""Rounding of five stages."""


def faults(
    result: CallResult, turns: Sequence[InsideTurn], stops: Sequence[InsideInterruption], interruptions: int
) -> list[str]:
    """What was wrong, one line each; none if all was well. ``interruptions`` is how many the scenario has."""
    found = [result.failure] if result.failure else []
    for turn in result.turns:
        found += [f"turn {turn.number}: {fault}" for fault in _turn_faults(turn, joined(turn, turns))]
    stopped = [turn for turn in result.turns if turn.stop is not None]
    if len(stopped) != interruptions or len(stops) != interruptions:
        found.append(
            f"of {interruptions} interruptions the caller saw {len(stopped)} stop the agent, the gateway {len(stops)}"
        )
    return found


def _turn_faults(turn: TurnResult, inside: InsideTurn | None) -> Iterator[str]:
    if turn.gap is None:
        yield "no answer was heard"
    if inside is None:
        yield "the gateway has not written it down"
        return
    if not inside.understood:
        yield "the gateway did not understand the caller"
    if inside.gap_ms is None:
        yield "the gateway has not measured its gap"
        return
    if abs(sum(inside.stages_ms.values()) - inside.gap_ms) > _SUM_MS:
        yield f"the stages add up to {sum(inside.stages_ms.values()):.1f} ms, the gap is {inside.gap_ms:.1f} ms"
    if turn.packet_gap is not None and abs(to_ms(turn.packet_gap) - inside.gap_ms) > _AGREE_MS:
        outside = to_ms(turn.packet_gap)
        yield f"the gateway stamped a gap of {inside.gap_ms:.1f} ms, the caller measured {outside:.1f} ms"
