"""The charts along a run: each turn, the calls in progress, and what was done to the agent meanwhile."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from gateway.bench.report.facts import Heard, heard, in_progress
from gateway.bench.report.objective import limit, limit_label, limit_line
from gateway.bench.report.plots import Chart, Label, Mark, area, box, dots, line, place, point, steps
from gateway.bench.report.samples import percentile
from gateway.bench.report.scale import Axis, LinearAxis, TimeAxis, duration_axis, plain_ms
from gateway.bench.runs.run_file import Phase, Run

__all__ = ["load", "over_time", "run_axis"]

_DOTS: Final = 3000
"""Turns that are drawn one by one."""
_STEPS: Final = 1500
"""Changes of the number of calls that are drawn."""
_BUCKETS: Final = 48
_PHASE_ROOM: Final = 0.2
"""Share of the axis that a phase's name needs; the table below the chart has all names."""
_FEWEST: Final = 20
"""Turns that a bucket needs for its p95."""


def run_axis(run: Run) -> TimeAxis:
    """Seconds of the run; all that is drawn over time shares it."""
    ends = [phase.end_s for phase in run.phases] + [call.ended_s or 0.0 for call in run.calls]
    return TimeAxis(0, max([*ends, 1.0]))


def over_time(run: Run) -> Chart:
    """Each turn by the moment at which the caller had ended, with what was done to the agent meanwhile."""
    x = run_axis(run)
    turns = [one for one in heard(run, warm_up=True) if not one.turn.talked_over]
    answered = [one for one in turns if one.turn.gap_ms is not None]
    y = duration_axis([one.turn.gap_ms or 0.0 for one in answered], also=limit(run.objective))
    shown, note = _thinned(answered)
    marks = [*_bands(run, x), *limit_line(run.objective, y)]
    for css, chosen in (
        ("warm", [one for one in shown if one.call.warm_up]),
        ("gap", [one for one in shown if not one.call.warm_up]),
    ):
        marks.append(Mark(f"dots {css}", dots(place(x, y, ((o.turn.ended_s, o.turn.gap_ms or 0.0) for o in chosen)))))
    lost = [one for one in turns if one.turn.gap_ms is None]
    marks.append(Mark("dots lost", dots((x.place(one.turn.ended_s), 0.985) for one in lost)))
    marks += _buckets([one for one in answered if not one.call.warm_up], x, y)
    points = [point(x.place(o.turn.ended_s), y.place(o.turn.gap_ms or 0.0), _told(o), o.name) for o in shown]
    points += [point(x.place(one.turn.ended_s), 0.985, _told(one), one.name) for one in lost]
    return Chart(
        "Response gap of each turn along the run", x.ticks(), y.ticks(), marks,
        [*_fault_labels(run, x), *limit_label(run.objective, y)],
        legend=_time_legend(run, lost), points=points, note=note,
    )  # fmt: skip


def _time_legend(run: Run, lost: Sequence[Heard]) -> list[tuple[str, str]]:
    entries = [("gap", "one turn"), ("median", "median"), ("tail", "p95")]
    if any(call.warm_up for call in run.calls):
        entries.append(("warm", "warm-up, not counted"))
    if lost:
        entries.append(("lost", f"{len(lost)} not answered"))
    return entries


def _thinned(turns: Sequence[Heard]) -> tuple[list[Heard], str]:
    """The slowest one in a hundred are all kept; of the others a random part, if there are too many to draw."""
    if len(turns) <= _DOTS:
        return list(turns), ""
    by_gap = sorted(turns, key=lambda one: -(one.turn.gap_ms or 0.0))
    kept = len(turns) // 100
    rest = random.Random(1).sample(by_gap[kept:], _DOTS - kept)
    return [*by_gap[:kept], *rest], (
        f"Of {len(turns)} turns the slowest 1% and a random {len(rest)} of the others are drawn; "
        "lines, curves and tables are of all."
    )


def _told(one: Heard) -> str:
    gap = "no answer" if one.turn.gap_ms is None else f"{plain_ms(one.turn.gap_ms)} ms"
    return f"{gap} · {one.turn.ended_s:.1f} s · call {one.call.number}, turn {one.turn.number} · {one.call.scenario}"


def _buckets(turns: Sequence[Heard], x: LinearAxis, y: Axis) -> list[Mark]:
    """Median and p95 of equal stretches of the run, where there is enough to tell."""
    found: list[list[float]] = [[] for _ in range(_BUCKETS)]
    for one in turns:
        found[min(_BUCKETS - 1, int(x.place(one.turn.ended_s) * _BUCKETS))].append(one.turn.gap_ms or 0.0)
    marks = []
    for css, percent, fewest in (("tail", 95, _FEWEST), ("median", 50, 5)):
        places = [
            ((i + 0.5) / _BUCKETS, y.place(percentile(sorted(gaps), percent)))
            for i, gaps in enumerate(found) if len(gaps) >= fewest
        ]  # fmt: skip
        if len(places) > 1:
            marks.append(Mark(f"trend {css}", line(places), css))
    return marks


def load(run: Run) -> Chart:
    """Calls in progress, under the same time axis."""
    x = run_axis(run)
    busy = in_progress(run.calls, x.high)
    y = LinearAxis(0, max(count for _, count in busy) * 1.15 or 1, whole=True)
    kept = busy if len(busy) <= _STEPS else [*busy[:: len(busy) // _STEPS + 1], busy[-1]]
    places = place(x, y, ((at, float(count)) for at, count in kept))
    labels = [Label(x.place(p.start_s), 0.97, _phase_name(p), "phase") for p in run.phases if _has_room(p, x)]
    phases = [Mark("phase", line([(x.place(p.start_s), 0), (x.place(p.start_s), 1)])) for p in run.phases]
    marks = [*_bands(run, x), *phases, Mark("fill load", area(places)), Mark("curve load", steps(places))]
    return Chart("Calls in progress along the run", x.ticks(), y.ticks()[:4], marks, labels, "time of the run")


def _has_room(phase: Phase, x: LinearAxis) -> bool:
    return x.place(phase.end_s) - x.place(phase.start_s) > _PHASE_ROOM


def _phase_name(phase: Phase) -> str:
    load = f"{phase.callers} callers" if phase.callers is not None else f"{phase.rate:g}/s" if phase.rate else ""
    return phase.name if phase.name in load or load in phase.name else f"{phase.name} {load}".strip()


def _bands(run: Run, x: Axis) -> list[Mark]:
    marks = [Mark("warm-up", box(x.place(p.start_s), x.place(p.end_s))) for p in run.phases if p.warm_up]
    for fault in run.faults:
        left = x.place(fault.at_s)
        marks.append(Mark("fault", box(left, max(left + 0.002, x.place(fault.until_s or fault.at_s)))))
    return marks


def _fault_labels(run: Run, x: Axis) -> list[Label]:
    return [Label(x.place(fault.at_s), 0.0, str(number), "badge") for number, fault in enumerate(run.faults, 1)]
