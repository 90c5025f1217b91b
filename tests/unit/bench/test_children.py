from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.bench.children import Child
from gateway.bench.measure.inside import LogLine
from gateway.errors import ResourceError

LIVES = """
import json, signal, sys, time
print("not JSON", flush=True)
print(json.dumps({"event": "ready", "port": 7}), flush=True)
print("x" * 2_000_000, flush=True)
print(json.dumps({"event": "after the long line"}), flush=True)
time.sleep(60)
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + LIVES
DIES = "import sys; print('linecard: port 5060 is in use'); sys.exit(1)"


class Scripted(Child):
    """A child that runs a script in place of the command line."""

    @classmethod
    def command(cls, arguments: Sequence[str]) -> list[str]:
        return [sys.executable, "-c", *arguments]


async def test_a_child_is_ready_when_its_log_says_so_and_ends_when_asked() -> None:
    lines: list[LogLine] = []
    child = await Scripted.start("child", [LIVES], lines.append)
    try:
        ready = await child.ready(("ready",), 10)
        assert ready.fields["port"] == 7
        await child.ready(("after the long line",), 10)
        assert [line.event for line in lines] == ["ready", "after the long line"]
    finally:
        assert await child.stop(5) == -15


async def test_a_child_that_does_not_listen_is_killed() -> None:
    child = await Scripted.start("child", [STUBBORN])
    await child.ready(("ready",), 10)
    assert await child.stop(0.05) == -9


async def test_a_child_that_dies_at_once_is_reported_with_its_last_words() -> None:
    child = await Scripted.start("linecard run", [DIES])
    with pytest.raises(ResourceError, match=r"^linecard run did not start: linecard: port 5060 is in use$"):
        await child.ready(("ready",), 10)
    assert await child.stop(1) == 1


async def test_a_child_that_says_nothing_is_given_up() -> None:
    child = await Scripted.start("child", ["import time; time.sleep(60)"])
    with pytest.raises(ResourceError, match=r"not ready after 0.05 s: it said nothing"):
        await child.ready(("ready",), 0.05)
    await child.stop(1)


async def test_the_real_command_line_is_what_runs() -> None:
    child = await Child.start("linecard", ["--version"])
    await child.ended()
    assert child.epitaph().startswith("linecard ")
    assert await child.stop(1) == 0


async def test_no_child_outlives_its_parent() -> None:
    """Killed without a word, as by the kernel when memory runs out, the demo leaves no process and no port behind."""
    code = (
        "import asyncio, sys\n"
        "from tests.unit.bench.test_children import LIVES, Scripted\n"
        "async def main():\n"
        "    child = await Scripted.start('child', [LIVES])\n"
        "    await child.ready(('ready',), 10)\n"
        "    print(child.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(await asyncio.wait_for(parent.stdout.readline(), 20))
    parent.kill()
    await parent.wait()
    async with asyncio.timeout(5):
        while _runs(pid):
            await asyncio.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
