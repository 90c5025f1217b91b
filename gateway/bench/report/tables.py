"""The rows of the report's tables, for the terminal and for the page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.bench.report.facts import FIGURES, FigureKind, failed, heard, values
from gateway.bench.report.samples import percentile
from gateway.bench.report.scale import plain_ms
from gateway.bench.runs.run_file import Call, Figure, Run
from gateway.bench.waterfall import LABELS

__all__ = [
    "Fact", "PercentileRow", "Spread", "failures", "honesty", "outcomes", "percentile_rows", "scenario_rows",
    "stage_rows", "streams", "stretches",
]  # fmt: skip

_STRETCHES: Final = 12
FAILURES: Final = 50
"""Calls that the page lists; the run file has all."""


@dataclass(frozen=True, slots=True)
class PercentileRow:
    kind: FigureKind
    figure: Figure


def percentile_rows(run: Run) -> list[PercentileRow]:
    """The run's figures in their order, from the full histograms that the file carries."""
    return [PercentileRow(kind, run.figures[key]) for key, kind in FIGURES.items() if key in run.figures]


@dataclass(frozen=True, slots=True)
class Spread:
    """How some values of one kind are spread. ``places`` are shares of an axis that all rows of a table share."""

    name: str
    label: str
    count: int
    p5: float
    p50: float
    p95: float
    p99: float
    places: tuple[float, float, float, float] = (0, 0, 0, 0)


def stage_rows(run: Run) -> list[Spread]:
    """The stages of all turns that the agent has written down itself, and what of them is its own."""
    inside = [one.turn.inside for one in heard(run) if one.turn.inside is not None]
    names = [stage for stage in LABELS if any(stage in turn.stages_ms for turn in inside)]
    rows = [_spread(s, LABELS[s], [turn.stages_ms[s] for turn in inside if s in turn.stages_ms]) for s in names]
    rows.append(_spread("ours", "ours: gap - hangover - models", [t.ours_ms for t in inside if t.ours_ms is not None]))
    apart = [
        abs(one.turn.gap_ms - one.turn.inside.gap_ms)
        for one in heard(run)
        if one.turn.gap_ms is not None and one.turn.inside is not None and one.turn.inside.gap_ms is not None
    ]
    rows.append(_spread("apart", "inside and outside view apart by", apart))
    return _placed([row for row in rows if row is not None])


def _spread(name: str, label: str, found: Iterable[float]) -> Spread | None:
    ordered = sorted(found)
    if not ordered:
        return None
    p5, p50, p95, p99 = (percentile(ordered, percent) for percent in (5, 50, 95, 99))
    return Spread(name, label, len(ordered), p5, p50, p95, p99)


