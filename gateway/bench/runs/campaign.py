"""A run while it goes on: callers that place the calls of the schedule, against one agent or two in turn.

Against two, the calls of each pair in time go to one agent each, which of them first is drawn: whatever disturbs the
machine disturbs both alike.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from gateway.bench.callers.caller import Clips
from gateway.bench.measure.outcome import Outcome
from gateway.bench.measure.results import CallResult, Ticket
from gateway.bench.runs.generator import Mark
from gateway.bench.runs.knee import Search
from gateway.bench.runs.objective import missed
from gateway.bench.runs.pacer import Pacer
from gateway.bench.runs.plan import Plan
from gateway.bench.runs.run_file import Call, KneeStep, Phase
from gateway.bench.runs.schedule import Due, schedule
from gateway.bench.runs.shapes import fixed, phases
from gateway.bench.runs.side import LEFT_OUT, Side, call_figures, recording_name
from gateway.errors import ResourceError
from gateway.units import SECOND, Nanos

__all__ = ["Campaign", "Watcher", "knee_step"]

_SLACK: Final = 1.1
"""A line's period over the length of a trial call."""
_SHORTEST_S: Final = 1.0


class Watcher(Protocol):
    """Who shows a run as it goes on."""

    def phase(self, phase: Phase) -> None: ...

    def began(self, due: Due) -> None: ...

    def ended(self, result: CallResult) -> None: ...

    def note(self, text: str) -> None: ...


