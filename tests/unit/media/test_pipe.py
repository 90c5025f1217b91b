"""A native realtime session over a real WebSocket, patched to a real leg: nothing lost, nothing twice, order kept."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from codecs_ext.g711 import ulaw_to_linear
from gateway.media.leg import PlaneLeg
from gateway.providers.contract import AnswerBegan, Failed, Interrupted, RealtimeResult, Speech
from gateway.providers.native import NativeOptions, NativeProvider
from gateway.providers.native_realtime import Realtime
from gateway.units import Nanos
from gateway.wire.messages import SUBPROTOCOL, Flags, decode, encode
from gateway.wire.socket import AudioMessage, WebSocket
from tests.unit.media.peer import Ear, Phone, phone_running, plane_running

LIMIT = 5.0
CREDIT = 1 << 40


def payload(number: int) -> bytes:
    """Quiet enough to be no speech, and told from its neighbours."""
    return bytes([0xF0 | number & 15, 0xF0 | number >> 4 & 15]) * 80


@dataclass
class Model:
    """The server's end: keeps what it hears, and says what it is told to."""

    credit: int = CREDIT
    heard: list[AudioMessage] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    socket: WebSocket = field(init=False)
    transport: asyncio.Transport = field(init=False)
    lost: str | None = None

    def __post_init__(self) -> None:
        self.socket = WebSocket(ServerProtocol(subprotocols=[Subprotocol(SUBPROTOCOL)]), self)

    def on_open(self) -> None:
        transport = self.socket._transport
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.say("hello", protocol=1, roles={"realtime": {}})

    def on_text(self, text: str) -> None:
        message = decode(text)
        self.told.append(message)
        if message["type"] == "open":
            self.say("opened", stream=message["stream"], model={"name": "m", "version": "1"}, credit=self.credit)
        self.changed.set()

    def on_audio(self, message: AudioMessage) -> None:
        self.heard.append(message)
        self.changed.set()

    def on_pong(self) -> None:
        """Not probed."""

    def on_lost(self, reason: str) -> None:
        self.lost = reason
        self.changed.set()

    @property
    def given(self) -> int:
        """Credit that has come back."""
        return sum(message["bytes"] for message in self.told if message["type"] == "credit")

    def say(self, kind: str, **fields: Any) -> None:
        self.socket.send_text(encode(kind, **fields))

    def speak(self, pcm: bytes, number: int = 0, stream: int = 1) -> None:
        self.socket.send_audio(stream, number, 0, 1, 0, pcm)

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT):
            while not done():
                self.changed.clear()
                await self.changed.wait()


@dataclass
class Plug:
    """What a patched session tells."""

    results: list[RealtimeResult] = field(default_factory=list)
    kept: list[bytes] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    flush: Callable[[], None] = lambda: None

    def __call__(self, result: RealtimeResult) -> None:
        self.results.append(result)
        if isinstance(result, Interrupted):
            self.flush()
        self.changed.set()

    def on_patched(self, session: Any) -> None:
        self._note("patched")

    def on_spoke(self, session: Any) -> None:
        self._note("spoke")

    def on_kept(self, session: Any, frames: Any) -> None:
        self.kept += [pcm for pcm, *_ in frames]

    def on_unpatched(self, session: Any) -> None:
        self._note("unpatched")

    def _note(self, event: str) -> None:
        self.events.append(event)
        self.changed.set()

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT):
            while not done():
                self.changed.clear()
                await self.changed.wait()


@dataclass
class Call:
    model: Model
    plug: Plug
    session: Realtime
    leg: PlaneLeg
    ear: Ear
    phone: Phone

    async def patched(self) -> None:
        self.session.patch(self.leg, self.plug)
        await self.plug.until(lambda: "patched" in self.plug.events)


@asynccontextmanager
async def call(*, credit: int = CREDIT, window: str = "30s", **plane_options: Any) -> AsyncIterator[Call]:
    models: list[Model] = []

    def accept() -> WebSocket:
        models.append(Model(credit=credit))
        return models[-1].socket

    server = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    provider = NativeProvider("m", NativeOptions(url=url, window=window, reconnect_min="10s", reconnect_max="10s"))
    plug, ear = Plug(), Ear()
    try:
        async with plane_running(**plane_options) as plane, phone_running() as phone:
            await provider.start()
            session = await provider.open_realtime(plug, rate=8000)
            leg = plane.open_leg(ear, uplink_rate=8000)
            leg.connect(phone.stream())
            yield Call(models[0], plug, session, leg, ear, phone)
            await provider.close()
    finally:
        await provider.close()
        server.close()
        for model in models:
            model.socket.abort("the test is over")
        await asyncio.sleep(0)


def long_way(call: Call) -> None:
    """Frames that come to the observer go to the session, as a plug does it."""

    def on_audio(pcm: bytes, media_time: int, arrival: int, flags: int) -> None:
        call.session.audio(pcm, media_time, flags)

    call.ear.on_audio = on_audio  # type: ignore[attr-defined]


