"""``linecard bench run`` and ``linecard bench ab``: puts voices, agents and callers together, for what they find."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import structlog

from gateway.bench.callers.caller import Clips
from gateway.bench.callers.host import CallerHost, find, quiet_log
from gateway.bench.callers.speech import lifted
from gateway.bench.callers.voice import clips_for, start_models
from gateway.bench.independent.host import Pjsua2Host, require_pjsua2
from gateway.bench.runs.agent_file import AgentFile, read_agent_file
from gateway.bench.runs.campaign import Campaign
from gateway.bench.runs.conclusion import conclude
from gateway.bench.runs.faults.agent import MODELS_COMMAND, OwnAgent
from gateway.bench.runs.faults.clock import FaultClock
from gateway.bench.runs.generator import Watch
from gateway.bench.runs.insight import InsideFile
from gateway.bench.runs.plan import Plan
from gateway.bench.runs.progress import Progress
from gateway.bench.runs.run_file import Run
from gateway.bench.runs.side import Side
from gateway.bench.terminal import Terminal
from gateway.errors import ConfigError, LinecardError
from gateway.units import SECOND, Nanos

__all__ = ["Found", "Job", "run_job"]

_log = structlog.get_logger("linecard.bench")

OK, FAILED, INTERRUPTED = 0, 1, 130
_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""They end the calls, and with them the run."""
_STOP_GRACE: Final = 1.0
_LAST_LINES: Final = 1.0
"""Seconds that an agent of our own has to write down its last turns."""
_SPARE: Final = 2
"""Calls at once over those planned, for those that still end while the next begin."""


@dataclass(frozen=True, slots=True)
class Job:
    """Besides the plan: who is called, and where everything goes."""

    targets: Sequence[str]
    """SIP addresses, or configurations of a gateway (``FILE`` or ``FILE#NUMBER``) that is started for the run."""
    command: Sequence[str]
    record: Path | None = None
    """Directory of the recordings,"""
    recorded_as: str = ""
    """and what the run file calls it."""
    patience: Nanos | None = None
    """How long a far end that says nothing is waited for."""
    inside: Path | None = None
    """Log or call records of an agent that is Linecard, and that somebody else has started."""
    voices: str | None = None
    """URL of a models process for the callers' voices."""
    models: str = MODELS_COMMAND
    """What serves the models of a gateway that is started for the run."""
    reference: bool = False
    """``linecard bench reference`` is called: speech has no digital silence within."""
    caller: Literal["linecard", "pjsua2"] = "linecard"
    """Whose SIP and media the callers call with."""


@dataclass
class Found:
    """The runs that a job has made, one for each target, and its exit status."""

    runs: list[Run]
    status: int


async def run_job(plan: Plan, job: Job, terminal: Terminal) -> Found:
    """Raises ``LinecardError`` if nothing could be begun."""
    quiet_log()
    if plan.suite.faults and len(job.targets) > 1:
        raise ConfigError(["faults are done to one agent; a comparison of two has none"])
    if job.caller == "pjsua2":
        require_pjsua2(list(plan.scenarios.values()), impaired=plan.suite.impairments is not None)
        plan = _unhurried(plan)
    for target in job.targets:
        _agent_file(target)
    if job.record is not None:
        try:
            job.record.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError([f"--record: {job.record}: {error.strerror}"]) from error
    async with AsyncExitStack() as stack:
        clips = await _voices(plan, job.voices, terminal)
        if job.reference:
            clips = {name: {key: lifted(clip) for key, clip in said.items()} for name, said in clips.items()}
        sides = [await _side(stack, plan, job, target, terminal) for target in job.targets]
        return await _run(plan, job, sides, clips, terminal)


def _unhurried(plan: Plan) -> Plan:
    """Where every call begins with the start of a process, which takes some tenths of a second."""
    limits = plan.suite.generator
    slower = limits.model_copy(update={"starts": max(limits.starts, SECOND)})
    return replace(plan, suite=plan.suite.model_copy(update={"generator": slower}))


async def _run(plan: Plan, job: Job, sides: Sequence[Side], clips: Mapping[str, Clips], terminal: Terminal) -> Found:
    started = datetime.now(UTC)
    progress = Progress(terminal.console, f"{plan.suite.name}: {', '.join(s.uri for s in sides)}", _length_s(plan))
    campaign = Campaign(plan, sides, clips, progress, record=job.record, recorded_as=job.recorded_as)
    agents = [side.insider for side in sides if isinstance(side.insider, OwnAgent)]
    faults = FaultClock(agents[0] if agents else None, plan.suite.faults, campaign.elapsed_s, progress.note)
    stopped, troubles = False, []
    try:
        stopped = await _watched(_calls_and_faults(campaign, faults), progress)
    except ExceptionGroup as group:  # what was measured until then is worth keeping
        troubles.append(_failure(group))
    if any(side.insider is not None for side in sides):
        await asyncio.sleep(_LAST_LINES)
    if stopped:
        troubles.append("the run was ended before its time")
    troubles += [death for agent in agents if (death := agent.died()) is not None]
    runs = [
        conclude(
            campaign,
            side,
            name=plan.suite.name if len(sides) == 1 else f"{plan.suite.name}, {side.label}",
            started=started,
            command=job.command,
            faults=faults.done,
            troubles=troubles,
        )
        for side in sides
    ]
    ok = all(run.verdict.ok for run in runs)
    return Found(runs, INTERRUPTED if stopped else OK if ok else FAILED)


