"""Bots of every protocol are connected, heard, spoken to, interrupted and lost as their platforms would do it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from gateway import registry
from gateway.errors import ProviderError
from gateway.plugs.bots.audiosocket import frame
from gateway.plugs.bots.session import BotSession
from gateway.plugs.bots.twilio_rest import read_twiml
from gateway.plugs.contract import PlugSpec, Prepares, TransferResult
from gateway.units import Nanos, Samples
from tests.system.house import free_port
from tests.unit.plugs.bots import WORDS, PlayedBot, played, text
from tests.unit.plugs.desk import Call, Leg, Provider

FRAME = bytes(range(160)) * 2
LATER = Nanos(0), Samples(0)


def open_session(kind: str, options: dict[str, Any]) -> tuple[BotSession, Call, Leg]:
    spec = registry.load("linecard.plugs", kind)
    assert isinstance(spec, PlugSpec)
    call = Call(Provider())
    session = spec.create(spec.options(**options)).open(call)
    assert isinstance(session, BotSession)
    return session, call, Leg()


@asynccontextmanager
async def connected(kind: str, **options: Any) -> AsyncIterator[tuple[PlayedBot, BotSession, Call, Leg]]:
    """A call that was answered, and the bot that has been told so."""
    words = WORDS[kind]
    async with played(words) as (bot, url):
        session, call, leg = open_session(kind, {"url": url, **words.options, **options})
        try:
            await session.start(leg)
            session.answered()
            await bot.until(lambda: any(words.begun(message) for message in bot.texts()))
            yield bot, session, call, leg
        finally:
            await session.close()


def at(message: dict[str, Any], path: str) -> Any:
    for key in path.split("."):
        message = message[key]
    return message


@pytest.mark.parametrize("kind", WORDS)
async def test_audio_flows_both_ways(kind: str) -> None:
    async with connected(kind) as (bot, session, _, leg):
        words = bot.words
        for _ in range(10):
            session.on_audio(FRAME, Samples(0), Nanos(0), 0)
        await bot.until(lambda: len(bot.audio) == 10 * 160 * (2 if session._dialect.hears.encoding == "pcm" else 1))
        audio = bytes(1600 * words.width)
        await bot.say(words.play(audio))
        await leg.until(lambda: leg.played)
        assert leg.played == [(audio, 8000)]


@pytest.mark.parametrize("kind", WORDS)
async def test_the_bot_is_told_who_calls_whom(kind: str) -> None:
    async with connected(kind) as (bot, _, call, _):
        start = next(message for message in bot.texts() if bot.words.begun(message))
        if bot.words.numbers is not None:
            caller, called = bot.words.numbers
            assert (at(start, caller), at(start, called)) == (call.caller, call.called)


@pytest.mark.parametrize("kind", [kind for kind, words in WORDS.items() if words.mark])
async def test_a_mark_comes_back_when_its_audio_was_sent(kind: str) -> None:
    async with connected(kind) as (bot, session, _, leg):
        words = bot.words
        assert words.mark is not None
        await bot.say(words.play(bytes(8000 * words.width)))
        await bot.say(words.mark)
        await leg.until(lambda: leg.marks)
        assert not any(words.marked(message) for message in bot.texts())
        session.on_mark(leg.marks[0], *LATER)
        await bot.until(lambda: any(words.marked(message) for message in bot.texts()))


@pytest.mark.parametrize("kind", [kind for kind, words in WORDS.items() if words.mark])
async def test_when_a_mark_comes_back_is_the_legs_affair_with_an_empty_queue_as_well(kind: str) -> None:
    async with connected(kind) as (bot, session, _, leg):
        words = bot.words
        assert words.mark is not None
        await bot.say(words.mark)
        await leg.until(lambda: leg.marks)
        session.on_mark(leg.marks[0], *LATER)
        await bot.until(lambda: any(words.marked(message) for message in bot.texts()))


@pytest.mark.parametrize("kind", [kind for kind, words in WORDS.items() if words.clear])
async def test_the_bot_stops_the_playout(kind: str) -> None:
    async with connected(kind) as (bot, _, _, leg):
        assert bot.words.clear is not None
        await bot.say(bot.words.play(bytes(8000 * bot.words.width)))
        await bot.say(bot.words.clear)
        await leg.until(lambda: leg.flushes)


@pytest.mark.parametrize("kind", ["twilio", "telnyx", "signalwire", "exotel", "jambonz"])
async def test_marks_that_were_cleared_are_reported(kind: str) -> None:
    async with connected(kind) as (bot, _, _, leg):
        words = bot.words
        assert words.mark is not None
        assert words.clear is not None
        await bot.say(words.play(bytes(8000 * words.width)))
        await bot.say(words.mark)
        await bot.say(words.clear)
        await bot.until(lambda: any(words.marked(message) for message in bot.texts()))
        assert leg.flushes


@pytest.mark.parametrize("kind", WORDS)
async def test_keys_are_told(kind: str) -> None:
    async with connected(kind) as (bot, session, _, _):
        session.on_digit("5", 120, Nanos(0))
        await bot.until(lambda: any(bot.words.digit(message) == "5" for message in bot.texts()))


@pytest.mark.parametrize("kind", [kind for kind in WORDS if kind != "audiocodes"])
async def test_a_bot_that_leaves_ends_the_call(kind: str) -> None:
    async with connected(kind) as (bot, _, call, leg):
        await bot.leave()
        await call.until(lambda: call.hung_up)
        assert call.hung_up == ["the bot has closed the connection"]
        assert not leg.played


@pytest.mark.parametrize("kind", [kind for kind in WORDS if kind != "audiocodes"])
async def test_a_bot_that_breaks_is_apologised_for(kind: str) -> None:
    async with connected(kind) as (bot, session, call, leg):
        await bot.leave(1011)
        await leg.until(lambda: leg.played)
        assert call.lines[-1][0] == "provider.failed"
        session.on_playout_idle(*LATER)  # of what was played before the sentence
        assert not call.hung_up
        session.on_mark(leg.marks[-1], *LATER)
        assert call.hung_up == ["the bot failed"]


@pytest.mark.parametrize("code", [1000, 1011])
async def test_an_audiocodes_bot_that_closes_its_socket_is_dialled_again(code: int) -> None:
    async with connected("audiocodes") as (bot, session, call, leg):
        before = len(bot.messages)
        await bot.leave(code)
        await bot.until(lambda: any(bot.words.begun(message) for message in bot.texts()[before:]))
        resume, *_ = bot.texts()[before:]
        assert resume == {"type": "session.resume", "conversationId": bot.texts()[0]["conversationId"]}
        await call.until(lambda: call.logged("bot.resumed"))
        session.on_audio(FRAME, Samples(0), Nanos(0), 0)
        await bot.until(lambda: bot.audio)
        await bot.say(bot.words.play(bytes(160)))
        await leg.until(lambda: leg.played)
        assert not call.hung_up


async def test_one_that_is_lost_again_and_again_is_given_up() -> None:
    async with connected("audiocodes") as (bot, _, call, leg):
        for losses in range(1, 4):
            await bot.leave(1011)
            await call.until(lambda losses=losses: len(call.logged("bot.resumed")) == losses)  # type: ignore[misc]
        await bot.leave(1011)
        await leg.until(lambda: leg.played)
        assert call.logged("provider.failed")


@pytest.mark.parametrize("code", [1000, 1011])
async def test_one_that_does_not_want_the_call_again_is_taken_at_its_word(code: int) -> None:
    def refuse(message: dict[str, Any]) -> Any:
        if message["type"] == "session.resume":
            return '{"type":"session.error","reason":"unknown conversation"}'
        return WORDS["audiocodes"].greeting(message)

    async with connected("audiocodes") as (bot, _, call, leg):
        bot.words = replace(bot.words, greeting=refuse)
        await bot.leave(code)
        if code == 1000:
            await call.until(lambda: call.hung_up)
            assert call.hung_up == ["the bot has closed the connection"]
        else:
            await leg.until(lambda: leg.played)


async def test_keys_that_a_bot_sends_are_as_many_as_can_be_sent() -> None:
    async with connected("signalwire") as (bot, _, call, leg):
        for digits in ("not one", "1w2", "7" * 100):
            await bot.say(text(event="dtmf", dtmf={"digits": digits}))
        await leg.until(lambda: len(leg.digits) == 2)
        assert leg.digits == ["12", "7" * 64]
        assert not call.logged("provider.failed")


@pytest.mark.parametrize("kind", WORDS)
async def test_the_end_of_the_call_closes_the_connection(kind: str) -> None:
    async with connected(kind) as (bot, session, _, _):
        await session.close()
        await bot.until(lambda: bot.closed)


@pytest.mark.parametrize("kind", ["twilio", "vonage", "asterisk"])
async def test_nonsense_fails_the_bot_and_nothing_else(kind: str) -> None:
    async with connected(kind) as (bot, _, _, leg):
        await bot.say('{"event":"media","media":' if kind != "asterisk" else '{"command"')
        await leg.until(lambda: leg.played)


@pytest.mark.parametrize("kind", WORDS)
async def test_nobody_there_fails_the_start(kind: str) -> None:
    session, _, leg = open_session(kind, {"url": "ws://127.0.0.1:9/media"})
    with pytest.raises(ProviderError, match="cannot connect"):
        await session.start(leg)
    await session.close()


async def test_too_much_audio_is_cut_off() -> None:
    async with connected("jambonz", max_queue="1s") as (bot, _, call, _):
        await bot.say(bytes(17_000))
        await call.until(lambda: call.lines and call.lines[-1][0] == "provider.failed")


async def test_a_sample_cut_in_two_is_put_together() -> None:
    async with connected("jambonz") as (bot, _, _, leg):
        await bot.say(b"\x01")
        await bot.say(b"\x02\x03\x04")
        await leg.until(lambda: leg.played)
        assert leg.played == [(b"\x01\x02\x03\x04", 8000)]


async def test_twilios_numbering_and_signature() -> None:
    async with connected("twilio", auth_token="secret", parameters={"k": "v"}) as (bot, session, _, _):
        for _ in range(3):
            session.on_audio(FRAME, Samples(0), Nanos(0), 0)
        await bot.until(lambda: len(bot.texts()) == 5)
        hello, start, *media = bot.texts()
        assert hello == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        assert (start["sequenceNumber"], start["start"]["customParameters"]["k"]) == ("1", "v")
        assert start["streamSid"] == start["start"]["streamSid"] == media[0]["streamSid"]
        assert [message["sequenceNumber"] for message in media] == ["2", "3", "4"]
        assert [message["media"]["chunk"] for message in media] == ["1", "2", "3"]
        assert [message["media"]["timestamp"] for message in media] == ["0", "20", "40"]
        digest = hmac.new(b"secret", session._options.url.encode(), hashlib.sha1).digest()
        assert bot.headers["X-Twilio-Signature"] == base64.b64encode(digest).decode()


async def test_asterisks_plain_spelling() -> None:
    async with played(WORDS["asterisk"]) as (bot, url):
        bot._take = lambda message: asyncio.sleep(0, bot.messages.append(message))  # type: ignore[method-assign]
        session, _, leg = open_session("asterisk", {"url": url, "control": "plain"})
        assert session._dialect.started()[0].startswith("MEDIA_START connection_id:")  # type: ignore[index]
        assert list(session._dialect.digit("5", 0)) == ["DTMF_END digit:5"]
        await session.close()
        assert not leg.played


# --- AudioSocket, which is no WebSocket -------------------------------------------------------------------------------


async def test_audiosocket() -> None:
    first: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        first.set_result(await reader.readexactly(19 + 323 + 4))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    session, call, leg = open_session("audiosocket", {"url": f"tcp://127.0.0.1:{port}"})
    try:
        await session.start(leg)
        session.answered()
        session.on_audio(FRAME, Samples(0), Nanos(0), 0)
        session.on_digit("7", 100, Nanos(0))
        received = await first
        assert received[:3] == b"\x01\x00\x10"
        assert bytes(received[19:22]) == b"\x10\x01\x40"
        assert bytes(received[22:342]) == FRAME
        assert bytes(received[342:]) == frame(0x03, b"7")
        data = frame(0x10, FRAME)
        writers[0].write(data[:100])
        await writers[0].drain()
        writers[0].write(data[100:] + frame(0x00))
        await leg.until(lambda: leg.marks)
        writers[0].close()  # its last word is still being heard
        await writers[0].wait_closed()
        assert leg.played == [(FRAME, 8000)]
        assert not call.hung_up
        session.on_mark(leg.marks[-1], *LATER)
        assert call.hung_up == ["the bot hung up"]
    finally:
        await session.close()
        for writer in writers:
            writer.close()
        server.close()
        await server.wait_closed()


async def test_audiosocket_that_breaks() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(0xFF, b"\x02"))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    session, call, leg = open_session("audiosocket", {"url": f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"})
    await session.start(leg)
    await leg.until(lambda: leg.played)
    assert call.lines[-1][0] == "provider.failed"
    await session.close()
    server.close()
    await server.wait_closed()


# --- Twilio's REST API ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("twiml", "target"),
    [
        ("<Response><Hangup/></Response>", None),
        ("<Response><Dial>+4930123456</Dial></Response>", "tel:+4930123456"),
        ('<Response><Say>Wait</Say><Dial timeout="5"><Number>+49301</Number></Dial></Response>', "tel:+49301"),
        ("<Response><Dial><Sip>sip:desk@192.0.2.1</Sip></Dial></Response>", "sip:desk@192.0.2.1"),
    ],
)
def test_twiml(twiml: str, target: str | None) -> None:
    wanted = read_twiml(twiml)
    assert (None if wanted is None else wanted.target) == target


@pytest.mark.parametrize(
    "twiml",
    [
        "<Response>",
        "<Response><Say>hello</Say></Response>",
        "<Response><Dial><Queue>a</Queue></Dial></Response>",
        "<Response><Dial/></Response>",
        '<!DOCTYPE x [<!ENTITY a "b">]><Response><Dial>&a;</Dial></Response>',
    ],
)
def test_twiml_that_is_not_understood(twiml: str) -> None:
    with pytest.raises(ValueError, match=r"Twiml|Dial"):
        read_twiml(twiml)


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


async def test_a_bot_hangs_up_and_transfers_over_http() -> None:
    transferred: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with played(WORDS["twilio"]) as (bot, url), aiohttp.ClientSession() as client:
        port = free_port()
        spec = registry.load("linecard.plugs", "twilio")
        assert isinstance(spec, PlugSpec)
        options = spec.options(url=url, rest=f"127.0.0.1:{port}", auth_token="secret")  # type: ignore[call-arg]
        plug = spec.create(options)
        assert isinstance(plug, Prepares)
        serving = asyncio.create_task(plug.prepare({}, None))
        call = Call(Provider())

        async def transfer(target: str, **_: Any) -> TransferResult:
            transferred.set_result(target)
            return TransferResult(200, "OK")

        call.transfer = transfer  # type: ignore[attr-defined]
        session = plug.open(call)  # type: ignore[arg-type]
        await session.start(Leg())  # type: ignore[arg-type]
        session.answered()
        await bot.until(lambda: len(bot.texts()) == 2)
        start = bot.texts()[1]["start"]
        account = f"http://127.0.0.1:{port}/2010-04-01/Accounts/{start['accountSid']}/Calls"
        address, login = f"{account}/{start['callSid']}.json", basic(start["accountSid"], "secret")

        async def ask(method: str, url: str, login: str | None, **form: str) -> tuple[int, dict[str, Any]]:
            headers = {"Authorization": login} if login else {}
            async with client.request(method, url, data=form, headers=headers) as response:
                return response.status, await response.json()

        try:
            async with asyncio.timeout(10):
                while True:
                    try:
                        assert (await ask("GET", address, login))[1]["status"] == "in-progress"
                        break
                    except aiohttp.ClientConnectorError:
                        await asyncio.sleep(0.01)
            assert (await ask("POST", address, None, Status="completed"))[0] == 401
            assert (await ask("POST", f"{account}/CA0.json", login, Status="completed"))[1]["code"] == 20404
            assert (await ask("POST", address, login, Url="http://a"))[0] == 400
            assert (await ask("POST", address, login, Twiml="<Response>"))[0] == 400
            twiml = "<Response><Dial>+4930123456</Dial></Response>"
            assert (await ask("POST", address, login, Twiml=twiml))[0] == 200
            async with asyncio.timeout(10):
                assert await transferred == "tel:+4930123456"
            assert (await ask("POST", address, login, Status="completed"))[1]["status"] == "completed"
            assert call.hung_up == ["the bot hung up"]
            await session.close()
            assert (await ask("GET", address, login))[0] == 404
        finally:
            await session.close()
            serving.cancel()
            await asyncio.gather(serving, *call.tasks, return_exceptions=True)
