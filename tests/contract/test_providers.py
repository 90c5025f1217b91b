"""What every provider of the field owes the house, whatever its server does (gateway/providers/contract.py).

Each part of the cast (tests/played/cast.py) goes through all of it; a new adapter joins by one line there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.audio import Encoding
from gateway.errors import ProviderError
from gateway.providers.contract import (
    Brief,
    Failed,
    Generated,
    Interrupted,
    Message,
    Provider,
    ProviderSpec,
    Speech,
    SpeechDone,
    Token,
    Tool,
    ToolCall,
    ToolUse,
    Transcript,
    Usage,
    Words,
)
from gateway.registry import PROVIDERS, load, names
from gateway.units import MS, SECOND, Samples
from tests.played.cast import CAST, Part
from tests.played.stage import Fault, Stage, staged

LIMIT = 5.0
RATE = 8000
FRAME = b"\x40\x1f" * 160  # 20 ms at that rate; nobody hears silence
SHORT = {
    "connect_timeout": "2s",
    "stt_timeout": "400ms",
    "llm_timeout": "400ms",
    "tts_timeout": "400ms",
}


class Heard(list[Any]):
    """A listener that can be waited on."""

    def __init__(self) -> None:
        super().__init__()
        self._came = asyncio.Event()

    def __call__(self, result: object) -> None:
        self.append(result)
        self._came.set()

    async def until(self, *kinds: type, count: int = 1, **fields: object) -> Any:
        """The result of a kind (with those fields) that makes it ``count``."""

        def found() -> list[Any]:
            return [
                result
                for result in self
                if isinstance(result, kinds)
                and all(getattr(result, name, None) == value for name, value in fields.items())
            ]

        async with asyncio.timeout(LIMIT):
            while len(found()) < count:
                self._came.clear()
                await self._came.wait()
        return found()[count - 1]

    def of(self, *kinds: type) -> list[Any]:
        return [result for result in self if isinstance(result, kinds)]


@asynccontextmanager
async def playing(part: Part, fault: Fault = Fault.NONE, **more: Any) -> AsyncIterator[tuple[Provider, Stage]]:
    async with staged(part.script, fault) as (stage, at):
        made = create(part, at, **more)
        await made.start()
        try:
            yield made, stage
        finally:
            await made.close()


def create(part: Part, at: str, **more: Any) -> Provider:
    spec = load(PROVIDERS, part.kind)
    assert isinstance(spec, ProviderSpec)
    url = part.base_url.format(at=at)
    key = {"api_key": "key"} if part.refuses else {}
    where = {"url": url} if part.bot else {**key, "base_url": url}
    block = {**where, **SHORT, **part.block, **more}
    return spec.create("tested", spec.options.model_validate(block))


async def opened(made: Provider, part: Part, heard: Heard) -> Any:
    match part.role:
        case "stt":
            return await made.open_stt(heard, rate=RATE, language="en")
        case "llm":
            return await made.open_llm(heard)
        case "tts":
            return await made.open_tts(heard, rate=RATE, language="en")
        case _:
            return await made.open_realtime(heard, rate=RATE, brief=Brief(prompt="You are kind.", language="en"))


def ask(part: Part, session: Any, request: int = 1, text: str = "one two three") -> None:
    match part.role:
        case "stt":
            session.begin_turn(request, Samples(0))
            for number in range(20):
                session.audio(FRAME, Samples(160 * number), 1)
            session.end_turn(request, Samples(3200))
        case "llm":
            session.generate(request, [Message("system", "Be kind."), Message("user", text)])
        case "tts":
            session.speak(request, text)
        case _:
            for number in range(20):
                session.audio(FRAME, Samples(160 * number), 1)


async def answered(part: Part, heard: Heard, request: int = 1) -> Any:
    match part.role:
        case "stt":
            return await heard.until(Transcript, turn=request, final=True)
        case "llm":
            return await heard.until(Generated, request=request)
        case "tts":
            return await heard.until(SpeechDone, request=request)
        case _:
            return await heard.until(Speech, count=5 * request)


def parts(*roles: str, bots: bool = True, refusing: bool = False) -> Any:
    chosen = [
        part
        for part in CAST
        if (not roles or part.role in roles) and (bots or not part.bot) and (part.refuses or not refusing)
    ]
    return pytest.mark.parametrize("part", chosen, ids=[part.id for part in chosen])


def test_every_role_of_every_registered_provider_is_played() -> None:
    wanted = {(kind, role) for kind in names(PROVIDERS) if kind != "native" for role in load(PROVIDERS, kind).roles}  # type: ignore[attr-defined]
    assert wanted == {(part.kind, part.role) for part in CAST}


# --- what is said and heard -------------------------------------------------------------------------------------------


@parts("stt")
async def test_a_turn_has_exactly_one_final_of_all_the_audio(part: Part) -> None:
    heard = Heard()
    async with playing(part) as (made, _):
        session = await opened(made, part, heard)
        ask(part, session)
        final = await answered(part, heard)
        assert (final.text, final.understood) == ("400 ms", True)
        assert any(not result.final and result.text for result in heard.of(Transcript))
        ask(part, session, 2)
        assert (await answered(part, heard, 2)).text == "400 ms"
        finals = [result.turn for result in heard.of(Transcript) if result.final]
    assert finals == [1, 2]


@parts("stt")
async def test_a_turn_without_a_word_is_noise_and_holds_nothing_up(part: Part) -> None:
    heard = Heard()
    async with playing(part) as (made, _):
        session = await opened(made, part, heard)
        ask(part, session)
        await answered(part, heard)
        session.begin_turn(2, Samples(3200))
        session.end_turn(2, Samples(3200))
        # Some say nothing at all to the end of a turn in which nothing was said: those cannot be told from a stall.
        result = await heard.until(Transcript, Failed, count=len(heard.of(Transcript, Failed)) + 1)
    assert isinstance(result, Failed) or (result.turn, result.text, result.final) == (2, "", True)


@parts("stt")
async def test_a_cancelled_turn_has_no_final_and_leaves_nothing_behind(part: Part) -> None:
    heard = Heard()
    async with playing(part) as (made, _):
        session = await opened(made, part, heard)
        session.begin_turn(1, Samples(0))
        for number in range(20):
            session.audio(FRAME, Samples(160 * number), 1)
        await heard.until(Transcript)
        session.cancel_turn(1)
        ask(part, session, 2)
        # A provider that knows no word for the end of a turn may take both for one.
        assert (await answered(part, heard, 2)).text in {"400 ms", "800 ms"}
    assert not [result for result in heard.of(Transcript) if result.final and result.turn == 1]


@parts("stt")
async def test_a_wideband_call_is_heard_as_well(part: Part) -> None:
    heard = Heard()
    async with playing(part) as (made, _):
        session = await made.open_stt(heard, rate=16_000, language="en")
        session.begin_turn(1, Samples(0))
        for number in range(20):
            session.audio(FRAME * 2, Samples(160 * number), 1)
        session.end_turn(1, Samples(3200))
        assert (await answered(part, heard)).text == "400 ms"


@parts("llm", bots=False)
async def test_tokens_come_in_order_with_what_they_cost(part: Part) -> None:
    heard = Heard()
    async with playing(part) as (made, _):
        session = await opened(made, part, heard)
        ask(part, session, text="größer")
        done = await answered(part, heard)
    assert "".join(token.text for token in heard.of(Token)) == "You said: größer"
    assert (done.cancelled, done.finish) == (False, "stop")
    assert len(heard.of(Token)) == 3
    spent = heard.of(Usage)
    assert (sum(one.input_tokens for one in spent), sum(one.output_tokens for one in spent)) == (7, 5)
    assert sum(one.cached_tokens for one in spent) == 3
    assert heard[-1] is done


@parts("llm", bots=False)
async def test_a_tool_is_asked_for_and_its_result_goes_back(part: Part) -> None:
    heard = Heard()
    tool = Tool("weather", "What it is like outside", {"type": "object", "properties": {"city": {"type": "string"}}})
    async with playing(part) as (made, stage):
        session = await opened(made, part, heard)
        session.generate(1, [Message("user", "Rain?")], [tool])
        done = await answered(part, heard)
        (call,) = heard.of(ToolCall)
        assert (call.use.name, call.use.arguments, done.finish) == ("weather", '{"city":"Köln"}', "tools")
        history = [
            Message("user", "Rain?"),
            Message("assistant", "Let me see.", uses=(call.use,)),
            Message("tool", "sunny", call=call.use.call),
        ]
        session.generate(2, history)
        await answered(part, heard, 2)
        _, body = stage.requests[-1]
    assert "sunny" in str(body)
    assert call.use.call in str(body)


@parts("llm", bots=False)
async def test_requests_share_one_connection_which_is_made_before_the_first(part: Part) -> None:
    heard = Heard()
    async with playing(part) as (made, stage):
        session = await opened(made, part, heard)
        async with asyncio.timeout(LIMIT):
            while not stage.warmed:
                await asyncio.sleep(0.005)
        await opened(made, part, Heard())
        assert stage.warmed == 1
        for request in (1, 2, 3):
            ask(part, session, request)
            await answered(part, heard, request)
        ports = {request.transport.get_extra_info("peername") for request, _ in stage.requests if request.transport}
        assert len(ports) <= 1


@parts("tts")
async def test_speech_comes_whole_and_in_order(part: Part) -> None:
    heard = Heard()
    async with playing(part) as (made, _):
        session = await opened(made, part, heard)
        session.speak(1, "one two three")
        session.speak(2, "four")
        await answered(part, heard, 2)
    order = [result.request for result in heard.of(Speech, SpeechDone)]
    assert order == sorted(order)
    for request, text in ((1, "one two three"), (2, "four")):
        bursts = [burst for burst in heard.of(Speech) if burst.request == request]
        assert sum(burst.samples * 1000 // burst.rate for burst in bursts) == 20 * len(text)
    told = [word for words in heard.of(Words) if words.request == 1 for word in words.words]
    if told:
        assert [word.text for word in told] == ["one", "two", "three"]
        assert [word.start // MS for word in told] == [0, 80, 160]


@parts("tts")
async def test_the_telephone_gets_what_the_plane_can_play(part: Part) -> None:
    heard = Heard()
    async with playing(part) as (made, _):
        session = await opened(made, part, heard)
        ask(part, session)
        await answered(part, heard)
    for burst in heard.of(Speech):
        assert burst.rate in {8000, 16_000, 24_000, 48_000}
        assert burst.encoding is Encoding.PCM or burst.rate == 8000
        assert len(burst.audio) % burst.encoding.width == 0


@parts("tts")
async def test_cancel_in_mid_speech_is_acknowledged_at_once_and_nothing_follows(part: Part) -> None:
    for fault in (Fault.NONE, Fault.LATE):
        heard = Heard()
        async with playing(part, fault) as (made, _):
            session = await opened(made, part, heard)
            session.speak(1, "x" * 2000)
            await heard.until(Speech)
            session.cancel(1)
            assert heard[-1] == SpeechDone(1, cancelled=True)
            session.speak(2, "ok")
            await answered(part, heard, 2)
        after = heard[heard.index(SpeechDone(1, cancelled=True)) + 1 :]
        assert {result.request for result in after} == {2}
        seconds = sum(burst.samples / burst.rate for burst in after if isinstance(burst, Speech))
        assert seconds == pytest.approx(0.04)


@parts("tts")
async def test_calls_speak_at_once_without_hearing_each_other(part: Part) -> None:
    async with playing(part) as (made, stage):
        all_heard = [Heard() for _ in range(4)]
        sessions = [await opened(made, part, heard) for heard in all_heard]
        for number, session in enumerate(sessions):
            session.speak(number, "x" * (number + 1))
        for number, heard in enumerate(all_heard):
            await answered(part, heard, number)
            seconds = sum(burst.samples / burst.rate for burst in heard.of(Speech))
            assert seconds == pytest.approx(0.02 * (number + 1))
            assert {result.request for result in heard} == {number}
        for session in sessions:
            session.close()
        assert stage.connections <= 4


@parts("realtime")
async def test_a_realtime_model_hears_speaks_and_is_interrupted(part: Part) -> None:
    heard = Heard()
    async with playing(part) as (made, stage):
        session = await opened(made, part, heard)
        ask(part, session)
        await (heard.until(Interrupted) if part.interrupts else heard.until(Speech, count=5))
        spoken = sum(burst.samples * 1000 // burst.rate for burst in heard.of(Speech))
        assert spoken == 100
        session.interrupted(60)
        session.tool_result("call-1", "sunny")
        script: Any = stage.scripts[-1]
        async with asyncio.timeout(LIMIT):
            while heard.of(ToolCall) and not script.results:
                await asyncio.sleep(0.005)
        session.close()
    if calls := heard.of(ToolCall):
        assert calls == [ToolCall(0, ToolUse("call-1", "weather", '{"city":"Köln"}'))]
        assert b"sunny" in script.results[0]


@parts()
async def test_the_model_is_named(part: Part) -> None:
    heard = Heard()
    async with playing(part) as (made, _):
        session = await opened(made, part, heard)
        ask(part, session)
        await answered(part, heard)
        assert session.model.name
        assert made.listening_rate(part.role) in {8000, 16_000}


# --- what goes on in spite of it --------------------------------------------------------------------------------------


@parts()
@pytest.mark.parametrize("fault", [Fault.SLOW, Fault.UNKNOWN, Fault.DUPLICATE], ids=lambda fault: fault.name)
async def test_a_slow_a_newer_and_a_repeating_server_are_borne(part: Part, fault: Fault) -> None:
    heard = Heard()
    async with playing(part, fault) as (made, _):
        session = await opened(made, part, heard)
        for request in (1, 2):
            ask(part, session, request)
            await answered(part, heard, request)
        if part.role == "stt":
            assert [result.turn for result in heard.of(Transcript) if result.final] == [1, 2]
        assert not heard.of(Failed)


@parts("llm", "tts")
async def test_cancelling_what_has_ended_does_nothing(part: Part) -> None:
    heard = Heard()
    async with playing(part) as (made, _):
        session = await opened(made, part, heard)
        ask(part, session)
        await answered(part, heard)
        session.cancel(1)
        ask(part, session, 2)
        await answered(part, heard, 2)
    ends = heard.of(Generated, SpeechDone)
    assert [(end.request, end.cancelled) for end in ends] == [(1, False), (2, False)]


@parts("llm")
async def test_a_cancelled_answer_is_acknowledged_at_once_and_nothing_follows(part: Part) -> None:
    heard = Heard()
    async with playing(part) as (made, _):
        session = await opened(made, part, heard)
        session.generate(1, [Message("user", "word " * 400)])
        await heard.until(Token)
        session.cancel(1)
        assert heard[-1] == Generated(1, cancelled=True)
        ask(part, session, 2)
        await answered(part, heard, 2)
    assert not [result for result in heard[heard.index(Generated(1, cancelled=True)) + 1 :] if result.request == 1]


@parts()
async def test_a_closed_session_is_silent(part: Part) -> None:
    heard = Heard()
    async with playing(part, Fault.SLOW) as (made, _):
        session = await opened(made, part, heard)
        ask(part, session)
        session.close()
        session.close()
        told = list(heard)
        other = Heard()
        ask(part, await opened(made, part, other))
        await answered(part, other)
    assert heard == told


# --- faults -----------------------------------------------------------------------------------------------------------


class Survived(ProviderError):
    """A realtime session was taken up again on another connection, and nobody has noticed."""

    def __init__(self) -> None:
        super().__init__("tested", "taken up again", transient=True)


async def failure(part: Part, fault: Fault) -> tuple[ProviderError, list[Any]]:
    """However it is told: by an exception when the session is opened, or by exactly one ``Failed``."""
    heard = Heard()
    async with playing(part, fault) as (made, stage):
        try:
            session = await opened(made, part, heard)
        except ProviderError as error:
            return error, heard
        ask(part, session)
        async with asyncio.timeout(LIMIT):
            while not heard.of(Failed):
                if part.role == "realtime" and stage.connections > 1:
                    session.close()
                    return Survived(), heard
                await asyncio.sleep(0.005)
        failed = heard.of(Failed)[0]
        await asyncio.sleep(0.02)
        results = list(heard)
        session.close()
    assert len([result for result in results if isinstance(result, Failed)]) == 1
    assert results[-1] is failed
    return failed.error, results


@parts(refusing=True)
async def test_a_wrong_key_is_permanent(part: Part) -> None:
    error, _ = await failure(part, Fault.WRONG_KEY)
    assert not error.transient
    assert "401" in str(error)


@parts(refusing=True)
async def test_too_many_requests_are_told_with_the_pause_that_is_asked_for(part: Part) -> None:
    error, _ = await failure(part, Fault.BUSY)
    assert (error.transient, error.busy, error.retry_after) == (True, True, 2 * SECOND)


@parts(refusing=True)
async def test_a_server_that_is_down_is_transient(part: Part) -> None:
    error, _ = await failure(part, Fault.DOWN)
    assert (error.transient, error.busy) == (True, False)


@parts()
@pytest.mark.parametrize(
    "fault", [Fault.DROP, Fault.MALFORMED, Fault.BAD_FRAME, Fault.ERROR], ids=lambda fault: fault.name
)
async def test_what_breaks_in_the_middle_is_told_once(part: Part, fault: Fault) -> None:
    error, results = await failure(part, fault)
    assert error.transient or fault is Fault.ERROR
    if part.role == "stt":
        assert not [result for result in results if isinstance(result, Transcript) and result.final]


@parts("stt", "llm", "tts")
async def test_a_stalled_request_fails_and_the_session_lives(part: Part) -> None:
    heard = Heard()
    async with playing(part, Fault.STALL) as (made, stage):
        session = await opened(made, part, heard)
        ask(part, session)
        failed = await heard.until(Failed)
        assert (failed.request, failed.error.transient) == (1, True)
        stage.fault = Fault.NONE
        ask(part, session, 2)
        await answered(part, heard, 2)
        session.close()


@parts()
async def test_a_session_limit_is_survived_or_told_as_transient(part: Part) -> None:
    error, _ = await failure(part, Fault.LIMIT)
    assert error.transient


@parts()
async def test_a_server_that_is_not_there_is_no_error_until_something_is_wanted(part: Part) -> None:
    made = create(part, "127.0.0.1:1")
    heard = Heard()
    await made.start()
    try:
        session = await opened(made, part, heard)
        ask(part, session)
        error = (await heard.until(Failed)).error
    except ProviderError as caught:
        error = caught
    assert error.transient
    await made.close()


@parts()
async def test_a_listener_that_raises_harms_nobody_else(part: Part) -> None:
    reports: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))

    def broken(_: object) -> None:
        raise RuntimeError("a bug")

    heard = Heard()
    async with playing(part) as (made, _):
        ask(part, await opened(made, part, broken))  # type: ignore[arg-type]
        ask(part, await opened(made, part, heard))
        await answered(part, heard)
        async with asyncio.timeout(LIMIT):
            while not reports:
                await asyncio.sleep(0.005)
