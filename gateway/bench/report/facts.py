"""Which values of a run belong to which figure, in one place: a chart, a table and a comparison mean the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.bench.report.samples import Sample
from gateway.bench.runs.run_file import Call, Run, Turn

__all__ = ["FIGURES", "FigureKind", "Heard", "heard", "in_progress", "sample", "slowest", "values"]


@dataclass(frozen=True, slots=True)
class FigureKind:
    """One measurement, as it is called in the run file and by people."""

    key: str
    label: str
    about: str
    of: Callable[[Call], Iterable[float | None]]
    """Its values in one call, in milliseconds."""


def _gaps(call: Call) -> Iterator[float | None]:
    """An answer that began before the caller had ended is no waiting time."""
    return (turn.gap_ms for turn in call.turns if not turn.talked_over)


FIGURES: Final[Mapping[str, FigureKind]] = {
    kind.key: kind
    for kind in (
        FigureKind("gap", "response gap", "last speech sent to first speech of the answer received", _gaps),
        FigureKind("set_up", "call set-up", "INVITE to 200", lambda call: (call.answered_ms,)),
        FigureKind("ringing", "ringing", "INVITE to 180", lambda call: (call.ringing_ms,)),
        FigureKind("greeting", "greeting", "200 to first speech received", lambda call: (call.greeting_ms,)),
        FigureKind(
            "stop",
            "interruption to silence",
            "onset of the caller sent to last speech of the agent received",
            lambda call: (turn.stop_ms for turn in call.turns),
        ),
        FigureKind(
            "dead_air", "dead air", "nobody spoke for over 2 s", lambda call: (dead.ms for dead in call.dead_air)
        ),
    )
}
"""In the order in which they are shown; ``gap`` is the one that this is all about."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One turn with its call."""

    call: Call
    turn: Turn

    @property
    def name(self) -> str:
        """Of the element of the page that shows it."""
        return f"turn-{self.call.number}-{self.turn.number}"


def heard(run: Run, *, warm_up: bool = False) -> Iterator[Heard]:
    """All turns that count; with ``warm_up`` those that do not, too."""
    calls = run.calls if warm_up else run.measured()
    return (Heard(call, turn) for call in calls for turn in call.turns)


def sample(run: Run, key: str) -> Sample:
    """The values of a figure, by call."""
    kind = FIGURES[key]
    return Sample((call.number, value) for call in run.measured() for value in kind.of(call) if value is not None)


def values(calls: Iterable[Call], key: str) -> list[float]:
    """The values of a figure in some calls, sorted."""
    kind = FIGURES[key]
    return sorted(value for call in calls for value in kind.of(call) if value is not None)


def slowest(run: Run, count: int) -> list[Heard]:
    """The turns that callers waited longest for; those that were never answered stand first."""
    waited = [one for one in heard(run) if not one.turn.talked_over]
    unanswered = [one for one in waited if one.turn.gap_ms is None]
    answered = sorted((one for one in waited if one.turn.gap_ms is not None), key=lambda one: -(one.turn.gap_ms or 0))
    return [*unanswered[: count // 3], *answered][:count]


def in_progress(calls: Iterable[Call], end_s: float) -> list[tuple[float, int]]:
    """(time, calls that are up from then on), one for each change."""
    changes: list[tuple[float, int]] = []
    for call in calls:
        if call.started_s is not None:
            changes += [(call.started_s, 1), (end_s if call.ended_s is None else call.ended_s, -1)]
    found: list[tuple[float, int]] = [(0.0, 0)]
    for at, change in sorted(changes):
        found.append((at, found[-1][1] + change))
    return found


def failed(calls: Sequence[Call]) -> int:
    """Calls that did not come to a good end."""
    return sum(call.outcome != "ok" for call in calls)