class Campaign:
    """``run`` it once. What it has found is in the sides, in ``phases`` and ``steps``, also if it was cancelled."""

    def __init__(
        self,
        plan: Plan,
        sides: Sequence[Side],
        clips: Mapping[str, Clips],
        watcher: Watcher,
        *,
        record: Path | None = None,
        recorded_as: str = "",
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.plan = plan
        self.sides = sides
        self.phases: list[Phase] = []
        self.steps: list[KneeStep] = []
        """Of a search, in the order in which they were tried."""
        self.kept: int | None = None
        self.late: dict[int, str] = {}
        """Loads of the search at which the generator was the bottleneck, and why."""
        self.fruitless: str | None = None
        """Why nothing but the trial was done."""
        self.origin = Nanos(clock())
        self._clips = clips
        self._watcher = watcher
        self._record = record
        self._recorded_as = recorded_as
        self._clock = clock
        self._number = 1

    def elapsed_s(self) -> float:
        """Since the beginning of the run."""
        return (self._clock() - self.origin) / SECOND

    async def run(self) -> None:
        """Everything that the plan wants, until the last call is over."""
        suite = self.plan.suite
        every_s = math.inf if suite.load.kind == "rate" else await self._period()
        if self.fruitless is not None:
            return
        if suite.find:
            await self._search(every_s)
        else:
            parts = phases(suite.load, suite.length / SECOND, suite.warm_up / SECOND)
            await self._place_all(self._later(parts), every_s)

    # --- schedules ----------------------------------------------------------------------------------------------------

    async def _period(self) -> float:
        """How often a caller calls: as the plan says, or as a trial call of each scenario shows."""
        if self.plan.suite.every is not None:
            return self.plan.suite.every / SECOND
        started = self.elapsed_s()
        trial = Phase(name="trial", start_s=started, end_s=started, callers=len(self.plan.scenarios), warm_up=True)
        dues = [
            Due(self._number + n, started, trial, name, line=n)
            for n, name in enumerate(name for name in self.plan.scenarios for _ in self.sides)
        ]
        before = [len(side.results) for side in self.sides]
        await self._run(dues, [trial])
        self.phases[-1] = trial.model_copy(update={"end_s": round(self.elapsed_s(), 3)})
        found = [one for side, since in zip(self.sides, before, strict=True) for one in side.results[since:]]
        lengths = [(one.ended - one.invited) / SECOND for one in found if one.success and one.ended and one.invited]
        if not lengths:
            self.fruitless = f"no trial call came to a good end: {found[0].outcome}: {found[0].failure}"
            self.phases[-1] = self.phases[-1].model_copy(update={"warm_up": False})
            return _SHORTEST_S
        return max(_SHORTEST_S, math.ceil(2 * _SLACK * max(lengths)) / 2)

    def _later(self, parts: Sequence[Phase]) -> list[Phase]:
        """From now on."""
        now = round(self.elapsed_s(), 3)
        return [part.model_copy(update={"start_s": part.start_s + now, "end_s": part.end_s + now}) for part in parts]

    async def _place_all(self, parts: Sequence[Phase], every_s: float) -> None:
        dues = schedule(parts, self.plan.mix, every_s, self.plan.seed, first=self._number)
        if self.plan.calls is not None:
            measured = [due for due in dues if not due.phase.warm_up][: self.plan.calls]
            last = measured[-1].number if measured else 0
            dues = [due for due in dues if due.number <= last]
        await self._run(dues, parts)

    async def _search(self, every_s: float) -> None:
        suite = self.plan.suite
        search = Search(suite.load.levels[0], suite.load.most)
        while search.next is not None:
            callers = search.next
            ramp, level = self._later(phases(fixed(callers), max(suite.length / SECOND, every_s), every_s))
            parts = [ramp.model_copy(update={"name": f"towards {level.name}"}), level]
            before = [(len(side.results), side.watch.mark()) for side in self.sides]
            await self._place_all(parts, every_s)
            step = self._judge(callers, before)
            self.steps.append(step)
            search.told(met=step.met)
            self.kept = search.kept
            self._watcher.note(_told(step))

    def _judge(self, callers: int, before: Sequence[tuple[int, Mark]]) -> KneeStep:
        calls: list[Call] = []
        for side, (since, mark) in zip(self.sides, before, strict=True):
            placed = side.calls_since(since, self.origin)
            why = side.watch.bottleneck(placed, self.plan.suite.generator, mark)
            if why is not None:
                self.late[callers] = why
                self._watcher.note(f"{callers} callers: the generator was the bottleneck: {why}")
            calls += [call for call in placed if not call.warm_up]
        return knee_step(self.plan, callers, calls)

    # --- calls --------------------------------------------------------------------------------------------------------

    async def _run(self, dues: Sequence[Due], parts: Sequence[Phase]) -> None:
        self._number += len(dues)
        self.phases += parts
        pacer = Pacer(self._place, self._leave_out, origin=self.origin, clock=self._clock)
        telling = asyncio.create_task(self._tell(parts))
        try:
            await pacer.run(dues)
        finally:
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling

    async def _tell(self, parts: Sequence[Phase]) -> None:
        for part in parts:
            await asyncio.sleep(max(0.0, part.start_s - self.elapsed_s()))
            self._watcher.phase(part)

    def _side(self, due: Due) -> Side:
        if len(self.sides) == 1:
            return self.sides[0]
        pair, second = divmod(due.number - 1, 2)
        first = random.Random(f"{self.plan.seed}:{pair}").randrange(2)
        return self.sides[first ^ second]

    def _leave_out(self, due: Due) -> None:
        self._side(due).left_out.append(due)

    async def _place(self, due: Due, ready: Nanos) -> None:
        side = self._side(due)
        at = Nanos(self.origin + round(due.due_s * SECOND))
        ticket = Ticket(due.number, self.plan.seed, due.phase.name, due.phase.warm_up, at)
        self._watcher.began(due)
        try:
            caller = side.host.caller(
                self.plan.scenarios[due.scenario],
                self._clips[due.scenario],
                ticket=ticket,
                impairments=self.plan.suite.impairments,
                record=self._record is not None,
            )
        except ResourceError as error:
            self._end(side, CallResult(ticket, due.scenario, outcome=Outcome.BROKEN, failure=str(error)))
            return
        record = None if self._record is None else recording_name(self._record, due.number, side.label)
        try:
            await side.host.run(caller, record)
        finally:  # cancelled, it has hung up, and knows what it has measured
            if caller.result.invited is not None:
                side.watch.started(ready, caller.result.invited)
            self._end(side, caller.result)

    def _end(self, side: Side, result: CallResult) -> None:
        if result.recording is not None:
            result.recording = str(Path(self._recorded_as) / result.recording)
        side.results.append(result)
        self._watcher.ended(result)


def knee_step(plan: Plan, callers: int, calls: Sequence[Call]) -> KneeStep:
    """How one load went."""
    placed = [call for call in calls if call.outcome != LEFT_OUT]
    failed = sum(call.outcome != Outcome.OK for call in placed)
    figures = call_figures(placed)
    objective = plan.suite.objective
    told = figures.get("gap" if objective is None else objective.figure)
    met = failed == 0 if objective is None else missed(objective, figures, failed) is None
    return KneeStep(
        callers=callers,
        calls=len(placed),
        failed=failed,
        p50=None if told is None else told.p50,
        p99=None if told is None else told.p99,
        met=met,
    )


def _told(step: KneeStep) -> str:
    p99 = "nothing measured" if step.p99 is None else f"p50 {step.p50:.0f} ms, p99 {step.p99:.0f} ms"
    kept = "kept" if step.met else "missed"
    return f"{step.callers} callers: {step.calls} calls, {step.failed} failed, {p99}: the objective was {kept}"
