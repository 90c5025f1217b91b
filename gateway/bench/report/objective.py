"""The objective of a run, as a line across a chart of the response gap."""

from __future__ import annotations

from gateway.bench.report.plots import Label, Mark, line
from gateway.bench.report.scale import Axis, plain_ms
from gateway.bench.runs.run_file import Objective

__all__ = ["limit", "limit_label", "limit_line"]


def limit(objective: Objective | None) -> float:
    """In milliseconds; 0 if there is none for the gap."""
    return objective.limit_ms if objective is not None and objective.figure == "gap" else 0.0


def limit_line(objective: Objective | None, y: Axis) -> list[Mark]:
    """None or one."""
    at = y.place(limit(objective))
    return [Mark("objective", line([(0, at), (1, at)]))] if limit(objective) else []


def limit_label(objective: Objective | None, y: Axis) -> list[Label]:
    """What it says, at the right end of the line."""
    if objective is None or not limit(objective):
        return []
    text = f"objective p{objective.percentile:g} < {plain_ms(objective.limit_ms)} ms"
    return [Label(1.0, y.place(objective.limit_ms), text, "over")]
