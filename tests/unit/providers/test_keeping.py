"""How connections are kept: keep-alive, probes, replacement, pools that mend themselves, resumed sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.audio import ULAW_8K
from gateway.errors import ProviderError
from gateway.providers.contract import NO_BRIEF, Failed, ModelInfo, Speech, SpeechDone, Transcript
from gateway.providers.dialect import (
    Done,
    Flushed,
    Heard,
    Life,
    Opening,
    Ready,
    RealtimeDialect,
    Resumable,
    Retire,
    Sound,
    SttDialect,
    TtsDialect,
    Wire,
)
from gateway.providers.sessions.base import Work
from gateway.providers.sessions.http import Http
from gateway.providers.sessions.link import Limits
from gateway.providers.sessions.pool import Pool
from gateway.providers.sessions.realtime import RealtimeSocket
from gateway.providers.sessions.shared import Shared
from gateway.providers.sessions.stt import SttSocket
from gateway.providers.sessions.tts import TtsSocket
from gateway.units import MS, SECOND, Nanos, Samples
from tests.played.stage import Message, Script, Stage, staged

LIMIT = 5.0


class Heardlist(list[Any]):
    def last(self, kind: type) -> Any:
        return next((one for one in reversed(self) if isinstance(one, kind)), None)


async def until(true: Any) -> None:
    async with asyncio.timeout(LIMIT):
        while not true():
            await asyncio.sleep(0.005)


class Plain(Script):
    """Answers each word with itself."""

    async def on_message(self, message: Message) -> None:
        if isinstance(message, str) and message != "alive":
            await self.say([message])


class Deaf(Plain):
    async def run(self, socket: Any) -> None:
        """Shakes hands, and reads nothing any more."""
        self.socket = socket
        assert self.request.transport is not None
        self.request.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(LIMIT)


@asynccontextmanager
async def shared(script: type[Script], ping_ms: int = 5000) -> AsyncIterator[tuple[Shared, Stage, str]]:
    async with staged(script) as (stage, at):
        limits = Limits(Nanos(2 * SECOND), Nanos(ping_ms * MS), Nanos(ping_ms * MS))
        given = Shared("tested", limits, Http("tested", connect=Nanos(SECOND)), Work())
        try:
            yield given, stage, f"ws://{at}/"
        finally:
            await given.work.close()
            await given.http.close()


def listening(url: str, kept: Life) -> type[SttDialect]:
    class Listening(SttDialect):
        life = kept
        hears = ULAW_8K
        model = ModelInfo("ear", "")

        def opening(self) -> Opening:
            return Opening(url)

        def end(self) -> Iterable[Wire]:
            return ("end",)

        def keep_alive(self) -> Iterable[Wire]:
            return ("alive",)

        def decode(self, message: Wire) -> Iterator[Any]:
            yield Heard("yes", final=True)
            yield Flushed()

    return Listening


def speaking(url: str, kept: Life = Life(), at_once: int = 1) -> type[TtsDialect]:  # noqa: B008
    class Speaking(TtsDialect):
        life = kept
        contexts = at_once
        speaks = ULAW_8K
        model = ModelInfo("voice", "")

        def opening(self) -> Opening:
            return Opening(url)

        def speak(self, context: str, text: str) -> Iterable[Wire]:
            return (f"{context} {text}",)

        def decode(self, message: Wire) -> Iterator[Any]:
            context = str(message).partition(" ")[0] if self.contexts > 1 else ""
            yield Sound(b"\xff" * 160, context)
            yield Done(context=context)

    return Speaking


def stt(given: Shared, url: str, kept: Life, heard: Heardlist) -> SttSocket:
    return SttSocket(given, listening(url, kept), heard.append, rate=8000, timeout=Nanos(SECOND))


async def test_an_address_that_is_none_is_not_told_with_what_it_may_hold() -> None:
    async with shared(Plain) as (given, _, _):
        session = stt(given, "https://provider.example/?token=secret", Life(), Heardlist())
        with pytest.raises(ProviderError, match="cannot connect: its address is none") as caught:
            await session.open()
        assert "secret" not in repr(caught.value)


# --- keep-alive and probes --------------------------------------------------------------------------------------------


async def test_a_silent_connection_is_kept_alive_and_a_busy_one_left_alone() -> None:
    async with shared(Plain) as (given, stage, url):
        session = stt(given, url, Life(keep_alive=Nanos(40 * MS)), Heardlist())
        await session.open()
        await until(lambda: stage.received.count("alive") >= 2)
        session.close()


async def test_where_audio_must_flow_silence_is_sent_as_long_as_none_comes() -> None:
    async with shared(Plain) as (given, stage, url):
        session = stt(given, url, Life(flows=True), Heardlist())
        await session.open()
        await until(lambda: stage.received)
        assert stage.received[0] == b"\xff" * 4000
        session.close()


async def test_a_server_that_no_longer_answers_is_found_out() -> None:
    heard = Heardlist()
    async with shared(Deaf, 100) as (given, _, url):
        session = stt(given, url, Life(), heard)
        await session.open()
        await until(lambda: heard)
        assert isinstance(heard[0], Failed)
        assert (heard[0].request, heard[0].error.transient) == (None, True)


# --- replacement ------------------------------------------------------------------------------------------------------


async def test_a_connection_is_replaced_between_two_turns_and_not_in_one() -> None:
    heard = Heardlist()
    async with shared(Plain) as (given, stage, url):
        session = stt(given, url, Life(longest=Nanos(100 * MS)), heard)
        await session.open()
        session.begin_turn(1, Samples(0))
        await until(lambda: session._link.retiring)
        assert stage.connections == 1
        session.end_turn(1, Samples(0))
        await until(lambda: stage.connections >= 2 and session._replacing is None)
        session.begin_turn(2, Samples(0))
        session.end_turn(2, Samples(0))
        await until(lambda: [one.turn for one in heard if isinstance(one, Transcript) and one.final] == [1, 2])
        assert not heard.last(Failed)
        session.close()


async def test_a_voice_that_was_lost_while_it_was_idle_is_replaced_and_nobody_is_told() -> None:
    heard = Heardlist()
    async with shared(Plain) as (given, stage, url):
        pool = Pool(given, speaking(url))
        session = TtsSocket(pool, heard.append, Nanos(SECOND))
        await session.open()
        stage.scripts[0].drop()
        await until(lambda: stage.connections == 2)
        session.speak(1, "hello")
        await until(lambda: heard.last(SpeechDone))
        assert not heard.last(Failed)
        session.close()
        await pool.close()


async def test_a_voice_is_replaced_before_its_limit_and_the_sentence_at_work_is_finished_first() -> None:
    heard = Heardlist()
    async with shared(Plain) as (given, stage, url):
        pool = Pool(given, speaking(url, Life(longest=Nanos(100 * MS))))
        session = TtsSocket(pool, heard.append, Nanos(SECOND))
        await session.open()
        await until(lambda: stage.connections >= 2)
        session.speak(1, "hello")
        await until(lambda: heard.last(SpeechDone))
        assert not heard.last(Failed)
        session.close()
        await pool.close()


async def test_calls_share_the_contexts_of_a_connection() -> None:
    async with shared(Plain) as (given, stage, url):
        pool = Pool(given, speaking(url, at_once=2))
        sessions = []
        for _ in range(4):
            session = TtsSocket(pool, (heard := Heardlist()).append, Nanos(SECOND))
            await session.open()
            sessions.append((session, heard))
        assert stage.connections == 2
        for number, (session, _) in enumerate(sessions):
            session.speak(number, "hello")
        await until(lambda: all(heard.last(SpeechDone) for _, heard in sessions))
        for session, _ in sessions:
            session.close()
        await pool.close()


# --- realtime ---------------------------------------------------------------------------------------------------------


class Conversation(Plain):
    def greeting(self) -> Iterable[Message]:
        yield "ready"


def conversing(url: str, resumed: list[str]) -> Any:
    class Conversing(RealtimeDialect):
        life = Life(greeted=True)
        hears = speaks = ULAW_8K
        model = ModelInfo("both", "")
        brief = NO_BRIEF
        handle = ""

        def opening(self) -> Opening:
            if self.handle:
                resumed.append(self.handle)
            return Opening(url)

        def resume(self, handle: str) -> bool:
            self.handle = handle
            return True

        def decode(self, message: Wire) -> Iterator[Any]:
            if message == "ready":
                yield Ready()
                yield Resumable("h1")
            elif message == "retire":
                yield Retire()
            elif message == "sound":
                yield Sound(b"\xff" * 160)
            elif message == "done":
                yield Done()

    return Conversing


async def test_a_session_that_is_lost_in_a_pause_is_taken_up_again() -> None:
    heard, resumed = Heardlist(), list[str]()
    async with shared(Conversation) as (given, stage, url):
        session = RealtimeSocket(given, conversing(url, resumed), heard.append, rate=8000)
        await session.open()
        stage.scripts[0].drop()
        await until(lambda: stage.connections == 2 and not session._resuming)
        assert "h1" in resumed
        session.audio(bytes(320), Samples(0), 0)
        await until(lambda: any(isinstance(message, bytes) for message in stage.received))
        assert heard == []
        session.close()


class Hesitant(Conversation):
    """Lets nobody in a second time before it is told to."""

    let_in: asyncio.Event

    async def run(self, socket: Any) -> None:
        if self.stage.connections > 1:
            await self.let_in.wait()
        await super().run(socket)


async def test_what_is_said_while_a_lost_session_is_taken_up_is_heard_then() -> None:
    heard = Heardlist()
    Hesitant.let_in = asyncio.Event()
    async with shared(Hesitant) as (given, stage, url):
        session = RealtimeSocket(given, conversing(url, []), heard.append, rate=8000)
        await session.open()
        stage.scripts[0].drop()
        await until(lambda: stage.connections == 2)
        for _ in range(5):
            session.audio(bytes(320), Samples(0), 0)
        Hesitant.let_in.set()
        await until(lambda: sum(isinstance(message, bytes) for message in stage.received) == 5)
        assert heard == []
        session.close()


async def test_a_connection_that_ends_while_its_successor_is_made_is_no_loss() -> None:
    heard = Heardlist()
    Hesitant.let_in = asyncio.Event()
    async with shared(Hesitant) as (given, stage, url):
        session = RealtimeSocket(given, conversing(url, []), heard.append, rate=8000)
        await session.open()
        await stage.scripts[0].say(["retire"])
        await until(lambda: stage.connections == 2)
        stage.scripts[0].drop()
        await until(lambda: not session._link.alive)
        Hesitant.let_in.set()
        await until(lambda: session._link.alive)
        assert heard == []
        session.close()


async def test_a_model_that_speaks_while_its_successor_is_made_is_let_finish() -> None:
    heard = Heardlist()
    Hesitant.let_in = asyncio.Event()
    async with shared(Hesitant) as (given, stage, url):
        session = RealtimeSocket(given, conversing(url, []), heard.append, rate=8000)
        await session.open()
        first = stage.scripts[0]
        await first.say(["retire"])
        await until(lambda: stage.connections == 2)
        await first.say(["sound"])
        await until(lambda: heard.last(Speech))
        Hesitant.let_in.set()
        await until(lambda: not session._resuming)
        await first.say(["sound", "done"])
        await until(lambda: heard.last(SpeechDone))
        assert len([one for one in heard if isinstance(one, Speech)]) == 2
        await until(lambda: stage.connections == 3)
        session.close()


async def test_a_session_that_is_lost_again_and_again_is_given_up() -> None:
    heard = Heardlist()
    async with shared(Conversation) as (given, stage, url):
        session = RealtimeSocket(given, conversing(url, []), heard.append, rate=8000)
        await session.open()
        async with asyncio.timeout(LIMIT):
            while not heard:
                stage.scripts[-1].drop()
                await asyncio.sleep(0.02)
        assert isinstance(heard[0], Failed)
        assert stage.connections <= 5