async def test_frames_on_the_way_when_the_patch_begins_are_neither_lost_nor_doubled_nor_overtaken() -> None:
    async with call() as it:
        long_way(it)
        for number in range(120):
            it.phone.send(it.leg, payload(number))
            if number == 20:
                it.session.patch(it.leg, it.plug)
            await asyncio.sleep(0.001)
        await it.model.until(lambda: len(it.model.heard) >= 120)
        assert [message[-1] for message in it.model.heard] == [ulaw_to_linear(payload(number)) for number in range(120)]
        assert [message[1] for message in it.model.heard] == list(range(120))
        assert [message[2] for message in it.model.heard] == [160 * number for number in range(120)]
        assert it.plug.events == ["patched"]


async def test_what_the_model_says_is_played_and_its_credit_comes_back() -> None:
    async with call(window="1s") as it:
        await it.patched()
        it.session.straight = it.leg.play  # a burst finds the pool of blocks empty
        it.session.attend()
        it.phone.send(it.leg)
        for number in range(70):  # more than the window
            await it.model.until(lambda number=number: 16000 + it.model.given >= 320 * (number + 1))
            it.model.speak(struct.pack("<h", 100 * (number % 7)) * 160, number)
        await it.ear.wait("playout_started")
        await it.plug.until(lambda: bool(it.plug.results))
        assert [type(result) for result in it.plug.results] == [AnswerBegan]


async def test_a_flush_meets_the_audio_before_it_and_none_behind_it() -> None:
    async with call() as it:
        await it.patched()
        it.phone.send(it.leg)
        it.session.straight = it.leg.play
        it.plug.flush = lambda: it.leg.flush(1)
        for _ in range(50):
            it.model.speak(b"\x00\x20" * 160)
        it.model.say("interrupted", stream=1)
        it.model.speak(b"\x00\x30" * 160)
        (_, _, cut), (_, end) = await it.ear.wait("flushed"), await it.ear.wait("playout_idle")
        assert cut < 50 * 160
        assert end - cut == 160


async def test_text_and_audio_share_the_connection_both_ways() -> None:
    async with call() as it:
        await it.patched()
        for number in range(20):
            it.phone.send(it.leg, payload(number))
            it.session.interrupted(number)
        await it.model.until(lambda: len(it.model.heard) == 20 and len(it.model.told) >= 21)
        assert [message["played_ms"] for message in it.model.told[1:]] == list(range(20))


async def test_without_credit_frames_are_left_out_and_the_next_one_says_so() -> None:
    async with call(credit=320 * 3) as it:
        await it.patched()
        for number in range(6):
            it.phone.send(it.leg, payload(number))
        await it.model.until(lambda: len(it.model.heard) == 3)
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)
        it.model.say("credit", stream=1, bytes=CREDIT)
        it.model.say("transcript", stream=1, request=1, text="t", final=True)
        await it.plug.until(lambda: bool(it.plug.results))
        while len(it.model.heard) < 4:
            it.phone.send(it.leg, payload(6))
            await asyncio.sleep(0.01)
        assert it.model.heard[3][4] & Flags.GAP
        assert it.model.heard[3][1] == 3, "sequence numbers count what was sent"
        it.session.give_credit(0.25)
        assert it.session.dropped >= 3


async def test_a_patch_that_ends_gives_frames_back_to_the_observer_and_the_last_ones_to_who_must_repeat_them() -> None:
    async with call() as it:
        await it.patched()
        for number in range(10):
            it.phone.send(it.leg, payload(number))
        await it.model.until(lambda: len(it.model.heard) == 10)
        it.session.close()
        await it.plug.until(lambda: "unpatched" in it.plug.events)
        assert it.plug.kept == [ulaw_to_linear(payload(number)) for number in range(10)]
        it.phone.send(it.leg, payload(10))
        assert (await it.ear.wait("audio"))[0] == ulaw_to_linear(payload(10))


async def test_what_an_unanswered_caller_says_is_all_handed_up_if_it_is_to_be_kept() -> None:
    async with call() as it:
        await it.patched()
        it.session.keep(True)
        for number in range(100):
            it.phone.send(it.leg, payload(number))
            await asyncio.sleep(0.001)
        await it.model.until(lambda: len(it.model.heard) == 100)
        it.session.attend()
        it.model.speak(bytes(320))
        await it.plug.until(lambda: bool(it.plug.results))
        assert it.plug.kept == [ulaw_to_linear(payload(number)) for number in range(100)]


async def test_speech_is_told_once_when_it_is_watched_for() -> None:
    async with call() as it:
        await it.patched()
        it.session.watch(Nanos(0))
        for _ in range(20):
            it.phone.send(it.leg, b"\x10\x90" * 80)
        await it.plug.until(lambda: "spoke" in it.plug.events)
        await it.model.until(lambda: len(it.model.heard) == 20)
        assert it.plug.events.count("spoke") == 1


