"""The gateway's own view of a call, read from its JSON log lines, to be laid beside what the caller measured.

Lines that are not JSON, or are about something else, are skipped: the log belongs to the operator, not to us. A turn is
joined to the caller's by Call-ID and, because both sides read the same monotonic clock of one machine, by the time at
which the caller's speech ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.bench.measure.results import TurnResult
from gateway.units import SECOND

__all__ = ["InsideInterruption", "InsideTurn", "LogLine", "joined", "read_line"]

_SAME_TURN: Final = 2 * SECOND


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the daemon's log."""

    event: str
    fields: Mapping[str, Any]

    @property
    def call_id(self) -> str:
        return str(self.fields.get("call_id", ""))


@dataclass(frozen=True, slots=True)
class InsideTurn:
    """The event ``turn``. Times in milliseconds, as logged; ``stamps`` in nanoseconds."""

    number: int
    heard: str
    said: str
    gap_ms: float | None
    stages_ms: Mapping[str, float]
    model_ms: Mapping[str, float] = field(default_factory=dict)
    ours_ms: float | None = None
    understood: bool = True
    interrupted: bool = False
    stamps: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InsideInterruption:
    """The event ``barge_in``."""

    turn: int
    confirm_ms: float
    stop_ms: float


def read_line(text: str | bytes) -> LogLine | None:
    """A JSON log line, or None if it is something else."""
    try:
        fields = json.loads(text)
    except ValueError:
        return None
    if not isinstance(fields, dict) or not isinstance(fields.get("event"), str):
        return None
    return LogLine(fields["event"], fields)


def read_turn(line: LogLine) -> InsideTurn:
    """The event ``turn``; what is missing is empty."""
    get = line.fields.get
    return InsideTurn(
        number=int(get("turn") or 0),
        heard=str(get("heard") or ""),
        said=str(get("said") or ""),
        gap_ms=get("gap_ms"),
        stages_ms=get("stages_ms") or {},
        model_ms=get("model_ms") or {},
        ours_ms=get("ours_ms"),
        understood=bool(get("understood", True)),
        interrupted=bool(get("interrupted", False)),
        stamps=get("stamps") or {},
    )


def read_interruption(line: LogLine) -> InsideInterruption:
    """The event ``barge_in``."""
    get = line.fields.get
    return InsideInterruption(int(get("turn") or 0), float(get("confirm_ms") or 0), float(get("stop_ms") or 0))


def joined(turn: TurnResult, inside: Iterable[InsideTurn]) -> InsideTurn | None:
    """The inside view of a turn of the caller, or None if the gateway wrote none down."""

    def distance(candidate: InsideTurn) -> int:
        return abs(candidate.stamps["speech_ended"] - turn.saying.last_sent)

    candidates = [candidate for candidate in inside if "speech_ended" in candidate.stamps]
    nearest = min(candidates, key=distance, default=None)
    return nearest if nearest is not None and distance(nearest) < _SAME_TURN else None
