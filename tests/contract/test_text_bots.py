"""Bots in text, over a real WebSocket: what they are told of an interruption, how they end a call, what is too late."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gateway.providers.contract import Bye, Generated, Message, Party, Token
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
