"""What the native provider owes the house, whatever its server does: sessions, credit, a connection that comes back.

The providers of the field are in ``test_providers.py``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import ProviderError
from gateway.providers.contract import (
    Failed,
    Generated,
    Message,
    Provider,
    ProviderSpec,
    Speech,
    SpeechDone,
    Token,
    Transcript,
)
from gateway.registry import PROVIDERS, load
from gateway.units import Samples

_spec = spec_from_file_location("contract_peers", Path(__file__).with_name("peers.py"))
assert _spec is not None
assert _spec.loader is not None
peers: Any = module_from_spec(_spec)
_spec.loader.exec_module(peers)
Fault = peers.Fault

KINDS = sorted(peers.PEERS)
LIMIT = 5.0
FRAME = bytes(640)


class Heard(list[Any]):
    """A listener that can be waited on."""

    def __init__(self) -> None:
        super().__init__()
        self._came = asyncio.Event()

    def __call__(self, result: object) -> None:
        self.append(result)
        self._came.set()

    async def until(self, *kinds: type) -> Any:
        """The first result of a kind."""
        async with asyncio.timeout(LIMIT):
            while not any(isinstance(result, kinds) for result in self):
                self._came.clear()
                await self._came.wait()
        return next(result for result in self if isinstance(result, kinds))


@asynccontextmanager
async def provider(kind: str, fault: Any) -> AsyncIterator[Provider]:
    async with peers.PEERS[kind](fault) as block:
        made = create(kind, block)
        await made.start()
        try:
            yield made
        finally:
            await made.close()


def create(kind: str, block: dict[str, Any]) -> Provider:
    spec = load(PROVIDERS, kind)
    assert isinstance(spec, ProviderSpec)
    return spec.create("tested", spec.options.model_validate(block))


def speak_turn(stt: Any, turn: int = 1, frames: int = 10) -> None:
    stt.begin_turn(turn, Samples(0))
    for n in range(frames):
        stt.audio(FRAME, Samples(160 * n), 1)
    stt.end_turn(turn, Samples(160 * frames))


Ask = Callable[[Provider, Heard], Awaitable[Any]]


async def ask_stt(made: Provider, heard: Heard) -> Any:
    session = await made.open_stt(heard, rate=16000, language="en")
    speak_turn(session)
    return session


async def ask_llm(made: Provider, heard: Heard) -> Any:
    session = await made.open_llm(heard)
    session.generate(1, [Message("user", "goodbye")])
    return session


async def ask_tts(made: Provider, heard: Heard) -> Any:
    session = await made.open_tts(heard, rate=16000, language="en")
    session.speak(1, "one two three")
    return session


ROLES = pytest.mark.parametrize("ask", [ask_stt, ask_llm, ask_tts], ids=["stt", "llm", "tts"])
every = pytest.mark.parametrize("kind", KINDS)


# --- replay -----------------------------------------------------------------------------------------------------------


@every
async def test_a_turn_has_exactly_one_final(kind: str) -> None:
    heard = Heard()
    async with provider(kind, Fault.NONE) as made:
        session = await ask_stt(made, heard)
        final = await heard.until(Transcript)
        assert (final.turn, final.final, final.text, final.understood) == (1, True, "6400 bytes", True)
        assert final.elapsed is not None
        speak_turn(session, turn=2, frames=0)
        async with asyncio.timeout(LIMIT):
            while len(heard) < 2:
                await asyncio.sleep(0.005)
        assert (heard[1].turn, heard[1].text, heard[1].understood) == (2, "", True)


@every
async def test_tokens_come_in_order_and_the_first_says_how_long_it_took(kind: str) -> None:
    heard = Heard()
    async with provider(kind, Fault.NONE) as made:
        await ask_llm(made, heard)
        assert await heard.until(Generated) == Generated(1, cancelled=False, hang_up=True)
        tokens = heard[:-1]
    assert "".join(token.text for token in tokens) == "You said: goodbye"
    assert tokens[0].elapsed == 5000
    assert all(token.elapsed is None for token in tokens[1:])


@every
async def test_speech_comes_whole_in_order_and_at_the_rate(kind: str) -> None:
    heard = Heard()
    async with provider(kind, Fault.NONE) as made:
        session = await ask_tts(made, heard)
        session.speak(2, "four")
        async with asyncio.timeout(LIMIT):
            while sum(isinstance(result, SpeechDone) for result in heard) < 2:
                await asyncio.sleep(0.005)
    bursts = [result for result in heard if isinstance(result, Speech)]
    assert {burst.rate for burst in bursts} == {16000}
    assert [burst.request for burst in bursts] == sorted(burst.request for burst in bursts)
    assert sum(len(burst.audio) for burst in bursts) == 1600 * (len("one two three") + len("four"))
    assert [burst.elapsed is not None for burst in bursts].count(True) == 2


@every
async def test_the_model_is_reported(kind: str) -> None:
    async with provider(kind, Fault.NONE) as made:
        session = await made.open_llm(Heard())
        assert (session.model.name, session.model.version) == ("acme-llm", "7")


@every
async def test_a_realtime_model_hears_and_speaks(kind: str) -> None:
    heard = Heard()
    async with provider(kind, Fault.NONE) as made:
        session = await made.open_realtime(heard, rate=16000)
        session.audio(b"ab" * 320, Samples(0), 0)
        speech = await heard.until(Speech)
        assert (speech.request, speech.audio, speech.rate) == (0, b"ab" * 320, 16000)
        session.interrupted(20)
        session.close()


@every
async def test_a_slow_server_is_waited_for(kind: str) -> None:
    heard = Heard()
    async with provider(kind, Fault.SLOW) as made:
        await ask_llm(made, heard)
        assert not (await heard.until(Generated)).cancelled


# --- cancel -----------------------------------------------------------------------------------------------------------


@every
async def test_cancel_in_mid_speech_is_acknowledged_and_nothing_follows(kind: str) -> None:
    heard = Heard()
    async with provider(kind, Fault.NONE) as made:
        session = await made.open_tts(heard, rate=16000, language="en")
        session.speak(1, "x" * 2000)  # far more than the window
        await heard.until(Speech)
        session.cancel(1)
        count = len(heard)
        assert await heard.until(SpeechDone) == SpeechDone(1, cancelled=True)
        assert heard[count:] == [SpeechDone(1, cancelled=True)]
        session.speak(2, "ok")
        await asyncio.sleep(0)
        async with asyncio.timeout(LIMIT):
            while heard[-1] != SpeechDone(2):
                await asyncio.sleep(0.005)


@every
async def test_cancelling_what_has_ended_does_nothing(kind: str) -> None:
    heard = Heard()
    async with provider(kind, Fault.NONE) as made:
        session = await ask_llm(made, heard)
        await heard.until(Generated)
        session.cancel(1)
        session.generate(2, [Message("user", "hi")])
        async with asyncio.timeout(LIMIT):
            while heard[-1] != Generated(2):
                await asyncio.sleep(0.005)
        assert [result for result in heard if isinstance(result, Generated)] == [
            Generated(1, hang_up=True),
            Generated(2),
        ]


@every
async def test_a_closed_session_is_silent(kind: str) -> None:
    heard = Heard()
    async with provider(kind, Fault.SLOW) as made:
        session = await ask_llm(made, heard)
        session.close()
        session.close()
        other = Heard()
        await ask_llm(made, other)
        await other.until(Generated)
    assert heard == []


# --- faults -----------------------------------------------------------------------------------------------------------


async def failure(kind: str, fault: Any, ask: Ask) -> tuple[Failed, list[Any]]:
    heard = Heard()
    async with provider(kind, fault) as made:
        await ask(made, heard)
        failed = await heard.until(Failed)
        await asyncio.sleep(0.02)
        results = list(heard)
    assert sum(isinstance(result, Failed) for result in results) == 1
    assert results[-1] is failed
    return failed, results


@every
@ROLES
@pytest.mark.parametrize(
    "fault",
    [
        Fault.DROP,
        Fault.GARBAGE_TEXT,
        Fault.GARBAGE_FIELDS,
        Fault.GARBAGE_AUDIO,
        Fault.GARBAGE_FRAMES,
        Fault.SESSION_ERROR,
    ],
)
async def test_a_lost_session_is_told_once_and_is_transient(kind: str, ask: Ask, fault: Any) -> None:
    failed, _ = await failure(kind, fault, ask)
    assert failed.request is None
    assert failed.error.transient


@every
@ROLES
async def test_a_stalled_request_fails_and_the_session_lives(kind: str, ask: Ask) -> None:
    failed, _ = await failure(kind, Fault.STALL, ask)
    assert (failed.request, failed.error.transient) == (1, True)


@every
@pytest.mark.parametrize(("fault", "transient"), [(Fault.TRANSIENT, True), (Fault.PERMANENT, False)])
@ROLES
async def test_a_typed_error_ends_the_request(kind: str, ask: Ask, fault: Any, transient: bool) -> None:
    failed, _ = await failure(kind, fault, ask)
    assert (failed.request, failed.error.transient) == (1, transient)


@every
async def test_a_half_open_connection_is_found_out(kind: str) -> None:
    heard = Heard()
    async with provider(kind, Fault.HALF_OPEN) as made:
        session = await made.open_stt(heard, rate=16000, language="en")
        speak_turn(session)
        async with asyncio.timeout(LIMIT):
            while not any(isinstance(result, Failed) and result.request is None for result in heard):
                await asyncio.sleep(0.01)


@every
async def test_a_server_that_floods_loses_its_stream(kind: str) -> None:
    failed, heard = await failure(kind, Fault.FLOOD, ask_tts)
    assert (failed.request, failed.error.transient) == (None, False)
    assert sum(len(result.audio) for result in heard if isinstance(result, Speech)) <= 10 * 32000


@every
async def test_audio_beyond_the_servers_credit_is_left_out_and_counted(kind: str) -> None:
    heard = Heard()
    async with provider(kind, Fault.NONE) as made:
        session: Any = await made.open_stt(heard, rate=16000, language="en")
        session.begin_turn(1, Samples(0))
        for n in range(300):  # without a moment for credit to come back
            session.audio(FRAME, Samples(160 * n), 0)
        session.end_turn(1, Samples(160 * 300))
        assert (await heard.until(Transcript)).text == "128000 bytes"
        assert session.dropped == 100


@every
async def test_a_server_that_is_not_there_is_no_error_until_a_session_is_wanted(kind: str) -> None:
    made = create(kind, peers.ABSENT[kind]())
    await made.start()
    with pytest.raises(ProviderError) as caught:
        await made.open_llm(Heard())
    assert caught.value.transient
    await made.close()


@every
async def test_after_a_drop_it_comes_back_by_itself(kind: str) -> None:
    heard = Heard()
    async with provider(kind, Fault.DROP) as made:
        await ask_llm(made, heard)
        await heard.until(Failed)
        async with asyncio.timeout(LIMIT):
            while True:
                try:
                    session = await made.open_llm(Heard())
                    break
                except ProviderError:
                    await asyncio.sleep(0.01)
        session.close()


@every
async def test_a_listener_that_raises_harms_nobody_else(kind: str) -> None:
    loop, reports = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: reports.append(context))

    def broken(_: object) -> None:
        raise RuntimeError("a bug")

    heard = Heard()
    async with provider(kind, Fault.NONE) as made:
        bad = await made.open_llm(broken)
        bad.generate(1, [Message("user", "hi")])
        await ask_llm(made, heard)
        await heard.until(Generated)
    assert reports


@every
async def test_tokens_are_tokens(kind: str) -> None:
    heard = Heard()
    async with provider(kind, Fault.NONE) as made:
        await ask_llm(made, heard)
        assert isinstance(await heard.until(Token), Token)
