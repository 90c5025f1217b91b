"""Whole runs in this process, against an agent on loopback that the test plays."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gateway.bench.reference.agent import ReferenceAgent
from gateway.bench.reference.options import Manners
from gateway.bench.runs.campaign import Campaign
from gateway.bench.runs.plan import Plan, load_suite, make_plan
from gateway.bench.runs.run import FAILED, Job, run_job
from gateway.bench.terminal import Terminal
from gateway.units import MS, SECOND, Nanos

QUIET = "name: quiet\nlimit: 6s\nsteps:\n  - listen: {quiet: 200ms, within: 3s}\n  - hang_up\n"


def plan(directory: Path, calls: int | None = None, **changes: Any) -> Plan:
    """Of calls that say nothing, so that no voice has to be made."""
    path = directory / "quiet.yaml"
    path.write_text(QUIET)
    return make_plan(load_suite(None, {"scenarios": [str(path)], "for": "1s", **changes}), seed=1, calls=calls)


def terminal() -> Terminal:
    return Terminal(Console(file=io.StringIO()))


async def test_two_agents_are_called_in_turn_and_each_has_its_run(tmp_path: Path) -> None:
    manners = Manners(Nanos(50 * MS), answer=Nanos(300 * MS))
    async with ReferenceAgent(manners, print) as one, ReferenceAgent(manners, print) as other:
        targets = [f"sip:agent@{agent.local[0]}:{agent.local[1]}" for agent in (one, other)]
        job = Job(targets, command=["linecard"], patience=Nanos(2 * SECOND))
        found = await run_job(plan(tmp_path, 4, load={"rate": "8/s"}), job, terminal())
    assert [len(run.calls) for run in found.runs] == [2, 2]
    numbers = [[call.number for call in run.calls] for run in found.runs]
    assert sorted(number for ours in numbers for number in ours) == [1, 2, 3, 4]
    assert all(len({number, pair} & set(ours)) == 1 for ours in numbers for number, pair in ((1, 2), (3, 4)))
    assert [run.target.uri for run in found.runs] == targets
    assert all(call.outcome == "ok" and call.greeting_ms is not None for run in found.runs for call in run.calls)


async def test_a_trial_call_tells_how_long_calls_last(tmp_path: Path) -> None:
    manners = Manners(Nanos(50 * MS), answer=Nanos(300 * MS))
    async with ReferenceAgent(manners, print) as agent:
        job = Job([f"sip:agent@{agent.local[0]}:{agent.local[1]}"], command=[], patience=Nanos(2 * SECOND))
        found = await run_job(plan(tmp_path, 1, load={"callers": 1}), job, terminal())
    (run,) = found.runs
    assert [phase.name for phase in run.phases] == ["trial", "1 caller"]
    assert [call.warm_up for call in run.calls] == [True, False]
    assert run.outcomes == {"ok": 1}


async def test_an_agent_that_takes_no_trial_call_is_not_asked_again(tmp_path: Path) -> None:
    async with ReferenceAgent(Manners(Nanos(0), refuses=503), print) as agent:
        job = Job([f"sip:agent@{agent.local[0]}:{agent.local[1]}"], command=[], patience=Nanos(2 * SECOND))
        found = await run_job(plan(tmp_path, load={"callers": 1}), job, terminal())
    (run,) = found.runs
    assert found.status == FAILED
    assert run.outcomes == {"refused": 1}
    assert any("no trial call came to a good end: refused: not answered: 503" in why for why in run.verdict.reasons)


async def test_a_bug_of_the_benchs_own_costs_no_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Campaign._place

    async def fails(self: Campaign, due: Any, ready: Any) -> None:
        await place(self, due, ready)
        raise KeyError("a bug")

    monkeypatch.setattr(Campaign, "_place", fails)
    async with ReferenceAgent(Manners(Nanos(0), answer=Nanos(100 * MS)), print) as agent:
        job = Job([f"sip:agent@{agent.local[0]}:{agent.local[1]}"], command=[], patience=Nanos(2 * SECOND))
        found = await run_job(plan(tmp_path, every="5s"), job, terminal())
    (run,) = found.runs
    assert (found.status, run.outcomes) == (FAILED, {"ok": 1})
    assert "the bench itself failed: KeyError: 'a bug'" in run.verdict.reasons
