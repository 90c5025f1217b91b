"""A call as the run file writes it down: seconds since the start of the run, milliseconds for what lasted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from gateway.bench.measure.inside import InsideTurn, joined
from gateway.bench.measure.results import CallResult, TurnResult
from gateway.units import SECOND, Nanos, to_ms

__all__ = ["call_entry"]


def call_entry(result: CallResult, origin: Nanos, inside: Sequence[InsideTurn] = ()) -> dict[str, Any]:
    """``origin`` is the run's beginning on CLOCK_MONOTONIC; ``inside`` what the gateway wrote down of the same call."""
    ticket = result.ticket

    def at(time: int | None) -> float | None:
        return None if time is None else round((time - origin) / SECOND, 6)

    def since(start: int | None, end: int | None) -> float | None:
        return None if start is None or end is None else to_ms(end - start)

    return {
        "number": ticket.number,
        "call_id": result.call_id,
        "scenario": result.scenario,
        "seed": ticket.seed,
        "phase": ticket.phase,
        "warm_up": ticket.warm_up,
        "due_s": at(ticket.due),
        "started_s": at(result.invited),
        "late_ms": since(ticket.due, result.invited),
        "ringing_ms": since(result.invited, result.ringing),
        "answered_ms": since(result.invited, result.answered),
        "first_audio_ms": since(result.answered, result.first_audio),
        "greeting_ms": None if result.greeted_after is None else to_ms(result.greeted_after),
        "ended_s": at(result.ended),
        "ended_by": result.ended_by,
        "status": result.status,
        "outcome": result.outcome,
        "failure": result.failure,
        "rtp": _rtp(result),
        "impairments": result.impairments,
        "recording": result.recording,
        "dead_air": [{"at_s": at(one.since), "ms": to_ms(one.length)} for one in result.dead_air],
        "heard": [[at(span.start.at), None if span.end is None else at(span.end.at)] for span in result.heard],
        "turns": [_turn(turn, origin, joined(turn, inside)) for turn in result.turns],
    }


def _rtp(result: CallResult) -> dict[str, Any]:
    stats = result.stats
    return {
        "sent": stats.packets_sent,
        "received": stats.packets_received,
        "lost": stats.packets_lost,
        "late": stats.packets_late,
        "duplicate": stats.packets_duplicate,
        "refused": stats.packets_refused,
        "jitter_ms": round(stats.jitter_ms, 3),
        "mos": stats.mos,
        "round_trip_ms": stats.round_trip_ms,
        "far": None if stats.far is None else asdict(stats.far),
    }


def _turn(turn: TurnResult, origin: Nanos, inside: InsideTurn | None) -> dict[str, Any]:
    saying = turn.saying

    def ms(value: int | None) -> float | None:
        return None if value is None else to_ms(value)

    return {
        "number": turn.number,
        "said": saying.text,
        "manner": str(saying.manner),
        "spoke_s": round((saying.first_sent - origin) / SECOND, 6),
        "ended_s": round((saying.ended - origin) / SECOND, 6),
        "late_ms": to_ms(saying.late),
        "gap_ms": ms(turn.gap),
        "packet_gap_ms": ms(turn.packet_gap),
        "onset_s": None if turn.answer is None else round((turn.answer.start.at - origin) / SECOND, 6),
        "awaited": saying.awaited,
        "stop_ms": ms(turn.stop),
        "interrupting": saying.interrupting,
        "talked_over": turn.talked_over,
        "false_barge_in": turn.false_barge_in,
        "talk_over_ms": to_ms(turn.overlap),
        "clipped_ms": ms(turn.clipped),
        "inside": None if inside is None else _inside(inside),
    }


def _inside(turn: InsideTurn) -> dict[str, Any]:
    return {
        "gap_ms": turn.gap_ms,
        "stages_ms": dict(turn.stages_ms),
        "model_ms": dict(turn.model_ms),
        "ours_ms": turn.ours_ms,
    }
