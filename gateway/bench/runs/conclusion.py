"""From what a run has found to its file: figures, knee, and a verdict with its reasons."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from gateway import __version__
from gateway.bench.measure.outcome import Outcome
from gateway.bench.runs.campaign import Campaign, knee_step
from gateway.bench.runs.knee import bend
from gateway.bench.runs.objective import missed
from gateway.bench.runs.run_file import Call, Fault, Generator, Knee, Machine, Run, Target, Verdict
from gateway.bench.runs.side import LEFT_OUT, Side, call_figures, outcomes

__all__ = ["conclude", "machine"]

_SHADOW_S: Final = 5.0
"""After a fault, what is still its doing."""
_TOLD: Final = 3
_NO_FAILURE: Final = frozenset({Outcome.OK, Outcome.CANCELLED, LEFT_OUT})
"""Of the agent's."""


def conclude(
    campaign: Campaign,
    side: Side,
    *,
    name: str,
    started: datetime,
    command: Sequence[str],
    faults: Sequence[Fault] = (),
    troubles: Sequence[str] = (),
) -> Run:
    """``troubles`` are reasons that are known already: the run was ended, a process of the agent has died."""
    suite = campaign.plan.suite
    trial = {phase.name: phase.warm_up for phase in campaign.phases}
    calls = [
        call.model_copy(update={"warm_up": trial.get(call.phase, call.warm_up)}) for call in side.calls(campaign.origin)
    ]
    measured = [call for call in calls if not call.warm_up]
    generator = side.watch.report(calls, suite.generator)
    if suite.find:  # far beyond the knee the callers may be late: nothing depends on it
        generator = generator.model_copy(update={"bottleneck": _late_at_the_knee(campaign)})
    reasons = [*troubles, *_reasons(campaign, measured, generator, faults)]
    return Run(
        name=name,
        started=started.isoformat(timespec="seconds"),
        seed=campaign.plan.seed,
        command=list(command),
        version=__version__,
        machine=machine(),
        target=Target(uri=side.uri, label=side.label),
        generator=generator,
        phases=campaign.phases,
        faults=list(faults),
        calls=calls,
        figures=call_figures(measured),
        outcomes=outcomes(measured),
        objective=suite.objective,
        knee=_knee(campaign, measured),
        verdict=Verdict(ok=not reasons, reasons=reasons),
    )


def _reasons(
    campaign: Campaign, measured: Sequence[Call], generator: Generator, faults: Sequence[Fault]
) -> Iterator[str]:
    suite = campaign.plan.suite
    if generator.bottleneck is not None:
        yield f"the generator was the bottleneck: {generator.bottleneck}"
    if campaign.fruitless is not None:
        yield campaign.fruitless
        return
    if suite.find:
        if campaign.kept is None:
            yield "no load kept the objective"
        return
    failed = [call for call in measured if call.outcome not in _NO_FAILURE and not _shaded(call, faults)]
    if len(failed) > suite.failures:
        kinds = ", ".join(f"{count} {kind}" for kind, count in list(outcomes(failed).items())[:_TOLD])
        yield f"{len(failed)} of {len(measured)} calls failed ({kinds}), {suite.failures} may"
    if suite.objective is not None and (why := missed(suite.objective, call_figures(measured), 0)) is not None:
        yield why
    if not any(call.started_s is not None for call in measured):
        yield "no call was placed"


def _late_at_the_knee(campaign: Campaign) -> str | None:
    """The generator's lateness at the largest load that was kept, or at the least that was not: either decides."""
    missed_loads = [step.callers for step in campaign.steps if not step.met]
    deciding = {campaign.kept, min(missed_loads, default=None)}
    return next((f"at {load} callers: {why}" for load, why in campaign.late.items() if load in deciding), None)


def _shaded(call: Call, faults: Sequence[Fault]) -> bool:
    """A fault was done to the agent while this call was up."""
    start, end = call.started_s or call.due_s, call.ended_s or float("inf")
    return any(start <= (fault.until_s or fault.at_s) + _SHADOW_S and end >= fault.at_s for fault in faults)


def _knee(campaign: Campaign, measured: Sequence[Call]) -> Knee | None:
    """Of a search, or of any run with more than two loads."""
    if campaign.steps:
        steps = sorted(campaign.steps, key=lambda step: step.callers)
        return Knee(callers=campaign.kept, bend=bend(steps), steps=steps)
    levels = {phase.callers for phase in campaign.phases if phase.callers is not None and not phase.warm_up}
    if len(levels) < 2:
        return None
    by_phase = {phase.name: phase.callers for phase in campaign.phases}
    steps = [
        knee_step(campaign.plan, level, [call for call in measured if by_phase[call.phase] == level])
        for level in sorted(levels)
    ]
    met = [step.callers for step in steps if step.met]
    return Knee(
        callers=max(met, default=None) if campaign.plan.suite.objective else None, bend=bend(steps), steps=steps
    )


def machine() -> Machine:
    """Where this runs."""
    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        kernel=platform.release().partition("-")[0],
        python=platform.python_version(),
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
