"""The embedded models behind our own provider: what a caller says comes back as words, answers as speech."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import soxr
import structlog
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.errors import ProviderError, ResourceError
from gateway.models import tts as tts_module
from gateway.models.espeak import Espeak
from gateway.models.options import ModelsOptions
from gateway.models.server import Server
from gateway.models.sphinx import Decoder
from gateway.providers.contract import Failed, Generated, Message, Speech, SpeechDone, Token, Transcript, Word, Words
from gateway.providers.native import SPEC, NativeProvider
from gateway.units import MS, SECOND, Samples

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "plug-protocol.schema.json").read_text())
RNG = np.random.default_rng(1)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server(ModelsOptions(port=0, stt_threads=1, stt_decoders=1))
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def provider(server: Server) -> AsyncIterator[NativeProvider]:
    made = SPEC.create("embedded", SPEC.options.model_validate({"url": server.url}))
    assert isinstance(made, NativeProvider)
    await made.start()
    yield made
    await made.close()


class Call:
    """One caller: what they say, spoken by the TTS, sent through G.711's band with line noise."""

    def __init__(self, provider: NativeProvider) -> None:
        self.results: asyncio.Queue[Any] = asyncio.Queue()
        self.provider = provider
        self.words: tuple[Word, ...] = ()
        """As the voice told them."""
        self.clock = 0
        self.turn = 0

    async def open(self) -> None:
        self.stt = await self.provider.open_stt(self.results.put_nowait, rate=16000, language="en-US")
        self.tts = await self.provider.open_tts(self.results.put_nowait, rate=8000, language="en")

    async def speech(self, text: str) -> np.ndarray[Any, np.dtype[np.int16]]:
        self.tts.speak(1, text)
        pcm = b""
        while not isinstance(result := await self.results.get(), SpeechDone):
            if isinstance(result, Words):
                self.words += result.words
            else:
                assert isinstance(result, Speech), result
                pcm += result.audio
        return np.frombuffer(pcm, np.int16)

    def send(self, samples: np.ndarray[Any, Any]) -> None:
        noisy = samples.astype(float) * 0.6 + RNG.normal(0, 3, len(samples))
        wide = soxr.resample(noisy.clip(-32768, 32767).astype(np.int16), 8000, 16000).astype(np.int16).tobytes()
        for at in range(0, len(wide) - 639, 640):
            self.stt.audio(wide[at : at + 640], Samples(self.clock), 0)
            self.clock += 160

    async def say(self, samples: np.ndarray[Any, Any]) -> Transcript:
        """A turn as the gateway frames it: begun 60 ms into the speech, ended after a hangover."""
        self.turn += 1
        self.send(np.zeros(3200, np.int16))
        self.send(samples[:480])
        self.stt.begin_turn(self.turn, Samples(self.clock - 480))
        self.send(np.concatenate([samples[480:], np.zeros(1600, np.int16)]))
        self.stt.end_turn(self.turn, Samples(self.clock))
        result = await self.results.get()
        assert isinstance(result, Transcript), result
        return result


async def test_every_example_is_understood(server: Server, provider: NativeProvider) -> None:
    dialogue = server.models.dialogue
    call = Call(provider)
    await call.open()
    wrong = []
    for text in dialogue.script.examples:
        heard = await call.say(await call.speech(text))
        assert heard.final
        assert heard.elapsed is not None
        if dialogue.understand(heard.text) != dialogue.understand(text):
            wrong.append((text, heard.text))
    assert wrong == []
    assert call.stt.dropped == 0


async def test_noise_is_not_speech_and_foreign_speech_is_not_understood(provider: NativeProvider) -> None:
    call = Call(provider)
    await call.open()
    noise = await call.say(RNG.normal(0, 400, 8000))
    assert (noise.text, noise.understood) == ("", True)
    foreign = await call.say(await call.speech("the weather in london is terrible today and the trains are late"))
    assert (foreign.text, foreign.understood) == ("", False)
    again = await call.say(await call.speech("yes please"))
    assert again.text == "yes please"


@pytest.mark.parametrize("dbfs", [-45, -41, -33, -26, -20])
async def test_a_burst_of_noise_is_no_word(provider: NativeProvider, dbfs: int) -> None:
    call = Call(provider)
    await call.open()
    heard = [
        await call.say(RNG.normal(0, 32768 * 10 ** (dbfs / 20), 8 * ms))
        for ms in (100, 200, 300, 400, 500, 1000, 2000)
        for _ in range(2)
    ]
    assert {(each.text, each.understood) for each in heard} == {("", True)}


