"""Models that are not there, die in mid-sentence, stall, or talk nonsense: the caller hears a sentence, the call ends
or goes on as configured, and the log has one line for each session that was lost."""

from __future__ import annotations

import json
import math
import time
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.system import g711
from tests.system.house import House, configuration, house
from tests.system.phone import SILENCE, Heard, Phone
from tests.system.puppet_models import HUM, PuppetModels

SPEECH = [
    g711.encode([int(6000 * math.sin(2 * math.pi * 250 * (160 * k + n) / 8000)) for n in range(160)]) for k in range(40)
]
QUICK = {"stt_timeout": "300ms", "llm_timeout": "300ms", "tts_timeout": "300ms", "reconnect_max": "200ms"}


def loud(heard: list[Heard]) -> int:
    return sum(packet.level > 300 for packet in heard)


def seconds(length: float) -> Callable[[list[Heard]], bool]:
    return lambda heard: loud(heard) >= length * 50


@asynccontextmanager
async def connected(tmp_path: Path, **plug: Any) -> AsyncIterator[tuple[House, PuppetModels]]:
    """A gateway whose models are the puppet."""
    models = PuppetModels()
    then = {"on_failure": {"play": str(recording(tmp_path)), "then": plug.pop("then", "hang_up")}}
    config = configuration(hangover="300ms", **then, **plug)
    config["records"] = {"file": str(tmp_path / "records.jsonl")}
    config["providers"]["embedded"] |= {"url": f"ws://127.0.0.1:{await models.start()}/", **QUICK}
    try:
        async with house(tmp_path, config) as built:
            await built.gateway.line("provider.connected")
            yield built, models
            assert not built.gateway.events("call.fault")
            assert await built.gateway.stop() == 0
    finally:
        await models.stop()


def recording(directory: Path) -> Path:
    """What the operator lets the caller hear when a model fails: half a second of it."""
    path = directory / "sorry.wav"
    with wave.open(str(path), "wb") as file:
        file.setframerate(8000)
        file.setnchannels(1)
        file.setsampwidth(2)
        file.writeframes(HUM * 3)
    return path


async def speak(phone: Phone) -> None:
    """One turn, and the silence after it."""
    await phone.talk([*SPEECH, *[SILENCE] * 40])


async def left(phone: Phone, house: House, reason: str) -> None:
    assert reason in await phone.asked("BYE")
    await house.gateway.line("call.ended")
    phone.close()


async def test_no_models_at_all(tmp_path: Path) -> None:
    async with house(tmp_path, configuration()) as built:
        phone = await Phone(built.sip, "pizza").dial()
        await phone.packets(seconds(2))
        await left(phone, built, "a model failed")
        assert len(built.gateway.events("provider.failed")) == 3  # one for each role


async def test_models_that_work(tmp_path: Path) -> None:
    """And what is written down of the call: the same in the log and in the call record."""
    async with connected(tmp_path) as (built, models):
        phone = await Phone(built.sip, "pizza").dial()
        await phone.packets(seconds(0.9))
        await built.gateway.line("turn")
        await speak(phone)
        line = await built.gateway.line("turn", lambda line: line["turn"] == 1)
        assert (line["heard"], line["said"]) == ("hello", "One. Two. Three.")
        assert sum(line["stages_ms"].values()) == pytest.approx(line["gap_ms"], abs=0.01)
        assert [asked["type"] for asked in models.script.asked] == ["speak", "end", "generate", *["speak"] * 3]
        phone.bye()
        await phone.response(200, "BYE")
        phone.close()
        await built.gateway.line("call.ended")
        assert await built.gateway.stop() == 0
        records = [json.loads(record) for record in (tmp_path / "records.jsonl").read_text().splitlines()]
        assert [record["event"] for record in records] == ["call.started", "turn", "turn", "call.ended"]
        assert records[2].pop("at") == pytest.approx(time.time(), abs=120)
        assert records[2].items() <= line.items()
        assert line["call_id"] == phone.call_id


@pytest.mark.parametrize("wrong", ["stall", "garbage", "refuse"])
async def test_models_that_misbehave_in_a_turn(tmp_path: Path, wrong: str) -> None:
    async with connected(tmp_path) as (built, models):
        phone = await Phone(built.sip, "pizza").dial()
        await built.gateway.line("turn")
        models.script.wrong = wrong
        before = loud(phone.heard)
        await speak(phone)
        await phone.packets(lambda heard: loud(heard) - before >= 25)
        await left(phone, built, "a model failed")
        failed = built.gateway.events("provider.failed")
        assert len(failed) == (3 if wrong == "garbage" else 1)  # garbage costs the connection, and all three sessions


async def test_models_that_die_in_mid_sentence(tmp_path: Path) -> None:
    async with connected(tmp_path) as (built, models):
        models.script.wrong = "half"  # the greeting breaks off before its end
        phone = await Phone(built.sip, "pizza").dial()
        await phone.packets(seconds(0.2))
        await models.drop()
        await models.stop()
        await phone.packets(seconds(0.2 + 0.5))
        await left(phone, built, "a model failed")
        [apology] = [line for line in built.gateway.events("turn") if line["kind"] == "apology"]
        assert apology["turn"] == 0


async def test_a_call_goes_on_when_its_models_come_back(tmp_path: Path) -> None:
    async with connected(tmp_path, then="continue") as (built, models):
        phone = await Phone(built.sip, "pizza").dial()
        await built.gateway.line("turn")
        await models.drop()
        await built.gateway.line("provider.failed")
        await speak(phone)
        line = await built.gateway.line("turn", lambda line: line["heard"] == "hello")
        assert line["kind"] == "answer"
        phone.bye()
        await phone.response(200, "BYE")
        phone.close()


async def test_an_interruption_stops_the_agent_and_keeps_what_was_played(tmp_path: Path) -> None:
    async with connected(tmp_path, greeting="one two three four five six seven eight nine ten") as (built, models):
        phone = await Phone(built.sip, "pizza").dial()
        await phone.packets(seconds(0.4))
        await speak(phone)
        stopped = await built.gateway.line("barge_in")
        assert stopped["turn"] == 0
        assert 0 < stopped["stop_ms"] <= stopped["confirm_ms"] + 60
        asked = await built.gateway.line("heard")
        assert asked["turn"] == 1
        await built.gateway.line("turn", lambda line: line["turn"] == 1)
        [generate] = [asked for asked in models.script.asked if asked["type"] == "generate"]
        said, heard = generate["messages"]
        assert heard == {"role": "user", "text": "hello"}
        assert 3 <= len(said["text"].split()) <= 8
        phone.bye()
        await phone.response(200, "BYE")
        phone.close()


async def test_the_models_process_dies(tmp_path: Path) -> None:
    """The real one, killed."""
    async with house(
        tmp_path, configuration(greeting="This is a long greeting, so that it can be cut."), models=True
    ) as built:
        assert built.models is not None
        await built.gateway.line("provider.connected")
        phone = await Phone(built.sip, "pizza").dial()
        await phone.packets(seconds(0.3))
        built.models.process.kill()
        await phone.packets(seconds(2.5))
        await left(phone, built, "a model failed")
