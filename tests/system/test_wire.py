"""The gateway's stamps against an independent listener on the wire, and its stages against its gap.

A talking caller orders a pizza through ``wire_tap.py``, which relays SIP and RTP in a process of its own, decodes and
stamps the packets itself, and knows nothing of turns. What it heard must tell the same story as the gateway's log.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.bench.callers.caller import Caller
from gateway.bench.callers.host import CallerHost, find
from gateway.bench.callers.scenario import load_scenario
from gateway.bench.callers.voice import clips_for
from gateway.timeline import STAGES
from tests.system.house import House, Line, configuration, house

pytestmark = pytest.mark.interop

MS = 1_000_000
LOUD_DBFS = -45.0
SAME = 21 * MS
"""One packet, which only one of two listeners takes for speech if it holds no more than the last samples of a word; and
what the relay adds between their stamps."""

Packets = Sequence[tuple[int, float]]


@dataclass(frozen=True)
class Heard:
    """Stamps of the packets with sound in them, by direction."""

    caller: list[int]
    agent: list[int]


@dataclass(frozen=True)
class Call:
    lines: list[Line]
    heard: Heard
    caller: Caller

    def turns(self) -> list[Line]:
        return [line for line in self.lines if line["event"] == "turn" and line["gap_ms"] is not None]


class TapProcess:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(await asyncio.wait_for(self._process.stdout.readline(), 10))

    async def finish(self) -> Heard:
        assert self._process.stdin is not None
        self._process.stdin.close()
        heard = await self.line()
        return Heard(_loud(heard["caller"]), _loud(heard["gateway"]))


def _loud(packets: Packets) -> list[int]:
    return [stamp for stamp, dbfs in packets if dbfs > LOUD_DBFS]


@asynccontextmanager
async def tap(gateway: tuple[str, int]) -> AsyncIterator[TapProcess]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).with_name("wire_tap.py")), f"{gateway[0]}:{gateway[1]}",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 24,
    )  # fmt: skip
    try:
        yield TapProcess(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def order_a_pizza(built: House) -> Call:
    plot = load_scenario("pizza")
    clips = await clips_for(plot, built.config["providers"]["embedded"]["url"])
    async with tap(built.sip) as listener:
        port = (await listener.line())["sip"]
        async with CallerHost(await find(f"sip:pizza@127.0.0.1:{port}")) as host:
            caller = host.caller(plot, clips)
            result = await host.run(caller)
            assert result.failure is None, result
        heard = await listener.finish()
    await built.gateway.line("call.ended")
    return Call(built.gateway.lines, heard, caller)


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Call:
    """One call of half a minute serves every test of this file."""

    async def main() -> Call:
        directory = tmp_path_factory.mktemp("wire")
        async with house(
            directory, configuration(greeting="Welcome to Luigi's. What would you like?"), models=True
        ) as built:
            return await asyncio.wait_for(order_a_pizza(built), 90)

    return asyncio.run(main())


def last_before(stamps: Sequence[int], moment: int) -> int:
    return max(stamp for stamp in stamps if stamp <= moment)


def first_after(stamps: Sequence[int], moment: int) -> int:
    return min(stamp for stamp in stamps if stamp >= moment)


def test_every_turn_of_the_caller_was_understood_answered_and_measured(call: Call) -> None:
    assert len(call.turns()) == call.caller.scenario.turns
    assert all(turn["understood"] for turn in call.turns())
    assert call.caller.result.success


def test_the_stages_of_every_turn_add_up_to_its_gap(call: Call) -> None:
    for turn in call.turns():
        stamps = turn["stamps"]
        ends = [stamps[stamp] for _, stamp in STAGES]
        assert [stamps["speech_ended"], *ends] == sorted([stamps["speech_ended"], *ends])
        assert set(turn["stages_ms"]) == {stage for stage, _ in STAGES}
        assert sum(turn["stages_ms"].values()) == pytest.approx(turn["gap_ms"], abs=0.005)
        assert (stamps["first_packet"] - stamps["speech_ended"]) / MS == pytest.approx(turn["gap_ms"], abs=0.001)


def test_an_independent_listener_hears_each_turn_end_and_each_answer_begin_when_the_gateway_says(call: Call) -> None:
    for turn in call.turns():
        stamps = turn["stamps"]
        middle = stamps["endpoint"]
        ended = last_before(call.heard.caller, middle)
        began = first_after(call.heard.agent, middle)
        assert abs(ended - stamps["speech_ended"]) <= SAME, turn
        assert abs(began - stamps["first_packet"]) <= SAME, turn
        assert abs((began - ended) - (stamps["first_packet"] - stamps["speech_ended"])) <= SAME, turn


def test_an_independent_listener_hears_the_agent_stop_when_the_gateway_says(call: Call) -> None:
    (stop,) = [line for line in call.lines if line["event"] == "barge_in"]
    stamps = stop["stamps"]
    (saying,) = [saying for saying in call.caller.sayings if saying.interrupting]
    onset = first_after(call.heard.caller, saying.first_sent - SAME)
    silent = last_before(call.heard.agent, saying.last_sent)
    assert abs(onset - stamps["speech_started"]) <= 2 * SAME
    # The agent's last packet may fall between two of its words: then the last one with sound came before it.
    # And the fade after it fills a part of one packet more.
    assert stamps["last_packet"] - 400 * MS <= silent <= stamps["last_packet"] + 2 * SAME
    assert (silent - onset) / MS <= stop["confirm_ms"] + 60 + 20


def test_caller_and_listener_agree(call: Call) -> None:
    """The bench's own measurement, held to the same independent witness."""
    for turn in call.caller.result.turns:
        assert turn.answer is not None
        # The last packet may hold a few milliseconds of decay, which the witness takes for silence.
        assert abs(last_before(call.heard.caller, turn.saying.last_sent + SAME) - turn.saying.last_sent) <= SAME + MS
        assert abs(first_after(call.heard.agent, turn.answer.start.packet - SAME) - turn.answer.start.packet) <= SAME
