"""``linecard bench run`` as people start it: short runs against gateways, and against agents that misbehave."""

from __future__ import annotations

import asyncio
import io
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from gateway.bench.runs.plan import load_suite, make_plan
from gateway.bench.runs.run import Job, run_job
from gateway.bench.runs.run_file import read_run
from gateway.bench.terminal import Terminal
from gateway.units import SECOND, Nanos
from tests.ports import free_port
from tests.system.house import configuration, house, start

pytestmark = [pytest.mark.interop, pytest.mark.slow]

QUIET = """
name: quiet
limit: 4s
steps:
  - listen: {within: 2s}
  - hang_up
"""
"""Says nothing, so that no voice has to be made."""
TALKS = """
name: talks
limit: 20s
steps:
  - listen: {quiet: 300ms}
  - say: yes please
  - listen: {quiet: 300ms}
  - hang_up
"""
PROMPT = f"{sys.executable} benchmarks/prompt_models.py {{port}} 0.6"


@asynccontextmanager
async def bench(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command as a child, which is gone in any case afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.cli", "bench", "run", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, limit=1 << 20,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str]:
    """Its exit status, and all that it wrote: never a stack trace."""
    async with asyncio.timeout(90):
        output, _ = await process.communicate()
    assert b"Traceback" not in output, output.decode()
    assert process.returncode is not None
    return process.returncode, output.decode()


def scenario(directory: Path, text: str) -> str:
    path = directory / f"{yaml.safe_load(text)['name']}.yaml"
    path.write_text(text)
    return str(path)


FAILURES = {
    "busy": "busy", "503": "refused", "never-answers": "no-answer", "rings": "no-answer", "no-audio": "no-audio",
    "mute": "no-audio", "other-codec": "other-codec", "never-stops": "never-silent", "hangs-up": "hung-up-early",
}  # fmt: skip
"""What is called at the reference agent, and what a run says of it."""


async def test_every_way_in_which_an_agent_fails_is_a_result_with_its_name(tmp_path: Path) -> None:
    changes = {"scenarios": [scenario(tmp_path, QUIET)], "every": "5s", "for": "5s"}
    plan = make_plan(load_suite(None, changes), seed=1, calls=1)
    terminal = Terminal(Console(file=io.StringIO()))
    reference = await start("bench", "reference", "--port", "0", "--quiet")
    try:
        at = (await reference.line("ready"))["address"].partition("@")[2]
        targets = {name: f"sip:{name}@{at}" for name in FAILURES} | {"x": f"sip:x@127.0.0.1:{free_port()}"}
        jobs = [Job([target], command=[], patience=Nanos(SECOND)) for target in targets.values()]
        found = await asyncio.gather(*(run_job(plan, job, terminal) for job in jobs))
    finally:
        await reference.stop()
    runs = dict(zip(targets, (one.runs[0] for one in found), strict=True))
    assert {name: list(run.outcomes) for name, run in runs.items()} == {
        name: [outcome] for name, outcome in {**FAILURES, "x": "no-answer"}.items()
    }
    assert all(run.calls[0].failure and not run.verdict.ok for run in runs.values())
    assert {one.status for one in found} == {1}


async def test_ctrl_c_ends_all_calls_with_bye_and_writes_the_report(tmp_path: Path) -> None:
    steps = "name: waits\nlimit: 60s\nsteps:\n  - silence: 50s\n  - hang_up\n"
    out = tmp_path / "run.json"
    async with house(tmp_path, configuration()) as built:
        target = f"sip:silence@{built.sip[0]}:{built.sip[1]}"
        async with bench(
            target, "--scenario", scenario(tmp_path, steps), "--callers", "4", "--for", "8s", "--every", "60s",
            "--out", str(out),
        ) as process:  # fmt: skip
            await built.gateway.line("call.started", lambda _: len(built.gateway.events("call.started")) == 4)
            process.send_signal(signal.SIGINT)
            status, output = await ended(process)
        assert status == 130, output
        await built.gateway.line("call.ended", lambda _: len(built.gateway.events("call.ended")) == 4)
        assert {line["by"] for line in built.gateway.events("call.ended")} == {"remote"}
    run = read_run(out)
    assert run.outcomes == {"cancelled": 4}
    assert run.verdict.reasons == ["the run was ended before its time"]


async def test_faults_are_done_to_an_agent_of_the_runs_own_and_leave_nothing_behind(tmp_path: Path) -> None:
    config = configuration()
    (tmp_path / "agent.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "faults.yaml").write_text(
        "- {at: 2s, slow: models, by: 100ms, for: 1s}\n- {at: 4s, drop: models}\n"
        "- {at: 5s, stall: models, for: 500ms}\n- {at: 6s, refuse: models, for: 1s}\n"
        "- {at: 8s, kill: models, for: 1s}\n- {at: 10s, restart: gateway}\n"
    )
    out, record = tmp_path / "run.json", tmp_path / "rec"
    async with bench(
        str(tmp_path / "agent.yaml"), "--scenario", scenario(tmp_path, TALKS), "--callers", "2", "--for", "20s",
        "--every", "5s", "--faults", str(tmp_path / "faults.yaml"), "--models", PROMPT, "--out", str(out),
        "--record", str(record), "--seed", "5",
    ) as process:  # fmt: skip
        status, output = await ended(process)
    assert status in {0, 1}, output
    run = read_run(out)
    assert [fault.what for fault in run.faults] == ["slow", "drop", "stall", "refuse", "kill", "restart"]
    assert all(fault.until_s is not None for fault in run.faults if fault.what != "drop")
    last = max(call.number for call in run.calls)
    assert next(call for call in run.calls if call.number == last).outcome == "ok", "the agent is as it was before"
    answered = [turn for call in run.calls for turn in call.turns if turn.gap_ms is not None]
    assert any(turn.inside is not None for turn in answered)
    kept = next(call for call in run.calls if call.recording is not None)
    assert (tmp_path / str(kept.recording)).stat().st_size > 1000
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path).encode() in _read(path)]
    assert not left


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