async def test_a_turn_that_ended_has_its_final_though_the_caller_goes_on(provider: NativeProvider) -> None:
    call = Call(provider)
    await call.open()
    words = await call.speech("yes please")
    for turn in (1, 2):
        call.stt.begin_turn(turn, Samples(call.clock))
        call.send(np.concatenate([words, np.zeros(4800, np.int16)]))  # longer than the pre-roll of the next
        call.stt.end_turn(turn, Samples(call.clock))
    call.stt.begin_turn(3, Samples(call.clock))
    async with asyncio.timeout(5):
        finals = [await call.results.get(), await call.results.get()]
    assert [(final.turn, final.text) for final in finals] == [(1, "yes please"), (2, "yes please")]


async def test_a_turn_that_fails_is_an_error_of_its_own(
    server: Server, provider: NativeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = Call(provider)
    await call.open()
    words = await call.speech("yes please")
    with monkeypatch.context() as patch, structlog.testing.capture_logs() as logs:
        patch.setattr(Decoder, "process", lambda *_: 1 / 0)
        call.stt.begin_turn(1, Samples(0))
        call.send(words)
        async with asyncio.timeout(5):
            failed = await call.results.get()
        call.stt.end_turn(1, Samples(call.clock))
    assert isinstance(failed, Failed)
    assert (failed.request, failed.error.transient) == (1, True)
    assert [line["event"] for line in logs] == ["stt.failed"]
    call.turn = 1
    assert (await call.say(words)).text == "yes please"


@pytest.mark.parametrize("broken", ["speak", "push"])
async def test_a_sentence_that_fails_is_an_error_of_its_own(
    provider: NativeProvider, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    results: asyncio.Queue[Any] = asyncio.Queue()
    tts = await provider.open_tts(results.put_nowait, rate=8000, language="en")
    with monkeypatch.context() as patch, structlog.testing.capture_logs() as logs:
        patch.setattr(Espeak if broken == "speak" else tts_module._Shaper, broken, lambda *_, **__: 1 / 0)
        tts.speak(1, "no")
        async with asyncio.timeout(5):
            failed = await results.get()
    assert isinstance(failed, Failed)
    assert (failed.request, failed.error.transient) == (1, True)
    assert [line["event"] for line in logs] == ["tts.failed"]
    tts.speak(2, "yes")
    async with asyncio.timeout(5):
        assert isinstance(await results.get(), Speech)


async def test_a_cancelled_turn_has_no_final_and_the_next_has(provider: NativeProvider) -> None:
    call = Call(provider)
    await call.open()
    words = await call.speech("yes please")
    call.stt.begin_turn(1, Samples(0))
    call.send(words)
    call.stt.cancel_turn(1)
    call.turn = 1
    assert (await call.say(words)).turn == 2


async def test_tokens_speech_and_hang_up(provider: NativeProvider) -> None:
    results: asyncio.Queue[Any] = asyncio.Queue()
    llm = await provider.open_llm(results.put_nowait)
    llm.generate(1, [Message("user", "goodbye")])
    tokens = []
    while isinstance(result := await results.get(), Token):
        tokens.append(result)
    assert result == Generated(1, hang_up=True)
    assert len(tokens) > 3
    assert tokens[0].elapsed is not None


async def test_speech_starts_with_sound_and_a_repeated_sentence_is_the_same(provider: NativeProvider) -> None:
    call = Call(provider)
    await call.open()
    first, second = await call.speech("Anything else?"), await call.speech("Anything else?")
    assert np.array_equal(first, second)
    assert np.abs(first[:160].astype(int)).max() > 200
    assert 4000 < len(first) < 16000


async def test_the_voice_tells_when_each_word_is_spoken(provider: NativeProvider) -> None:
    call = Call(provider)
    await call.open()
    text = "At 9 a.m., or Luigi's number 25?"
    samples = await call.speech(text)
    told, call.words = call.words, ()
    assert "".join("".join(word.text for word in told).split()) == "".join(text.split())
    assert [word.start for word in told[1:]] == [word.end for word in told[:-1]]
    assert told[0].start == 0
    assert told[-1].end == pytest.approx(len(samples) * SECOND / 8000, abs=20 * MS)
    await call.speech(text)  # from the cache
    assert call.words == told


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
async def test_speech_lasts_as_long_at_every_rate(provider: NativeProvider, rate: int) -> None:
    results: asyncio.Queue[Any] = asyncio.Queue()
    tts = await provider.open_tts(results.put_nowait, rate=rate, language="en")
    tts.speak(1, "One pizza.")
    size = 0
    while not isinstance(result := await results.get(), SpeechDone):
        if isinstance(result, Speech):
            assert result.rate == rate
            size += len(result.audio)
    assert size / rate / 2 == pytest.approx(0.75, abs=0.15)


async def test_sessions_that_cannot_be_are_refused_for_good(provider: NativeProvider) -> None:
    for opening in (
        provider.open_stt(print, rate=8000, language="en"),
        provider.open_stt(print, rate=16000, language="de"),
        provider.open_tts(print, rate=11025, language="en"),
    ):
        with pytest.raises(ProviderError) as caught:
            await opening
        assert not caught.value.transient


async def test_a_sentence_too_long_is_refused_and_the_next_is_spoken(provider: NativeProvider) -> None:
    results: asyncio.Queue[Any] = asyncio.Queue()
    tts = await provider.open_tts(results.put_nowait, rate=8000, language="en")
    tts.speak(1, "x" * 5000)
    failed = await results.get()
    assert isinstance(failed, Failed)
    assert (failed.request, failed.error.transient) == (1, False)
    tts.speak(2, "yes")
    assert isinstance(await results.get(), Speech)


async def test_a_hundred_callers_echo_without_a_loss(provider: NativeProvider) -> None:
    heard: list[list[bytes]] = [[] for _ in range(100)]
    complete = asyncio.Event()

    def listener(mine: list[bytes]) -> Any:
        def take(result: object) -> None:
            assert isinstance(result, Speech)
            mine.append(result.audio)
            if all(len(each) == 20 for each in heard):
                complete.set()

        return take

    sessions = [await provider.open_realtime(listener(mine), rate=8000) for mine in heard]
    for n in range(20):
        for number, session in enumerate(sessions):
            session.audio(bytes([number, n]) * 160, Samples(160 * n), 0)
    async with asyncio.timeout(5):
        await complete.wait()
    assert all(mine == [bytes([number, n]) * 160 for n in range(20)] for number, mine in enumerate(heard))
    assert [session.dropped for session in sessions] == [0] * 100


# --- the wire ---------------------------------------------------------------------------------------------------------


async def test_everything_the_server_says_fits_the_schema(server: Server) -> None:
    async with connect(server.url, subprotocols=["linecard.plug.v1"], compression=None) as socket:  # type: ignore[list-item]
        seen: list[dict[str, Any]] = []

        async def read_until(kind: str) -> None:
            while not seen or seen[-1]["type"] != kind:
                message = await asyncio.wait_for(socket.recv(), 5)
                if isinstance(message, str):
                    seen.append(json.loads(message))

        async def say(kind: str, **fields: object) -> None:
            await socket.send(json.dumps({"type": kind, **fields}))

        await read_until("hello")
        for number, role in enumerate(("stt", "llm", "tts", "realtime"), 1):
            await say("open", stream=number, role=role, rate=16000, credit=10**6)
            await read_until("opened")
        await say("begin", stream=1, request=1, at=0)
        await say("end", stream=1, request=1, at=0)
        await read_until("transcript")
        await say("generate", stream=2, request=1, messages=[])
        await read_until("done")
        await say("speak", stream=3, request=1, text="hello")
        await read_until("started")
        await say("mark", stream=3, mark=5)
        await read_until("marked")
        await say("open", stream=9, role="psychic", credit=0)
        await read_until("error")
        await say("close", stream=3)
        await read_until("closed")
        for message in seen:
            jsonschema.validate(message, SCHEMA)


async def test_audio_waits_for_credit(server: Server) -> None:
    async with connect(server.url, subprotocols=["linecard.plug.v1"], compression=None) as socket:  # type: ignore[list-item]
        await socket.recv()
        await socket.send('{"type":"open","stream":1,"role":"tts","rate":8000,"credit":2000}')
        await socket.send('{"type":"speak","stream":1,"request":1,"text":"good morning everybody"}')
        got = 0
        with contextlib.suppress(TimeoutError):
            while True:
                message = await asyncio.wait_for(socket.recv(), 0.3)
                got += len(message) - 24 if isinstance(message, bytes) else 0
        assert got == 2000
        await socket.send('{"type":"credit","stream":1,"bytes":1000000}')
        while True:
            message = await asyncio.wait_for(socket.recv(), 5)
            if isinstance(message, str) and json.loads(message)["type"] == "done":
                break


async def test_a_gateway_that_floods_loses_its_stream_only(server: Server) -> None:
    async with connect(server.url, subprotocols=["linecard.plug.v1"], compression=None) as socket:  # type: ignore[list-item]
        await socket.recv()
        for number in (1, 2):
            await socket.send(f'{{"type":"open","stream":{number},"role":"stt","rate":16000,"credit":0}}')
            await socket.recv()
        await socket.send('{"type":"begin","stream":1,"request":1,"at":0}')
        for n in range(5):
            await socket.send(b"\0\0\0\1" + n.to_bytes(4, "big") + bytes(16) + bytes(60000))
        messages = [json.loads(await asyncio.wait_for(socket.recv(), 5))]
        while messages[-1]["type"] != "error":
            messages.append(json.loads(await asyncio.wait_for(socket.recv(), 5)))
        assert (messages[-1]["code"], messages[-1]["stream"]) == ("flow_violation", 1)
        await socket.send('{"type":"mark","stream":2,"mark":1}')
        assert json.loads(await asyncio.wait_for(socket.recv(), 5))["type"] == "marked"


@pytest.mark.parametrize(
    "nonsense",
    [
        "%%%",
        b"short",
        r'{"type":"speak","stream":1,"request":1,"text":"\ud800"}',
        '{"type":"open","stream":0,"role":"stt","credit":1}',
        '{"type":"open"}',
    ],
)
async def test_nonsense_ends_the_connection_and_not_the_server(server: Server, nonsense: str | bytes) -> None:
    async with connect(server.url, subprotocols=["linecard.plug.v1"]) as socket:  # type: ignore[list-item]
        await socket.recv()
        await socket.send(nonsense)
        with pytest.raises(ConnectionClosed) as caught:
            await asyncio.wait_for(socket.recv(), 5)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1008
    async with connect(server.url, subprotocols=["linecard.plug.v1"]) as socket:  # type: ignore[list-item]
        await socket.recv()


async def test_a_client_of_another_protocol_is_refused(server: Server) -> None:
    with pytest.raises(InvalidStatus):
        async with connect(server.url, subprotocols=["other.v9"]):  # type: ignore[list-item]
            pass


async def test_the_token_is_checked() -> None:
    server = Server(ModelsOptions(port=0, stt_threads=1, stt_decoders=1, token="secret"))
    await server.start()
    try:
        for token, good in (("secret", True), ("wrong", False)):
            provider = SPEC.create("x", SPEC.options.model_validate({"url": server.url, "token": token}))
            await provider.start()
            if good:
                (await provider.open_llm(print)).close()
            else:
                with pytest.raises(ProviderError, match="401"):
                    await provider.open_llm(print)
            await provider.close()
    finally:
        await server.close()


async def test_a_port_in_use_is_one_clear_error(server: Server) -> None:
    port = int(server.url.rsplit(":", 1)[1].strip("/"))
    with pytest.raises(ResourceError, match=f"{port}"):
        await Server(ModelsOptions(port=port)).start()


async def test_the_process_says_when_it_is_ready_and_ends_on_sigterm() -> None:
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "gateway.cli", "models", "--port", "0")
    # asyncio's debug mode would warn of slow callbacks on the same output, perhaps in the first line.
    quiet = os.environ | {"PYTHONASYNCIODEBUG": ""}
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=quiet)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            line = await process.stdout.readline()
            assert line, (await process.communicate())[1].decode()
            ready = json.loads(line)
            assert ready["event"] == "models.ready", ready
            assert ready["url"].startswith("ws://127.0.0.1:")
            process.send_signal(signal.SIGTERM)
            _, errors = await process.communicate()
        assert (process.returncode, errors.decode()) == (0, "")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