def _failure(group: BaseExceptionGroup[BaseException]) -> str:
    """The first of what tasks of the run raised: a fault that could not be done or mended, or a bug of ours."""
    first = group.exceptions[0]
    if isinstance(first, BaseExceptionGroup):
        return _failure(first)
    if isinstance(first, LinecardError):
        return str(first)
    _log.error("bench.failed", exc_info=first)
    return f"the bench itself failed: {type(first).__name__}: {first}"


async def _watched(work: Coroutine[Any, Any, None], progress: Progress) -> bool:
    """Shows the work until it is done; True if somebody has ended it. A second Ctrl-C ends everything."""
    task, drawing = asyncio.create_task(work), asyncio.create_task(progress.run())
    loop = asyncio.get_running_loop()
    stopped = False

    def stop() -> None:
        nonlocal stopped
        if stopped:
            raise KeyboardInterrupt
        stopped = True
        task.cancel()

    for number in _ENDING:
        loop.add_signal_handler(number, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not stopped:
            raise
    finally:
        drawing.cancel()
        await asyncio.gather(drawing, return_exceptions=True)
        for number in _ENDING:
            loop.remove_signal_handler(number)
    return stopped


async def _calls_and_faults(campaign: Campaign, faults: FaultClock) -> None:
    """Faults that were to come after the last call do not come any more."""
    beside = asyncio.create_task(faults.run())
    try:
        await campaign.run()
    finally:
        beside.cancel()
        with suppress(asyncio.CancelledError):
            await beside


def _length_s(plan: Plan) -> float | None:
    """None where nobody knows before."""
    suite = plan.suite
    return None if suite.find or suite.every is None else (suite.length + suite.warm_up) / SECOND


# --- what a run needs -------------------------------------------------------------------------------------------------


async def _voices(plan: Plan, url: str | None, terminal: Terminal) -> dict[str, Clips]:
    """Everything that callers will say, made ahead of time by one models process."""
    if not any(text for scenario in plan.scenarios.values() for text in scenario.texts()):
        return {name: {} for name in plan.scenarios}
    terminal.note(f"making the voices of {', '.join(plan.scenarios)}")
    if url is not None:
        return {name: await clips_for(scenario, url) for name, scenario in plan.scenarios.items()}
    child, own = await start_models()
    try:
        return {name: await clips_for(scenario, own) for name, scenario in plan.scenarios.items()}
    finally:
        await child.stop(_STOP_GRACE)


def _agent_file(target: str) -> AgentFile | None:
    """The configuration that a target is; None for an address. Raises ``ConfigError``."""
    path, _, number = target.partition("#")
    return read_agent_file(Path(path), number or None) if path.endswith((".yaml", ".yml")) else None


async def _agent(stack: AsyncExitStack, plan: Plan, job: Job, target: str, terminal: Terminal) -> OwnAgent | None:
    """The one that is started for the run; None where somebody else's is called."""
    file = _agent_file(target)
    if file is None:
        if plan.suite.faults:
            raise ConfigError(["faults are done to an agent that the run has started: give its configuration (.yaml)"])
        return None
    disk = any(fault.what == "fill" for fault in plan.suite.faults)
    agent = OwnAgent(file, models=job.models, disk=disk)
    for fault in plan.suite.faults:
        agent.check(fault)
    terminal.note(f"starting {file.path}")
    return await stack.enter_async_context(agent)


async def _side(stack: AsyncExitStack, plan: Plan, job: Job, typed: str, terminal: Terminal) -> Side:
    agent = await _agent(stack, plan, job, typed, terminal)
    insider = agent if agent is not None or job.inside is None else InsideFile(job.inside)
    target = await find(typed if agent is None else agent.uri, job.patience)
    most = plan.suite.load.most or 1000
    host: CallerHost | Pjsua2Host
    if job.caller == "pjsua2":
        host = await stack.enter_async_context(Pjsua2Host(target))
    else:
        host = await stack.enter_async_context(CallerHost(target, max_calls=_SPARE * most + 16))
    return Side(target.uri, typed if agent is None else agent.label, host, Watch(host.costs), insider)
