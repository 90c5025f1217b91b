"""What a newcomer sees: one command, a conversation, figures, and an end without remains."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.system.house import free_port

pytestmark = [pytest.mark.interop, pytest.mark.slow]


def shipped_on_free_ports(directory: Path) -> Path:
    """The configuration that ships, which would otherwise meet the one that a developer runs."""
    text = Path("config/linecard.yaml").read_text()
    text = text.replace("127.0.0.1:5060", f"127.0.0.1:{free_port()}").replace("20000-29999", "30000-30199")
    path = directory / "linecard.yaml"
    path.write_text(text.replace(":8765/", f":{free_port()}/"))
    return path


async def test_the_demo_understands_answers_and_measures_every_turn_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.cli", "demo", str(shipped_on_free_ports(tmp_path)),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(90):
            output = (await process.stdout.readuntil(b"Ctrl-C\n")).decode()
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        rest = (await asyncio.wait_for(process.stdout.read(), 5)).decode()
        status = await asyncio.wait_for(process.wait(), 5)
        took = time.monotonic() - began
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (status, rest) == (0, ""), output
    assert took < 4.0  # a quarter of it on a machine with nothing else to do
    _check(output)
    for pid in re.findall(r"pid (\d+)", output):
        assert not Path(f"/proc/{pid}").exists()


def _check(output: str) -> None:
    assert "Traceback" not in output
    assert "\x1b" not in output, "a pipe gets no colour"
    assert len(re.findall(r"^ +\d+\.\d\d  caller  ", output, re.MULTILINE)) == 5
    assert len(re.findall(r"^ +\d+\.\d\d  agent   ", output, re.MULTILINE)) == 6
    gaps = [float(gap) for gap in re.findall(r"= gap on the wire +([\d.]+) ms", output)]
    heard = [float(gap) for gap in re.findall(r"heard by the caller +([\d.]+) ms", output)]
    stages = re.findall(
        r"(?:hangover|STT final|LLM first token|TTS first audio|first packet) +[^\d\s]+ +([\d.]+) ms", output
    )
    assert len(gaps) == len(heard) == 5
    for number, gap in enumerate(gaps):
        assert sum(map(float, stages[number * 5 : number * 5 + 5])) == pytest.approx(gap, abs=0.3)
        assert heard[number] == pytest.approx(gap, abs=20)
    assert re.search(r"agent silent after \d+\.\d ms", output)
    assert "sip:pizza@127.0.0.1:" in output
    assert re.search(r"linecard\.yaml:\d+ +- \{name: carrier", output)


async def test_the_demo_ends_with_one_line_when_a_process_of_its_dies(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.cli", "demo", str(shipped_on_free_ports(tmp_path)), "--once",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            begun = (await process.stdout.readuntil(b"caller  ")).decode()
        pids = [int(pid) for pid in re.findall(r"pid (\d+)", begun)]
        os.kill(pids[1], signal.SIGKILL)
        rest = (await asyncio.wait_for(process.stdout.read(), 5)).decode()
        status = await asyncio.wait_for(process.wait(), 5)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert status == 1
    assert "Traceback" not in rest
    assert rest.splitlines()[-1].startswith("linecard: linecard run has ended")
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
