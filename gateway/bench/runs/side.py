"""One agent that is called in a run, and everything that its callers brought home."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from gateway.bench.callers.caller import Clips
from gateway.bench.callers.impairments import Impairments
from gateway.bench.callers.scenario import Scenario
from gateway.bench.measure.entry import call_entry
from gateway.bench.measure.inside import InsideTurn
from gateway.bench.measure.results import CallResult, Ticket
from gateway.bench.runs.figures import figure
from gateway.bench.runs.generator import Watch
from gateway.bench.runs.run_file import Call, Figure
from gateway.bench.runs.schedule import Due
from gateway.units import Nanos

__all__ = ["LEFT_OUT", "Host", "Insider", "Side", "call_figures", "outcomes", "recording_name"]

LEFT_OUT = "left-out"
"""Due while its line was still talking: no call, and no failure of the agent's."""


class Host(Protocol):
    """Where callers live: ``CallerHost``, or one with a stack of somebody else's."""

    def caller(
        self, scenario: Scenario, clips: Clips, *, ticket: Ticket, impairments: Impairments | None, record: bool
    ) -> Any:
        """One that has not called yet; its ``result`` grows. Raises ``ResourceError``."""

    async def run(self, caller: Any, record: Path | None = None) -> CallResult:
        """The whole call. Cancelled, it is hung up."""


class Insider(Protocol):
    """An agent that tells what it has written down, because the run has started it or found its records."""

    def turns(self, call_id: str) -> Sequence[InsideTurn]: ...


@dataclass
class Side:
    """``results`` grows as calls end; ``calls`` is asked for at the end, when the agent has written everything down."""

    uri: str
    label: str
    host: Host
    watch: Watch
    insider: Insider | None = None
    results: list[CallResult] = field(default_factory=list)
    left_out: list[Due] = field(default_factory=list)

    def calls(self, origin: Nanos) -> list[Call]:
        """In the order of the schedule, with what the agent has written down of them."""
        placed = [self._call(one, origin) for one in self.results]
        return sorted([*placed, *map(_left_out, self.left_out)], key=lambda call: call.number)

    def calls_since(self, number: int, origin: Nanos) -> list[Call]:
        """Those that have ended since there were so many results, as their callers know them."""
        return [Call.model_validate(call_entry(one, origin)) for one in self.results[number:]]

    def _call(self, result: CallResult, origin: Nanos) -> Call:
        inside = () if self.insider is None else self.insider.turns(result.call_id)
        return Call.model_validate(call_entry(result, origin, inside))


def _left_out(due: Due) -> Call:
    return Call(
        number=due.number,
        call_id="",
        scenario=due.scenario,
        phase=due.phase.name,
        warm_up=due.phase.warm_up,
        due_s=due.due_s,
        started_s=None,
        late_ms=None,
        outcome=LEFT_OUT,
        failure="its line was still talking when the next call was due",
    )


def call_figures(calls: Iterable[Call]) -> dict[str, Figure]:
    """What was measured of these calls. An answer that began before the caller had ended is no waiting time."""
    chosen = list(calls)
    turns = [turn for call in chosen for turn in call.turns]
    values: Mapping[str, Iterable[float | None]] = {
        "gap": (turn.gap_ms for turn in turns if not turn.talked_over),
        "set_up": (call.answered_ms for call in chosen),
        "ringing": (call.ringing_ms for call in chosen),
        "greeting": (call.greeting_ms for call in chosen),
        "stop": (turn.stop_ms for turn in turns),
        "dead_air": (one.ms for call in chosen for one in call.dead_air),
    }
    found = {name: figure(value for value in some if value is not None) for name, some in values.items()}
    return {name: one for name, one in found.items() if one is not None}


def outcomes(calls: Iterable[Call]) -> dict[str, int]:
    """The most frequent first."""
    return dict(Counter(call.outcome for call in calls).most_common())


def recording_name(directory: Path, number: int, label: str) -> Path:
    """Of one call; runs against two agents keep them apart."""
    return directory / f"{label}-{number:05d}.wav"