@pytest.mark.parametrize("cut", [0, 1, 3, 20, 200])
async def test_a_connection_that_breaks_in_a_frame_ends_session_and_patch_once(cut: int) -> None:
    async with call() as it:
        await it.patched()
        for number in range(5):
            it.phone.send(it.leg, payload(number))
        await it.model.until(lambda: len(it.model.heard) == 5)
        whole = it.model.socket._writer.audio(1, 0, 0, 1, 0, bytes(320))
        it.model.transport.write(whole + whole[:cut])
        it.model.transport.close()
        await it.plug.until(lambda: "unpatched" in it.plug.events and bool(it.plug.results))
        assert [type(result) for result in it.plug.results] == [Failed]
        assert len(it.plug.kept) == 5
        it.phone.send(it.leg, payload(6))
        await it.ear.wait("audio")


@dataclass
class Bare:
    """A connection's owner without a WebSocket."""

    over: asyncio.Future[int] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def heard(self, data: bytes) -> None:
        """Not looked at."""

    def ended(self, error: int) -> None:
        self.over.set_result(error)


async def test_a_connection_may_end_before_the_transport_that_had_it_has_closed_its_own_descriptor() -> None:
    async with call() as it:
        await it.patched()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        owner = Bare()
        with ours.dup():
            it.leg._shard.pipe(ours.detach(), 4096, owner, b"", 0, False)
            theirs.close()
            assert await asyncio.wait_for(owner.over, LIMIT) == 0
            it.phone.send(it.leg, payload(0))
            await it.model.until(lambda: len(it.model.heard) == 1)


async def test_a_reset_is_a_lost_connection() -> None:
    async with call() as it:
        await it.patched()
        sock = it.model.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        it.model.transport.abort()
        await it.plug.until(lambda: bool(it.plug.results))
        assert isinstance(it.plug.results[0], Failed)


async def test_nonsense_closes_the_connection_with_the_code_of_the_protocol() -> None:
    async with call() as it:
        await it.patched()
        it.model.socket.send_text("[]")
        await it.model.until(lambda: it.model.lost is not None)
        assert it.model.socket.close_code == 1008
        await it.plug.until(lambda: bool(it.plug.results))


async def test_a_leg_that_ends_leaves_the_connection_to_the_others() -> None:
    async with call() as it:
        await it.patched()
        it.leg.close()
        await it.ear.wait("closed")
        it.model.speak(bytes(320))
        await it.plug.until(lambda: bool(it.plug.results))
        assert isinstance(it.plug.results[0], Speech), "the long way"


async def test_a_model_that_does_not_read_costs_audio_and_bounded_memory() -> None:
    async with call() as it:
        connection = it.session._connection
        assert connection.socket is not None
        connection.socket._send_limit = 8192
        raw = it.model.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.socket._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # type: ignore[union-attr]
        await it.patched()
        it.model.transport.pause_reading()
        for number in range(400):
            it.phone.send(it.leg, payload(number))
            if number % 20 == 0:
                await asyncio.sleep(0.005)
        async with asyncio.timeout(LIMIT):
            while it.session.give_credit(0.0) and not it.session.dropped:
                it.phone.send(it.leg)
                await asyncio.sleep(0.005)
        assert connection.socket.pipe is not None
        assert connection.socket.pipe.get_write_buffer_size() <= 8192
        it.model.transport.resume_reading()
        async with asyncio.timeout(LIMIT):
            while not any(message[4] & Flags.GAP for message in it.model.heard):
                it.phone.send(it.leg)
                await asyncio.sleep(0.005)
        assert [message[1] for message in it.model.heard] == list(range(len(it.model.heard)))


async def test_no_descriptor_is_left_however_a_connection_ends() -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async with call() as it:
        await it.patched()
    gc.collect()
    before = descriptors()
    for way in range(4):
        async with call() as it:
            await it.patched()
            if way == 1:
                it.model.transport.abort()
                await it.plug.until(lambda it=it: bool(it.plug.results))
            elif way == 2:
                it.model.socket.close(1001)
                await it.plug.until(lambda it=it: bool(it.plug.results))
            elif way == 3:
                it.leg.close()
        gc.collect()
    assert descriptors() <= before


async def test_the_connection_of_another_shard_is_left_to_the_event_loop() -> None:
    async with call(shards=2) as it:
        await it.patched()
        other = await open_second(it)
        other.patch(it.leg, it.plug)
        assert "patched" in it.plug.events


async def open_second(it: Call) -> Realtime:
    session = Realtime(it.session._connection, it.plug, rate=8000, timeout=Nanos(10**9))
    session.open(rate=8000)
    await session.opened
    return session
