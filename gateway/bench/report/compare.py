"""Two runs: is the second one slower, and can it be told? The regression gate of ``linecard bench compare``.

A percentile is *worse* only if it is worse by more than it may be (``Allowance``: milliseconds and a share of the first
run's, whichever is more) and the lower end of the difference's interval is above zero; what is larger than allowed and
not certain is *unsure*, and does not fail the gate. The confidence holds for all comparisons of a gate together
(Bonferroni): a gate of twenty tests does not fail every run in the week because one in twenty does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from gateway.bench.report.facts import FIGURES, FigureKind, failed, sample
from gateway.bench.report.samples import Interval, Sample, effect_word, interval, share_difference, superiority
from gateway.bench.runs.run_file import Run
from gateway.errors import ConfigError

__all__ = [
    "Allowance",
    "Comparison",
    "Difference",
    "FigureComparison",
    "Gate",
    "Judgement",
    "compare",
    "parse_allowance",
]

_FEWEST: Final = 10
"""Values below which a percentile is not compared: nothing could be told."""
_FEWEST_CALLS: Final = 8
"""Below, resampling calls tells too little of how much they differ, and nothing is certain."""


class Judgement(StrEnum):
    WORSE = "worse"
    BETTER = "better"
    SAME = "same"
    """Not different by more than allowed."""
    UNSURE = "unsure"
    """Different by more than allowed, if the sample were larger one could tell."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much a percentile may change and count as the same: the larger of the two."""

    ms: float = 20.0
    share: float = 0.05

    def of(self, before: float) -> float:
        return max(self.ms, self.share * abs(before))


@dataclass(frozen=True, slots=True)
class Gate:
    """What is compared, and how strictly."""

    percentiles: Sequence[float] = (50, 95, 99)
    figures: Sequence[str] = ("gap", "greeting", "set_up", "stop")
    allowance: Allowance = field(default_factory=Allowance)
    allowances: Mapping[tuple[str, float | None], Allowance] = field(default_factory=dict)
    """Exceptions, by figure and percentile; None is all of its percentiles."""
    failures: float = 0.01
    """By how much the share of failed calls may grow."""
    confidence: float = 0.95
    seed: int = 1
    """Of the resampling: the same two files give the same verdict."""

    def allows(self, figure: str, percent: float) -> Allowance:
        exact = self.allowances.get((figure, percent))
        return exact or self.allowances.get((figure, None)) or self.allowance


@dataclass(frozen=True, slots=True)
class Difference:
    """One percentile in both runs, in milliseconds."""

    percent: float
    before: float
    after: float
    interval: Interval
    """Of after less before."""
    allowed: float
    judgement: Judgement

    @property
    def change(self) -> float:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class FigureComparison:
    """One figure in both runs."""

    kind: FigureKind
    before: Sample
    after: Sample
    differences: Sequence[Difference]
    superiority: float
    """The probability that a value of the second run is larger than one of the first."""

    @property
    def effect(self) -> str:
        return effect_word(self.superiority)

    @property
    def delta(self) -> float:
        """Cliff's: -1 all smaller, 1 all larger."""
        return 2 * self.superiority - 1


@dataclass(frozen=True, slots=True)
class Failures:
    """Calls that went wrong in both runs."""

    before: tuple[int, int]
    """(failed, of)."""
    after: tuple[int, int]
    interval: Interval
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Comparison:
    """All of it. ``exit_code``: 0 nothing is worse, 1 something is, 2 these two cannot be compared."""

    before: Run
    after: Run
    figures: Sequence[FigureComparison]
    failures: Failures | None
    reasons: Sequence[str]
    """What is worse."""
    obstacles: Sequence[str]
    """Why nothing can be said."""
    cautions: Sequence[str]
    """What differs besides the agent."""
    confidence: float

    @property
    def exit_code(self) -> int:
        return 2 if self.obstacles else 1 if self.reasons else 0


def compare(before: Run, after: Run, gate: Gate | None = None) -> Comparison:
    """The second run against the first."""
    gate = gate or Gate()
    samples = {key: (sample(before, key), sample(after, key)) for key in gate.figures if key in FIGURES}
    told = {key: pair for key, pair in samples.items() if min(map(len, pair)) >= _FEWEST}
    tests = len(told) * len(gate.percentiles) + 1
    each = 1 - (1 - gate.confidence) / tests
    figures = [_figure(FIGURES[key], *pair, gate, each) for key, pair in told.items()]
    failures = _failures(before, after, gate, each)
    return Comparison(
        before,
        after,
        figures,
        failures,
        reasons=_reasons(figures, failures),
        obstacles=_obstacles(before, after, told),
        cautions=_cautions(before, after),
        confidence=gate.confidence,
    )


