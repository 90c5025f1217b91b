"""The talking caller against agents that are not ours, and the commands built on it as their users run them."""

from __future__ import annotations

import asyncio
import socket
import sys
import wave
from pathlib import Path

import pytest

from gateway.bench.callers.host import CallerHost, find
from gateway.bench.callers.scenario import Scenario
from gateway.bench.measure.onset import first_sound
from gateway.bench.measure.results import CallResult
from gateway.units import to_ms
from tests.interop.peer import free_port, needs_sipp, until_it_is_bound
from tests.system.house import configuration, house
from tests.unit.bench.measure.signals import pcm, tone

pytestmark = pytest.mark.interop

CLIPS = {"hello": pcm(tone(400, -20))}


async def place(port: int, *steps: object, user: str = "agent", record: Path | None = None) -> CallResult:
    plot = Scenario.model_validate({"name": "test", "limit": "15s", "steps": steps})
    async with CallerHost(await find(f"sip:{user}@127.0.0.1:{port}")) as host:
        return await host.run(host.caller(plot, CLIPS, record=record is not None), record)


@needs_sipp
async def test_sipp_answers_and_its_echo_is_heard(tmp_path: Path) -> None:
    """SIPp's built-in UAS with ``-rtp_echo``: the caller hears itself, a few milliseconds after it spoke."""
    port, media = free_port(), free_port() & ~1
    agent = await asyncio.create_subprocess_exec(
        "sipp", "-sn", "uas", "-i", "127.0.0.1", "-p", str(port), "-mi", "127.0.0.1", "-mp", str(media), "-rtp_echo",
        "-m", "1", "-nostdin", "-timeout", "20s",
        cwd=tmp_path, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await until_it_is_bound(port)
        recording = tmp_path / "call.wav"
        steps = ({"think": "300ms"}, {"say": "hello"}, "listen", "hang_up")
        result = await place(port, *steps, record=recording)
        status = await asyncio.wait_for(agent.wait(), 10)
    finally:
        if agent.returncode is None:
            agent.kill()
            await agent.wait()
    assert status == 0, "SIPp counts a failed call"
    assert result.failure is None
    (turn,) = result.turns
    assert turn.talked_over, "an echo answers while the caller is still speaking"
    assert turn.answer is not None
    assert 0 <= to_ms(turn.answer.start.at - turn.saying.first_sent) < 50
    assert result.stats.packets_refused == 0
    with wave.open(str(recording)) as file:
        samples = memoryview(file.readframes(file.getnframes())).cast("h")
    left, right = first_sound(samples[0::2].tobytes(), 8000), first_sound(samples[1::2].tobytes(), 8000)
    assert left is not None
    assert right is not None
    assert 0 <= (right - left) / 8 < 70


async def test_the_test_numbers_of_a_gateway_are_heard_as_what_they_are(tmp_path: Path) -> None:
    async with house(tmp_path, configuration()) as built:
        port = built.sip[1]
        silent = await place(port, {"say": "hello"}, {"listen": {"within": "1s"}}, "hang_up", user="silence")
        busy = await place(port, {"listen": {"quiet": "100ms", "within": "2s"}}, {"say": "hello"}, user="short")
        nobody = await place(port, "listen", user="nobody")
    assert [turn.gap for turn in silent.turns] == [None]
    assert silent.stats.packets_received > 0
    assert busy.failure is not None
    assert busy.failure.startswith("the call ended (remote")
    assert nobody.status == 404


async def linecard(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.cli", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_linecard_call_tells_what_it_heard_and_fails_when_nobody_answered(tmp_path: Path) -> None:
    scenario = tmp_path / "short.yaml"
    scenario.write_text("name: short\nlimit: 10s\nsteps: [{say: hello}, {listen: {within: 500ms}}, hang_up]\n")
    async with house(tmp_path, configuration(), models=True) as built:
        url = built.config["providers"]["embedded"]["url"]
        address = f"sip:silence@127.0.0.1:{built.sip[1]}"
        status, output = await linecard("call", address, "--scenario", str(scenario), "--models", url)
        refused, why = await linecard("call", address.replace("silence", "nobody"), "--models", url)
    assert status == 1
    assert "caller  hello" in output
    assert "packets came, and no sound in them" in output
    assert "Traceback" not in output + why
    assert (refused, "not answered: 404" in why) == (1, True)


async def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        config = tmp_path / "linecard.yaml"
        shipped = Path("config/linecard.yaml").read_text().replace("127.0.0.1:5060", f"127.0.0.1:{port}")
        config.write_text(shipped.replace(":8765/", f":{free_port()}/"))
        status, output = await linecard("demo", str(config), "--once")
    assert status == 1
    assert output.count("\n") == 1
    assert f"127.0.0.1:{port}" in output
    assert "in use" in output
