"""The generator watches itself: a measurement by callers that could not keep their own time is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import Field

from gateway.bench.measure.outcome import Outcome
from gateway.bench.runs.figures import figure, figure_of_steps
from gateway.bench.runs.run_file import Call, Figure, Generator
from gateway.media.costs import PlaneCosts
from gateway.options import Duration, Options
from gateway.units import MS, Nanos, to_ms

__all__ = ["GeneratorLimits", "Mark", "Watch"]

_STEP_MS: Final = 0.01
"""Of the media thread's own histogram."""


class GeneratorLimits(Options):
    """What the generator may be late, before the run is called its own measurement."""

    sends: Duration = Field(default="5ms", validate_default=True)
    """p99 of how late packets leave: a quarter of their distance."""
    missed: float = Field(default=0.01, ge=0, le=1)
    """Share of the packet clock's moments that are missed altogether."""
    starts: Duration = Field(default="250ms", validate_default=True)
    """p99 of how late calls begin."""
    words: Duration = Field(default="100ms", validate_default=True)
    """p99 of how late the caller begins to speak after the scenario wants it to."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment of a watch, to judge what comes after it."""

    costs: PlaneCosts
    starts: int


class Watch:
    """From its making to ``report``: processor time, and how late everything was. ``costs`` asks the media plane."""

    def __init__(self, costs: Callable[[], PlaneCosts]) -> None:
        self._costs = costs
        self._starts: list[float] = []
        """Of every call, in milliseconds: some bytes each, for as long as the run lasts."""
        self._began = self.mark()
        self._cpu = time.process_time()
        self._wall = time.monotonic()

    def started(self, ready: Nanos, invited: Nanos) -> None:
        """A call began; ``ready`` is when it could have."""
        self._starts.append(max(0.0, to_ms(invited - ready)))

    def mark(self) -> Mark:
        """Now."""
        return Mark(self._costs(), len(self._starts))

    def report(self, calls: Sequence[Call], limits: GeneratorLimits) -> Generator:
        """What it was like."""
        cost = self._costs().since(self._began.costs)
        cpu, wall = time.process_time() - self._cpu, time.monotonic() - self._wall
        return Generator(
            lateness_ms=_sends(cost),
            starts_ms=figure(self._starts),
            cpu_s=round(cpu, 3),
            wall_s=round(wall, 3),
            cores_used=round(cpu / wall, 3) if wall else 0.0,
            late_sends=cost.late_ticks,
            bottleneck=self.bottleneck(calls, limits),
        )

    def bottleneck(self, calls: Sequence[Call], limits: GeneratorLimits, since: Mark | None = None) -> str | None:
        """Why figures since then, of these calls, would be the generator's own; None if they are not."""
        mark = since or self._began
        cost = self._costs().since(mark.costs)
        return "; ".join(_faults(cost, self._starts[mark.starts :], calls, limits)) or None


def _sends(cost: PlaneCosts) -> Figure | None:
    return figure_of_steps({round((n + 1) * _STEP_MS, 2): count for n, count in enumerate(cost.deviations)})


def _faults(
    cost: PlaneCosts, starts_ms: Sequence[float], calls: Sequence[Call], limits: GeneratorLimits
) -> Iterator[str]:
    sends = _sends(cost)
    if sends is not None and sends.p99 > limits.sends / MS:
        yield f"packets left {sends.p99:.1f} ms late at p99, {limits.sends / MS:g} ms may be"
    moments = cost.ticks + cost.late_ticks
    if moments and cost.late_ticks / moments > limits.missed:
        share = cost.late_ticks / moments
        yield f"the packet clock missed {share:.1%} of its moments, {limits.missed:.1%} may be"
    starts = figure(starts_ms)
    if starts is not None and starts.p99 > limits.starts / MS:
        yield f"calls began {starts.p99:.0f} ms late at p99, {limits.starts / MS:g} ms may be"
    words = figure(turn.late_ms for call in calls for turn in call.turns)
    if words is not None and words.p99 > limits.words / MS:
        yield f"callers began to speak {words.p99:.0f} ms late at p99, {limits.words / MS:g} ms may be"
    broken = [call for call in calls if call.outcome == Outcome.BROKEN]
    if broken:
        yield f"{len(broken)} calls could not be placed at all: {broken[0].failure}"