def _placed(rows: Sequence[Spread]) -> list[Spread]:
    longest = max((row.p99 for row in rows), default=0.0) or 1.0
    return [
        Spread(
            r.name, r.label, r.count, r.p5, r.p50, r.p95, r.p99,
            tuple(min(1.0, max(0.0, value / longest)) for value in (r.p5, r.p50, r.p95, r.p99)),  # type: ignore[arg-type]
        )
        for r in rows
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the run, for those who do not see the chart."""

    start_s: float
    end_s: float
    turns: int
    unanswered: int
    p50: float | None
    p95: float | None
    slowest: float | None


def stretches(run: Run, length_s: float) -> list[Stretch]:
    """The run in twelve parts; those of the warm-up have no turns that count."""
    width = length_s / _STRETCHES
    parts: list[list[float | None]] = [[] for _ in range(_STRETCHES)]
    for one in heard(run):
        if not one.turn.talked_over:
            parts[min(_STRETCHES - 1, int(one.turn.ended_s / width))].append(one.turn.gap_ms)
    return [_stretch(i * width, width, part) for i, part in enumerate(parts)]


def _stretch(start: float, width: float, part: Sequence[float | None]) -> Stretch:
    gaps = sorted(gap for gap in part if gap is not None)
    at = [percentile(gaps, percent) if gaps else None for percent in (50, 95, 100)]
    return Stretch(start, start + width, len(part), len(part) - len(gaps), *at)


@dataclass(frozen=True, slots=True)
class ScenarioRow:
    name: str
    calls: int
    failed: int
    turns: int
    p50: float | None
    p95: float | None
    p99: float | None


def scenario_rows(run: Run) -> list[ScenarioRow]:
    """The slowest scenario first."""
    by_name: dict[str, list[Call]] = defaultdict(list)
    for call in run.measured():
        by_name[call.scenario].append(call)
    rows = [_scenario(name, calls) for name, calls in by_name.items()]
    return sorted(rows, key=lambda row: -(row.p95 or 0.0))


def _scenario(name: str, calls: Sequence[Call]) -> ScenarioRow:
    gaps = values(calls, "gap")
    at = [percentile(gaps, percent) if gaps else None for percent in (50, 95, 99)]
    return ScenarioRow(name, len(calls), failed(calls), sum(len(call.turns) for call in calls), *at)


@dataclass(frozen=True, slots=True)
class Outcome:
    name: str
    calls: int
    share: float


def outcomes(run: Run) -> list[Outcome]:
    """Good ones first, then by number."""
    total = sum(run.outcomes.values()) or 1
    ordered = sorted(run.outcomes.items(), key=lambda item: (item[0] != "ok", -item[1]))
    return [Outcome(name, count, count / total) for name, count in ordered]


def failures(run: Run) -> tuple[list[Call], int]:
    """Calls that went wrong, as many as are worth reading, and how many more there are."""
    found = [call for call in run.measured() if call.outcome != "ok"]
    return found[:FAILURES], max(0, len(found) - FAILURES)


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that has to be right for the figures to mean something."""

    good: bool
    text: str


def honesty(run: Run) -> list[Fact]:
    """Would this run show the agent, or its own measuring?"""
    generator, counted = run.generator, run.measured()
    late = generator.lateness_ms
    facts = [
        Fact(
            generator.bottleneck is None,
            generator.bottleneck or "The callers kept up: the generator was no bottleneck.",
        )
    ]
    if late is not None:
        sent = f"p99 {plain_ms(late.p99)} ms, worst {plain_ms(late.max)} ms after their time"
        facts.append(Fact(late.p99 < _LATE_MS, f"The callers' packets left on time: {sent}."))
    facts.append(Fact(generator.late_sends == 0, f"{generator.late_sends} moments of the packet clock were missed."))
    if (starts := generator.starts_ms) is not None:
        facts.append(
            Fact(
                starts.p99 < _START_MS,
                f"Calls began when the schedule said, fixed before the run: p99 {plain_ms(starts.p99)} ms late.",
            )
        )
    facts.append(Fact(True, _processor(run)))
    warm = len(run.calls) - len(counted)
    facts.append(Fact(True, f"{warm} calls of the warm-up are in no figure." if warm else "There was no warm-up."))
    if (gap := run.figures.get("gap")) is not None:
        facts.append(_sureness(gap))
    return facts


_LATE_MS: Final = 2.0
_START_MS: Final = 50.0


def _processor(run: Run) -> str:
    used = run.generator
    share = f"{used.cpu_s:.1f} s in {used.wall_s:.1f} s"
    return f"The generator used {used.cores_used:.2f} cores of {run.machine.cores} ({share})."


def _sureness(gap: Figure) -> Fact:
    low, high = (None, None) if gap.p99_ci is None else gap.p99_ci
    if high is None:
        known = "" if low is None else f", and lies above {plain_ms(low)} ms (95%)"
        few = f"{gap.count} turns are too few for a p99 with an upper limit: it is near the slowest one{known}."
        return Fact(False, few)
    between = f"between {plain_ms(low)} and {plain_ms(high)} ms"
    return Fact(True, f"p99 of {gap.count} turns lies {between} (95% confidence).")


def streams(run: Run) -> list[Spread]:
    """What RTP went through: loss and jitter of what callers received, and how it is rated."""
    rtp = [call.rtp for call in run.measured() if call.rtp is not None and call.rtp.received]
    kinds = (
        ("loss", "packets lost, %", [100 * one.lost / (one.received + one.lost) for one in rtp if one.lost >= 0]),
        ("jitter", "jitter, ms", [one.jitter_ms for one in rtp]),
        ("mos", "opinion score (MOS)", [one.mos for one in rtp if one.mos is not None]),
    )
    return [row for row in (_spread(*kind) for kind in kinds) if row is not None]
