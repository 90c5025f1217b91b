"""The page of two runs: the verdict, what changed by how much, and where along the percentiles."""

from __future__ import annotations

from typing import Final

from gateway.bench.report.compare import Comparison, FigureComparison
from gateway.bench.report.page import render
from gateway.bench.report.plots import Chart, Mark, band, line, place, point, steps
from gateway.bench.report.samples import Sample, interval
from gateway.bench.report.scale import LinearAxis, PercentileAxis, duration_axis

__all__ = ["render_comparison"]

_POINTS: Final = 24
_SURE: Final = 0.95
_BEYOND: Final = 5
"""Values that must lie above a percentile for its difference to be drawn."""


def render_comparison(found: Comparison) -> str:
    gap = next((one for one in found.figures if one.kind.key == "gap"), None)
    return render(
        "comparison.html.j2",
        found=found,
        verdict={0: ("good", "No regression"), 1: ("bad", "Regression"), 2: ("unsure", "Not comparable")}[
            found.exit_code
        ],
        curves=_curves(gap) if gap is not None else None,
        shift=_shift(gap) if gap is not None else None,
    )


def _curves(gap: FigureComparison) -> Chart:
    x = PercentileAxis(1 - 1 / (2 * max(len(gap.before), len(gap.after))))
    y = duration_axis([*gap.before.ordered, *gap.after.ordered])
    marks = [
        Mark(
            f"curve {css}",
            steps(place(x, y, ((share, one.percentile(share * 100)) for share in _shares(one, 160)))),
            css,
        )
        for css, one in (("one", gap.before), ("two", gap.after))
    ]
    return Chart(
        "Response gap of both runs at each percentile", x.ticks(), y.ticks(), marks,
        x_title="share of turns that were as fast or faster", legend=[("one", "first run"), ("two", "second run")],
    )  # fmt: skip


def _shares(one: Sample, count: int) -> list[float]:
    """Evenly along the axis, up to where the sample ends."""
    end = 1 - 1 / (2 * len(one))
    return [1 - (1 - end) ** (i / count) for i in range(count + 1)]


def _shift(gap: FigureComparison) -> Chart:
    """The second run less the first at each percentile: a slower model lifts all of it, a stall its end alone."""
    fewest = min(len(gap.before), len(gap.after))
    end = 1 - min(0.5, _BEYOND / fewest)
    shares = [1 - (1 - end) ** (i / _POINTS) for i in range(_POINTS + 1)]
    percents = [max(1.0, share * 100) for share in shares]
    ones, twos = (sample.resampled(percents, seed) for seed, sample in enumerate((gap.before, gap.after)))
    sure = [interval((b - a for a, b in zip(*pair, strict=True)), _SURE) for pair in zip(ones, twos, strict=True)]
    change = [gap.after.percentile(percent) - gap.before.percentile(percent) for percent in percents]
    x = PercentileAxis(end)
    low, high = min(0.0, *(one.low for one in sure)), max(0.0, *(one.high for one in sure))
    room = (high - low or 1.0) * 0.06
    y = LinearAxis(low - room, high + room)
    lower, upper = (
        place(x, y, zip(shares, ends, strict=True)) for ends in zip(*((o.low, o.high) for o in sure), strict=True)
    )
    marks = [
        Mark("sure gap", band(lower, upper)),
        Mark("zero", line([(0, y.place(0)), (1, y.place(0))])),
        Mark("line two", line(place(x, y, zip(shares, change, strict=True)))),
    ]  # fmt: skip
    points = [
        point(x.place(share), y.place(by), f"p{percent:.3g}: {by:+.0f} ms ({one.low:+.0f} to {one.high:+.0f})")
        for share, percent, by, one in zip(shares, percents, change, sure, strict=True)
    ]  # fmt: skip
    return Chart(
        "Difference of the response gap at each percentile, second run less first", x.ticks(), y.ticks(), marks,
        x_title="share of turns that were as fast or faster", points=points,
        note="Above the line the second run is slower. The band is a 95% interval, by resampling whole calls.",
    )  # fmt: skip
