"""The charts of a run's figures: how they are spread, and what became of them under load.

Each takes facts and gives marks; what is left out to keep the page small is said in its note.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from gateway.bench.report.facts import FIGURES, values
from gateway.bench.report.objective import limit, limit_label, limit_line
from gateway.bench.report.plots import Chart, Label, Mark, band, box, dots, line, place, point, steps
from gateway.bench.report.samples import percentile, rank_interval
from gateway.bench.report.scale import Axis, LinearAxis, LogAxis, PercentileAxis, duration_axis, plain_ms
from gateway.bench.runs.run_file import Knee, KneeStep, Objective, Run

__all__ = ["distribution", "knee", "percentiles"]

_CURVE: Final = 200
"""Points of a percentile curve, evenly along its axis: each is exact, only those in between are left out."""


def percentiles(run: Run) -> Chart:
    """How many callers waited how long, every nine as wide as the one before."""
    found = {key: values(run.measured(), key) for key in FIGURES if key != "dead_air"}
    found = {key: ordered for key, ordered in found.items() if len(ordered) > 1}
    longest = max((len(ordered) for ordered in found.values()), default=2)
    x = PercentileAxis(1 - 1 / (2 * longest))
    y = _common_axis(list(found.values()), limit(run.objective))
    marks, points = limit_line(run.objective, y), []
    for key, ordered in found.items():
        shares = _shares(len(ordered), x.last)
        marks.append(Mark(f"curve {key}", steps(place(x, y, _curve(ordered, shares))), key))
        points += [
            point(x.place(share), y.place(value), f"{FIGURES[key].label} p{_percent(share)}: {plain_ms(value)} ms")
            for share, value in _curve(ordered, shares)[::3]
        ]
    if gaps := found.get("gap"):
        marks.insert(0, Mark("sure gap", _certainty(gaps, x, y), "gap"))
    return Chart(
        "Percentile curves: for each share of turns, the time that it did not exceed",
        x.ticks(), y.ticks(), marks, x_title="share of turns that were as fast or faster", points=points,
        labels=limit_label(run.objective, y), legend=[(key, FIGURES[key].label) for key in found],
        note="The band around the response gap is its 95% confidence interval." if gaps else "",
    )  # fmt: skip


def _common_axis(curves: Sequence[Sequence[float]], also: float) -> Axis:
    """Logarithmic where one figure would lie on the floor beside another."""
    lows, high = (
        [ordered[len(ordered) // 2] for ordered in curves],
        max([also, *(one[-1] for one in curves)], default=1),
    )
    if len(curves) > 1 and 0 < min(lows) < max(lows) / 8:
        return LogAxis(max(0.5, min(lows) / 3), high * 1.1)
    return duration_axis([value for ordered in curves for value in ordered], also=also)


def _shares(count: int, last: float) -> list[float]:
    """Evenly along the axis, up to where this sample ends."""
    end = min(1 - 1 / (2 * count), last)
    return sorted({*(1 - (1 - end) ** (i / _CURVE) for i in range(_CURVE + 1)), 0.5, 0.9, 0.99, end} - {1.0})


def _curve(ordered: Sequence[float], shares: Sequence[float]) -> list[tuple[float, float]]:
    return [(share, percentile(ordered, share * 100)) for share in shares if share <= 1 - 1 / (2 * len(ordered))]


def _certainty(ordered: Sequence[float], x: Axis, y: Axis) -> str:
    shares = _shares(len(ordered), 1.0)[::4]
    sure = [(share, rank_interval(ordered, share * 100)) for share in shares]
    lower = place(x, y, ((share, one.low) for share, one in sure))
    return band(lower, place(x, y, ((share, one.high) for share, one in sure)))


def distribution(run: Run) -> Chart:
    """A histogram of the response gap, between what people do to each other and what makes them hang up."""
    gaps = values(run.measured(), "gap")
    x = _spread_axis(gaps, limit(run.objective))
    columns = 60
    edges = _edges(x, columns)
    places = [bisect_left(gaps, edge) for edge in edges]
    counts = [after - before for before, after in zip(places, [*places[1:], len(gaps)], strict=True)]
    y = LinearAxis(0, max(counts, default=1) * 1.22 or 1)
    bars = "".join(
        box((i + 0.08) / columns, (i + 0.92) / columns, 0, y.place(count)) for i, count in enumerate(counts) if count
    )
    marks, labels = [Mark("bar gap", bars)], []
    for (name, value), height in zip(_marked(gaps), (0.9, 1.0), strict=False):
        at = x.place(value)
        marks.append(Mark("rule", line([(at, 0), (at, height)])))
        labels.append(Label(at, height, f"{name} {plain_ms(value)} ms", "top"))
    points = [
        point((i + 0.5) / columns, y.place(count), f"{plain_ms(edges[i])} ms and up: {count} turns")
        for i, count in enumerate(counts) if count
    ]  # fmt: skip
    return Chart("How the response gaps are spread", x.ticks(), (), marks, labels, "response gap", points=points)


def _spread_axis(gaps: Sequence[float], also: float) -> Axis:
    """Does not begin at zero where all gaps are alike: their differences are what is to be seen."""
    low, high = min(gaps), max(gaps[-1], also)
    if low > 0.5 * high:
        return LinearAxis(low - (high - low) * 0.3 - 1, high + (high - low) * 0.1 + 1)
    return duration_axis(gaps, also=also)


def _marked(gaps: Sequence[float]) -> list[tuple[str, float]]:
    return [(f"p{percent}", percentile(gaps, percent)) for percent in (50, 99)] if gaps else []


def _edges(x: Axis, columns: int) -> list[float]:
    """The values at which the columns of a histogram begin, found by bisection: any axis will do."""
    found = []
    for i in range(columns):
        low, high = -1e5, 1e8
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (
                (middle, high) if x.place(middle) < i / columns or (i == 0 and x.place(middle) <= 0) else (low, middle)
            )
        found.append(high)
    return found


def knee(found: Knee, objective: Objective | None) -> Chart:
    """Latency against concurrency: flat, then not."""
    tried = sorted(found.steps, key=lambda step: step.callers)
    measured = [step for step in tried if step.p50 is not None and step.p99 is not None]
    x = LinearAxis(0, max((step.callers for step in tried), default=1) * 1.05)
    y = duration_axis(
        [value for step in measured for value in (step.p50 or 0.0, step.p99 or 0.0)], also=limit(objective)
    )
    medians = place(x, y, ((step.callers, step.p50 or 0.0) for step in measured))
    tails = place(x, y, ((step.callers, step.p99 or 0.0) for step in measured))
    marks = limit_line(objective, y)
    marks += [
        Mark("sure gap", band(medians, tails)),
        Mark("line median", line(medians)),
        Mark("line tail", line(tails)),
    ]
    met = [at for at, step in zip(tails, measured, strict=True) if step.met]
    missed = [at for at, step in zip(tails, measured, strict=True) if not step.met]
    marks += [
        Mark("dots big median", dots(medians)),
        Mark("dots big met", dots(met)),
        Mark("dots big lost", dots(missed)),
    ]
    labels = limit_label(objective, y)
    if found.callers is not None:
        at = x.place(found.callers)
        marks.insert(0, Mark("rule strong", line([(at, 0), (at, 0.93)])))
        labels.append(Label(at, 1.0, f"{found.callers} callers", "top"))
    points = [point(x.place(step.callers), y.place(step.p99 or 0.0), _told(step)) for step in measured]
    legend = [("median", "p50"), ("met", "p99, objective kept"), ("lost", "p99, objective missed")]
    return Chart(
        "Response gap against calls at once", x.ticks(), y.ticks(), marks, labels, "calls at once", legend, points
    )


def _told(step: KneeStep) -> str:
    figures = f"p50 {plain_ms(step.p50)}, p99 {plain_ms(step.p99)} ms"
    return f"{step.callers} callers: {figures}, {step.failed} of {step.calls} calls failed"


def _percent(share: float) -> str:
    return f"{share * 100:.3f}".rstrip("0").rstrip(".")
