"""A provider fails in the middle of a turn, and another takes over: in every role, with every fault, over real SIP
and RTP.

Two puppets serve one call. What the caller heard is read off the audio itself (``voice.py``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.system import voice
from tests.system.house import House, configuration, house
from tests.system.phone import Phone
from tests.system.puppet_models import PuppetModels
from tests.system.test_failures import speak

QUICK = {"reconnect_min": "20ms", "reconnect_max": "200ms"}
LIMITS = {"stt": "400ms", "llm": "400ms", "tts": "400ms", "stall": "400ms", "connect": "500ms"}
NO_PROMPTS = {"no_input_prompt": "", "no_input_goodbye": "", "not_understood": ""}
GREETING = "One two three four five, six seven eight nine ten."


@asynccontextmanager
async def pair(tmp_path: Path, **plug: Any) -> AsyncIterator[tuple[House, PuppetModels, PuppetModels]]:
    """A gateway with two providers in every role."""
    first, second = PuppetModels(), PuppetModels()
    more = plug.pop("breaker", {})
    both = {"stt": ["first", "second"], "llm": ["first", "second"], "tts": ["first", "second"]}
    config = configuration(hangover="300ms", failover={**LIMITS, **plug.pop("failover", {})}, **(both | plug))
    config["records"] = {"file": str(tmp_path / "records.jsonl")}
    config["cache"] = {"directory": str(tmp_path / "cache")}
    config["providers"] = {}
    for name, puppet in (("first", first), ("second", second)):
        puppet.script.speaks = True
        url = f"ws://127.0.0.1:{await puppet.start()}/"
        breaker = {"pause": "200ms", "longest_pause": "400ms", **more}
        config["providers"][name] = {"kind": "native", "url": url, "breaker": breaker, **QUICK}
    try:
        async with house(tmp_path, config) as built:
            for name in ("first", "second"):
                await built.gateway.line("provider.connected", lambda line, name=name: line["provider"] == name)
            yield built, first, second
            assert not built.gateway.events("call.fault")
            assert await built.gateway.stop() == 0
    finally:
        await first.stop()
        await second.stop()


def heard(phone: Phone) -> list[str]:
    return voice.read(packet.payload for packet in phone.heard)


def words(text: str) -> list[str]:
    return [word.strip(".,").lower() for word in text.split()]


async def made(tmp_path: Path, count: int) -> None:
    """So many phrases lie in the cache; only looking tells."""
    for _ in range(1000):
        if len(list((tmp_path / "cache").glob("*.wav"))) == count:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("phrases were not made")


async def of_call(built: House, phone: Phone, turn: int) -> dict[str, Any]:
    return await built.gateway.line("turn", lambda line: (line["call_id"], line["turn"]) == (phone.call_id, turn))


async def hang_up(phone: Phone) -> None:
    phone.bye()
    await phone.response(200, "BYE")
    phone.close()


@pytest.mark.parametrize("kind", ["end", "generate", "speak"])
async def test_another_provider_takes_over_inside_the_turn(tmp_path: Path, kind: str) -> None:
    async with pair(tmp_path, greeting="Zero.", breaker={"failures": 100}) as (built, first, second):
        first.script.answer = second.script.answer = "One two three. Four five."
        for wrong in ("stall", "refuse", "unavailable", "busy", "die", "garbage"):
            first.script.wrong, first.script.only = "", kind
            phone = await Phone(built.sip, "pizza").dial()
            await of_call(built, phone, 0)
            first.script.wrong = wrong
            await speak(phone)
            line = await of_call(built, phone, 1)
            assert (line["kind"], line["heard"], line["said"]) == ("answer", "hello", "One two three. Four five.")
            assert {move["to"] for move in line["failovers"]} == {"second"}, wrong
            assert heard(phone) == words("zero one two three four five"), wrong
            await hang_up(phone)


@pytest.mark.parametrize("tells_words", [False, True])
@pytest.mark.parametrize("wrong", ["half", "die"])
async def test_a_voice_that_breaks_off_is_continued_by_another_one(
    tmp_path: Path, wrong: str, tells_words: bool
) -> None:
    async with pair(tmp_path, greeting=GREETING) as (built, first, second):
        first.script.wrong, first.script.only, first.script.tells_words = wrong, "speak", tells_words
        phone = await Phone(built.sip, "pizza").dial()
        line = await built.gateway.line("turn")
        assert (line["kind"], line["interrupted"]) == ("greeting", False)
        assert [move["role"] for move in line["failovers"]] == ["tts"]
        assert heard(phone) == words(GREETING)
        [rest] = [asked["text"] for asked in second.script.asked if asked["type"] == "speak"]
        assert GREETING.endswith(rest)
        await hang_up(phone)


@pytest.mark.parametrize("wrong", ["half", "die"])
async def test_an_answer_that_breaks_off_is_continued_and_nothing_is_said_twice(tmp_path: Path, wrong: str) -> None:
    async with pair(tmp_path, greeting="Zero.") as (built, first, second):
        first.script.answer = "One two three. Four five six. Seven eight."
        second.script.answer = "Four five six. Seven eight."
        phone = await Phone(built.sip, "pizza").dial()
        await built.gateway.line("turn")
        first.script.wrong, first.script.only = wrong, "generate"
        await speak(phone)
        line = await built.gateway.line("turn", lambda line: line["turn"] == 1)
        assert line["said"] == "One two three. Four five six. Seven eight."
        assert heard(phone) == words("zero one two three four five six seven eight")
        [asked] = [asked for asked in second.script.asked if asked["type"] == "generate"]
        *_, said, please = asked["messages"]
        assert said == {"role": "assistant", "text": "One two three."}
        assert please["role"] == "user"
        await hang_up(phone)


async def test_a_model_that_begins_anew_is_heard_from_where_the_first_broke_off(tmp_path: Path) -> None:
    async with pair(tmp_path, greeting="Zero.") as (built, first, second):
        first.script.answer = second.script.answer = "One two three. Four five six. Seven eight."
        phone = await Phone(built.sip, "pizza").dial()
        await built.gateway.line("turn")
        first.script.wrong, first.script.only = "half", "generate"
        await speak(phone)
        await built.gateway.line("turn", lambda line: line["turn"] == 1)
        assert heard(phone) == words("zero one two three four five six seven eight")
        await hang_up(phone)


async def test_the_next_listener_hears_the_turn_from_its_beginning(tmp_path: Path) -> None:
    async with pair(tmp_path, greeting="Zero.") as (built, first, second):
        phone = await Phone(built.sip, "pizza").dial()
        await built.gateway.line("turn")
        first.script.wrong, first.script.only = "die", "end"
        await speak(phone)
        await built.gateway.line("turn", lambda line: line["turn"] == 1)
        assert second.audio_received >= 2 * 16_000 * 8 // 10  # the 0.8 s of speech at least
        await hang_up(phone)


async def test_a_provider_that_returns_is_found_by_a_probe_and_used_again(tmp_path: Path) -> None:
    async with pair(tmp_path, greeting="Zero.") as (built, first, second):
        first.script.answer = second.script.answer = "One."
        phone = await Phone(built.sip, "pizza").dial()
        await built.gateway.line("turn")
        first.script.wrong, first.script.only = "stall", "generate"
        for turn in (1, 2, 3):
            await speak(phone)
            line = await built.gateway.line("turn", lambda line, turn=turn: line["turn"] == turn)
            assert line["providers"]["llm"] == "second"
        opened = await built.gateway.line("breaker.opened")
        assert (opened["provider"], opened["role"]) == ("first", "llm")
        first.script.wrong = ""
        await built.gateway.line("breaker.closed")
        await speak(phone)
        line = await built.gateway.line("turn", lambda line: line["turn"] == 4)
        assert line["providers"]["llm"] == "first"
        await hang_up(phone)


async def test_a_phrase_covers_the_gap_and_the_answer_follows(tmp_path: Path) -> None:
    bridge = {"say": "Nine.", "after": "200ms"}
    async with pair(tmp_path, greeting="Zero.", ahead=True, bridge=bridge, **NO_PROMPTS) as (built, first, second):
        first.script.answer = second.script.answer = "One two three."
        await made(tmp_path, 2)
        phone = await Phone(built.sip, "pizza").dial()
        await of_call(built, phone, 0)
        second.script.delay = 0.8
        first.script.wrong, first.script.only = "refuse", "generate"
        await speak(phone)
        line = await of_call(built, phone, 1)
        assert heard(phone) == words("zero nine one two three")
        assert line["said"] == "One two three."
        assert line["stages_ms"]["first_packet"] >= 0
        await hang_up(phone)


async def test_what_is_always_said_needs_no_model_and_is_kept_over_a_restart(tmp_path: Path) -> None:
    failure = {"say": {"de": "Ten.", "en": "Eleven."}}
    async with pair(tmp_path, greeting="One two.", ahead=True, on_failure=failure, **NO_PROMPTS) as (
        built,
        first,
        second,
    ):
        await made(tmp_path, 2)
        assert len(first.script.asked) == 2
        assert await built.gateway.stop() == 0
        await built.start_gateway()
        phone = await Phone(built.sip, "pizza").dial()
        line = await of_call(built, phone, 0)
        assert line["said"] == "One two."
        stamps = line["stamps"]
        assert stamps["first_packet"] - stamps["answered"] < 1_000_000_000
        await first.stop()
        await second.stop()
        await speak(phone)
        await phone.asked("BYE")
        assert heard(phone) == words("one two eleven")
        assert len(first.script.asked) == 2  # nothing was made again
        phone.close()


async def test_a_shadow_answers_along_and_is_never_heard(tmp_path: Path) -> None:
    shadow = {"stt": "second", "llm": "second", "tts": "second"}
    async with pair(tmp_path, greeting="Zero.", shadow=shadow, stt="first", llm="first", tts="first") as built_and:
        built, first, second = built_and
        first.script.answer, second.script.answer, second.script.text = "One two.", "Nine ten.", "goodbye"
        phone = await Phone(built.sip, "pizza").dial()
        await of_call(built, phone, 0)
        await speak(phone)
        line = await of_call(built, phone, 1)
        assert heard(phone) == words("zero one two")
        assert {entry["role"]: entry["text"] for entry in line["shadow"]} == {
            "stt": "goodbye", "llm": "Nine ten. ", "tts": "One two."
        }  # fmt: skip
        assert all(entry["first_ms"] >= 0 for entry in line["shadow"])
        assert "shadow" in {entry.get("part") for entry in line["usage"]}
        await hang_up(phone)