def _figure(kind: FigureKind, before: Sample, after: Sample, gate: Gate, confidence: float) -> FigureComparison:
    ones, twos = (one.resampled(gate.percentiles, gate.seed + i) for i, one in enumerate((before, after)))
    differences = []
    for percent, *drawn in zip(gate.percentiles, ones, twos, strict=True):
        spread = interval((two - one for one, two in zip(*drawn, strict=True)), confidence)
        was, now = before.percentile(percent), after.percentile(percent)
        allowed = gate.allows(kind.key, percent).of(was)
        judgement = _judge(now - was, spread, allowed)
        if judgement is not Judgement.SAME and min(before.calls, after.calls) < _FEWEST_CALLS:
            judgement = Judgement.UNSURE
        differences.append(Difference(percent, was, now, spread, allowed, judgement))
    return FigureComparison(kind, before, after, differences, superiority(before.ordered, after.ordered))


def _judge(change: float, spread: Interval, allowed: float) -> Judgement:
    if abs(change) <= allowed:
        return Judgement.SAME
    if change > 0:
        return Judgement.WORSE if spread.low > 0 else Judgement.UNSURE
    return Judgement.BETTER if spread.high < 0 else Judgement.UNSURE


def _failures(before: Run, after: Run, gate: Gate, confidence: float) -> Failures | None:
    calls = [run.measured() for run in (before, after)]
    if not all(calls):
        return None
    pairs = [(failed(some), len(some)) for some in calls]
    spread = share_difference(pairs[0], pairs[1], confidence)
    change = pairs[1][0] / pairs[1][1] - pairs[0][0] / pairs[0][1]
    return Failures(pairs[0], pairs[1], spread, _judge(change, spread, gate.failures))


def _reasons(figures: Sequence[FigureComparison], failures: Failures | None) -> list[str]:
    reasons = [
        f"{one.kind.label} p{difference.percent:g}: {difference.before:.0f} → {difference.after:.0f} ms "
        f"({difference.change:+.0f}, {difference.interval.low:+.0f} to {difference.interval.high:+.0f})"
        for one in figures
        for difference in one.differences
        if difference.judgement is Judgement.WORSE
    ]
    if failures is not None and failures.judgement is Judgement.WORSE:
        (was, of), (now, of_now) = failures.before, failures.after
        reasons.append(f"failed calls: {was} of {of} → {now} of {of_now}")
    return reasons


def _obstacles(before: Run, after: Run, told: Mapping[str, object]) -> list[str]:
    found = [
        f"{name}: the generator was the bottleneck ({run.generator.bottleneck})"
        for name, run in (("the first run", before), ("the second run", after))
        if run.generator.bottleneck is not None
    ]
    if not told:
        found.append(f"no figure has {_FEWEST} values in both runs")
    return found


def _cautions(before: Run, after: Run) -> list[str]:
    """Runs that differ in more than the agent are compared all the same, and it is said."""
    first, second = ({call.scenario for call in run.measured()} for run in (before, after))
    found = []
    calls = [len(run.measured()) for run in (before, after)]
    if min(calls) < _FEWEST_CALLS:
        found.append(f"{calls[0]} and {calls[1]} calls are too few to be certain of any difference")
    if first != second:
        found.append(f"the scenarios differ: {', '.join(sorted(first ^ second))}")
    if before.machine.cpu != after.machine.cpu or before.machine.cores != after.machine.cores:
        machines = ", ".join(f"{run.machine.cores} x {run.machine.cpu}" for run in (before, after))
        found.append(f"the machines differ: {machines}")
    if before.seed != after.seed:
        found.append(f"the seeds differ: {before.seed}, {after.seed}")
    if [(p.callers, p.rate) for p in before.phases] != [(p.callers, p.rate) for p in after.phases]:
        found.append("the loads differ")
    return found


_ALLOWANCE: Final = re.compile(
    r"(?:(?P<figure>[a-z_]+)(?:\.p(?P<percent>\d+(?:\.\d+)?))?=)?(?:(?P<ms>\d+(?:\.\d+)?)ms)?,?(?:(?P<share>\d+(?:\.\d+)?)%)?"
)


def parse_allowance(text: str) -> tuple[tuple[str, float | None] | None, Allowance]:
    """``50ms``, ``10%``, ``gap=30ms,5%``, ``gap.p99=50ms``: for which figure and percentile (None: all), and how much.
    Raises ``ConfigError``."""
    found = _ALLOWANCE.fullmatch(text.replace(" ", ""))
    if found is None or (found["ms"] is None and found["share"] is None):
        raise ConfigError([f"{text!r}: expected how much may change, like 50ms, 10%, gap=30ms,5% or gap.p99=50ms"])
    figure = found["figure"]
    if figure is not None and figure not in FIGURES:
        raise ConfigError([f"{text!r}: no figure is called {figure}; there are {', '.join(FIGURES)}"])
    allowance = Allowance(float(found["ms"] or 0), float(found["share"] or 0) / 100)
    return (None if figure is None else (figure, float(found["percent"]) if found["percent"] else None)), allowance
