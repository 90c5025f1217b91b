"""Bots in text, over a real WebSocket: what they are told of an interruption, how they end a call, what is too late."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gateway.providers.contract import (
    Bye,
    Digits,
    Generated,
    LanguageWanted,
    Message,
    Party,
    Token,
    Unasked,
)
from tests.contract.test_providers import LIMIT, Heard, answered, ask, opened, playing
from tests.played.cast import CAST, Part
from tests.played.stage import Stage

BOTS = [part for part in CAST if part.bot]
(RELAY,) = [part for part in BOTS if part.kind == "conversation-relay"]
(RETELL,) = [part for part in BOTS if part.kind == "retell-llm"]
bots = pytest.mark.parametrize("part", BOTS, ids=[part.id for part in BOTS])


async def told(stage: Stage, kind: str, value: str) -> dict[str, Any]:
    """The first message of this kind that the bot was sent."""
    async with asyncio.timeout(LIMIT):
        while True:
            for one in map(json.loads, stage.received):
                if one.get(kind) == value:
                    return dict(one)
            await asyncio.sleep(0.005)


@bots
async def test_the_caller_s_words_go_up_and_the_answer_comes_down_as_it_is_made(part: Part) -> None:
    heard = Heard()
    async with playing(part) as (made, stage):
        session = await opened(made, part, heard)
        ask(part, session, text="größer")
        assert await answered(part, heard) == Generated(1, finish="stop")
        assert "".join(token.text for token in heard.of(Token)) == "You said: größer"
        assert len(heard.of(Token)) == 3
        assert stage.connections == 1


@bots
async def test_each_call_has_a_connection_of_its_own(part: Part) -> None:
    async with playing(part) as (made, stage):
        both = [Heard(), Heard()]
        sessions = [await opened(made, part, heard) for heard in both]
        for session, heard, text in zip(sessions, both, ("one", "two"), strict=True):
            ask(part, session, text=text)
            await answered(part, heard)
            assert heard.of(Token)[-1].text == f" {text}"
        assert stage.connections == 2


@bots
async def test_a_bot_that_says_goodbye_ends_the_call(part: Part) -> None:
    heard = Heard()
    async with playing(part) as (made, _):
        session = await opened(made, part, heard)
        ask(part, session, text="goodbye")
        end = await heard.until(Generated)
        if not end.hang_up:  # it is said beside the answer
            await heard.until(Bye)


@bots
async def test_a_new_question_is_answered_though_the_old_answer_was_under_way(part: Part) -> None:
    heard = Heard()
    async with playing(part) as (made, stage):
        session = await opened(made, part, heard)
        session.generate(1, [Message("user", "word " * 400)])
        await heard.until(Token)
        session.cancel(1)
        session.interrupted("You said", 300)
        stopped: Any = stage.scripts[-1]
        async with asyncio.timeout(LIMIT):
            while part is RELAY and not stopped.talking.cancelled():
                await asyncio.sleep(0.005)
        session.generate(2, [Message("user", "word " * 400), Message("assistant", "You said"), Message("user", "no")])
        await answered(part, heard, 2)
    assert "".join(token.text for token in heard.of(Token) if token.request == 2) == "You said: no"


async def test_a_relay_bot_is_told_what_was_heard() -> None:
    heard = Heard()
    async with playing(RELAY) as (made, stage):
        session = await opened(made, RELAY, heard)
        ask(RELAY, session)
        await answered(RELAY, heard)
        session.interrupted("You said: one", 640)
        found = await told(stage, "type", "interrupt")
    assert found == {"type": "interrupt", "utteranceUntilInterrupt": "You said: one", "durationUntilInterruptMs": 640}


@bots
async def test_a_bot_is_told_who_calls_whom(part: Part) -> None:
    async with playing(part) as (made, stage):
        await made.open_llm(Heard(), party=Party("+4930123", "+4930456"))
        if part is RELAY:
            found = await told(stage, "type", "setup")
            assert (found["from"], found["to"]) == ("+4930123", "+4930456")
        else:
            found = (await told(stage, "interaction_type", "call_details"))["call"]
            assert (found["from_number"], found["to_number"]) == ("+4930123", "+4930456")


async def test_a_retell_bot_gets_the_transcript_as_it_was_heard_and_the_call_s_details() -> None:
    heard = Heard()
    async with playing(RETELL, parameters={"customer": "42"}) as (made, stage):
        session = await opened(made, RETELL, heard)
        ask(RETELL, session)
        await answered(RETELL, heard)
        details = await told(stage, "interaction_type", "call_details")
        asked = await told(stage, "interaction_type", "response_required")
    assert stage.scripts[0].request.path == f"/llm-websocket/{details['call']['call_id']}"
    assert details["call"]["metadata"] == {"customer": "42"}
    assert asked["transcript"] == [{"role": "user", "content": "one two three"}]


def text_of(heard: Heard) -> str:
    return "".join(one.text for one in heard.of(Unasked))


async def test_what_a_bot_says_unasked_is_told_apart_from_its_answers() -> None:
    """Retell's bots greet by it; a relay's say it whenever they want to, but not what is left of a cancelled answer."""
    for part, hello in ((RETELL, "Hello."), (RELAY, "")):
        heard = Heard()
        async with playing(part) as (made, stage):
            session = await opened(made, part, heard)
            script: Any = stage.scripts[0]
            if hello:
                await heard.until(Unasked, last=True)
            ask(part, session, text="word")
            await answered(part, heard)
            await script.say([*script.remark("By the way."), *script.remark("", last=True)])
            await heard.until(Unasked, last=True, count=1 + bool(hello))
            assert text_of(heard) == f"{hello}By the way."
            assert "".join(token.text for token in heard.of(Token)) == "You said: word"


async def test_the_rest_of_an_answer_that_was_cancelled_is_nothing_said_unasked() -> None:
    heard = Heard()
    async with playing(RELAY) as (made, stage):
        session = await opened(made, RELAY, heard)
        script: Any = stage.scripts[0]
        session.generate(1, [Message("user", "word " * 400)])
        await heard.until(Token)
        session.cancel(1)
        await script.talking
        await script.say([*script.remark("Anything else?"), *script.remark("", last=True)])
        await heard.until(Unasked, last=True)
        assert text_of(heard) == "Anything else?"


async def test_a_relay_is_told_of_keys_and_presses_some_and_changes_the_language() -> None:
    heard = Heard()
    async with playing(RELAY) as (made, stage):
        session = await opened(made, RELAY, heard)
        session.digit("5")
        assert await told(stage, "type", "dtmf") == {"type": "dtmf", "digit": "5"}
        await stage.scripts[0].say(
            ['{"type":"sendDigits","digits":"9www40"}', '{"type":"language","ttsLanguage":"es-ES"}']
        )
        assert await heard.until(Digits) == Digits("9www40")
        assert await heard.until(LanguageWanted) == LanguageWanted("es-ES", "")


async def test_retells_bots_interrupt_press_keys_and_say_goodbye_unasked() -> None:
    heard = Heard()
    async with playing(RETELL) as (made, stage):
        await opened(made, RETELL, heard)
        script: Any = stage.scripts[0]
        await heard.until(Unasked, last=True)
        interrupt = {
            "response_type": "agent_interrupt",
            "interrupt_id": 1,
            "content": "Wait.",
            "content_complete": True,
        }
        await script.say([json.dumps(interrupt)])
        await heard.until(Unasked, last=True, count=2)
        assert text_of(heard) == "Hello.Wait."
        await script.say([script.response("", 7, digit_to_press="1"), script.response("", 0, digit_to_press="2")])
        assert await heard.until(Digits) == Digits("2")
        await script.say([script.response("", 0, content_complete=True, end_call=True)])
        await heard.until(Bye)


async def test_bots_say_what_cannot_be_interrupted() -> None:
    for part, flag in ((RELAY, {"interruptible": "none"}), (RETELL, {"no_interruption_allowed": True})):
        heard = Heard()
        async with playing(part) as (made, stage):
            await opened(made, part, heard)
            script: Any = stage.scripts[0]
            (remark,) = map(json.loads, script.remark("Recorded."))
            await script.say([json.dumps({**remark, **flag})])
            assert await heard.until(Unasked, text="Recorded.") == Unasked("Recorded.", interruptible=False)
