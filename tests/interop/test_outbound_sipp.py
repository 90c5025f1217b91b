"""Calls that we place through a trunk, with SIPp as the far end: what becomes of each has a type and a status."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.call.house import House
from gateway.call.occupancy import Occupancy
from gateway.call.options import LimitOptions
from gateway.call.outbound import Outbound
from gateway.call.placing import AnsweredBy, Order, Result, Results
from gateway.call.switchboard import Switchboard
from gateway.call.trunk_options import TrunkOptions
from gateway.media.contract import Leg, LegStats
from gateway.net.endpoint import open_endpoint
from gateway.net.options import SignallingOptions
from gateway.net.transport import Listen
from gateway.sdp import Stream
from gateway.sdp.types import G711
from gateway.sip.events import Event
from gateway.units import MS, SECOND, Nanos
from tests.interop.peer import SCENARIOS, free_port, needs_sipp, sipp, until_it_is_bound, until_it_listens

pytestmark = [pytest.mark.interop, needs_sipp]


class Plug:
    """Media and a plug that only write down what they are told."""

    formats = G711
    local = ("127.0.0.1", 30000)
    uplink_rate = 8000

    def __init__(self) -> None:
        self.told: list[str] = []
        self.streams: list[Stream] = []
        self.spoke = asyncio.Event()
        self.observer: Any = None

    def open_leg(self, observer: Any, *, uplink_rate: int = 16000) -> Leg:
        self.observer = observer
        return cast("Leg", self)

    def open(self, call: object) -> Plug:
        return self

    async def start(self, leg: object) -> None:
        self.told.append("start")

    def connect(self, stream: Stream) -> None:
        self.told.append("connect")
        self.streams.append(stream)

    def answered(self) -> None:
        self.told.append("answered")
        self.spoke.set()

    def on_hold(self, held: bool) -> None: ...

    def on_audio(self, *what: object) -> None:
        self.told.append("audio")

    def on_speech_started(self, *what: object) -> None: ...

    def on_speech_ended(self, *what: object) -> None: ...

    def add(self, record: dict[str, object]) -> None: ...

    def close(self) -> asyncio.Future[None]:
        self.told.append("close")
        self.observer.on_closed(LegStats())
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


class Rig:
    def __init__(self, outbound: Outbound, plug: Plug, occupancy: Occupancy) -> None:
        self.outbound, self.plug, self.occupancy = outbound, plug, occupancy

    async def call(self, to: str = "+493012345678", **order: Any) -> Result:
        async with asyncio.timeout(20):
            return await self.outbound.call(Order("carrier", to, plug="p", **order))


@asynccontextmanager
async def rig(*ports: int, transport: str = "udp", **trunk: Any) -> AsyncIterator[Rig]:
    """A trunk whose targets are on these ports, the first with the highest priority."""
    board: list[Switchboard] = []

    def on_event(event: Event) -> None:
        for one in board:
            one.on_event(event)

    uris = [f"sip:127.0.0.1:{port};transport={transport}" for port in ports]
    targets = [{"uri": uri, "priority": number} for number, uri in enumerate(uris)]
    options = TrunkOptions.model_validate({"name": "carrier", "targets": targets, **trunk})
    listen = [Listen(transport, "127.0.0.1", 0)]
    sip = await open_endpoint(SignallingOptions(), listen=listen, on_event=on_event)
    plug, occupancy = Plug(), Occupancy()
    everything = cast("Any", plug)
    house = House(sip, everything, "127.0.0.1", {"p": everything}, {}, everything, LimitOptions())
    board.append(Switchboard(house, occupancy))
    try:
        yield Rig(Outbound(house, board[0], occupancy, [options]), plug, occupancy)
    finally:
        await board[0].close(5)
        await sip.close()
    assert occupancy.total == 0


@asynccontextmanager
async def far_end(directory: Path, scenario: str, status: str = "", transport: str = "udp") -> AsyncIterator[int]:
    """SIPp answers as the scenario says; it must be content at the end."""
    port = free_port()
    file = directory / scenario
    text = (SCENARIOS / scenario).read_text()
    file.write_text(text.replace("503 Service Unavailable", status) if status else text)
    manner = ["-t", {"udp": "u1", "tcp": "t1"}[transport], "-m", "1"]
    peer = asyncio.create_task(sipp(directory, "-sf", str(file), *manner, port=port))
    await (until_it_listens(port) if transport == "tcp" else until_it_is_bound(port))
    try:
        yield port
        await peer
    finally:
        peer.cancel()
        await asyncio.gather(peer, return_exceptions=True)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_an_answered_call_talks_to_its_plug(tmp_path: Path, transport: str) -> None:
    async with far_end(tmp_path, "callee.xml", transport=transport) as port, rig(port, transport=transport) as one:
        result = await one.call(caller="+49301111", display='A "B"')
        assert (result.what, result.status) == (Results.ANSWERED, 200)
        assert result.rang_s is not None
        await one.plug.spoke.wait()
        assert one.plug.told == ["start", "connect", "answered"]
        assert one.plug.streams[0].codec == "PCMU"
        assert one.occupancy.calls("carrier", "out") == 1


@pytest.mark.parametrize(
    ("status", "what"),
    [
        ("486 Busy Here", Results.BUSY),
        ("600 Busy Everywhere", Results.BUSY),
        ("480 Temporarily Unavailable", Results.NO_ANSWER),
        ("408 Request Timeout", Results.NO_ANSWER),
        ("603 Decline", Results.DECLINED),
        ("607 Unwanted", Results.DECLINED),
        ("404 Not Found", Results.FAILED),
        ("503 Service Unavailable", Results.FAILED),
    ],
)
async def test_a_call_that_is_not_answered_says_why(tmp_path: Path, status: str, what: Results) -> None:
    async with far_end(tmp_path, "refuses.xml", status) as port, rig(port) as one:
        result = await one.call()
        assert (result.what, result.status, result.cause) == (what, int(status[:3]), 34)
        assert "no circuit" in result.reason


async def test_nobody_picks_up(tmp_path: Path) -> None:
    async with far_end(tmp_path, "rings.xml") as port, rig(port) as one:
        result = await one.call(ring_timeout=Nanos(300 * MS))
        assert (result.what, result.rang_s is None) == (Results.NO_ANSWER, False)


async def test_we_change_our_mind(tmp_path: Path) -> None:
    async with far_end(tmp_path, "rings.xml") as port, rig(port) as one:
        call = one.outbound.place(Order("carrier", "+49301", plug="p"))
        while call._rang_at is None:
            await asyncio.sleep(0.01)
        call.hang_up("never mind")
        assert (await call.result).what is Results.CANCELLED


async def test_a_dead_address_is_given_up_in_time() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        async with rig(silent.getsockname()[1], patience="300ms") as one:
            result = await one.call()
            assert (result.what, result.status) == (Results.FAILED, 408)


async def test_the_next_target_is_asked_when_one_is_dead_or_overloaded(tmp_path: Path) -> None:
    refusing, answering = tmp_path / "refusing", tmp_path / "answering"
    for directory in (refusing, answering):
        directory.mkdir()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        dead = silent.getsockname()[1]
        async with (
            far_end(refusing, "refuses.xml", "503 Service Unavailable") as full,
            far_end(answering, "callee.xml") as good,
            rig(dead, full, good, patience="300ms") as one,
        ):
            result = await one.call()
            assert result.what is Results.ANSWERED
            assert result.target.endswith(f":{good};transport=udp")


async def test_a_busy_callee_is_busy_on_every_target(tmp_path: Path) -> None:
    async with far_end(tmp_path, "refuses.xml", "486 Busy Here") as port, rig(port, free_port()) as one:
        assert (await one.call()).what is Results.BUSY


async def test_the_trunk_logs_in_and_says_who_calls(tmp_path: Path) -> None:
    trunk = {
        "credentials": {"user": "linecard", "password": "secret"},
        "numbers": {"region": "DE", "format": "national", "prefix": "99"},
        "caller_id": {"trusted": True, "host": "example.com", "default": "+4930991234", "allowed": ["+4930*"]},
        "headers": {"X-Account": "42"},
    }
    async with far_end(tmp_path, "trunk.xml") as port, rig(port, **trunk) as one:
        assert (await one.call(private=True, headers=(("X-More", "7"),))).what is Results.ANSWERED


async def test_what_we_must_not_do_is_not_done() -> None:
    trunk = {"caller_id": {"allowed": ["+4930*"]}, "limits": {"rate_out": 1}}
    async with rig(free_port(), patience="300ms", **trunk) as one:
        refused = await one.call(caller="+4940")
        assert (refused.what, refused.status) == (Results.REFUSED, 403)
        assert (await one.call(caller="+49301")).what is Results.FAILED
        limited = await one.call(caller="+49301")
        assert (limited.what, "limits.rate_out" in limited.reason) == (Results.REFUSED, True)


async def test_we_hold_and_resume_and_the_far_end_moves_and_changes_its_codec(tmp_path: Path) -> None:
    """The first offer meets 491, and is made again."""
    async with far_end(tmp_path, "held.xml") as port, rig(port) as one:
        call = one.outbound.place(Order("carrier", "+49301", plug="p"))
        assert (await call.result).what is Results.ANSWERED
        async with asyncio.timeout(15):
            assert await call.hold(True)
            assert (one.plug.streams[-1].send, one.plug.streams[-1].receive) == (True, False)
            assert await call.hold(False)
        last = one.plug.streams[-1]
        assert (last.send, last.receive, last.codec, last.remote[0]) == (True, True, "PCMA", "127.0.0.9")
        call.hang_up("done")


class Screen:
    """Says who it is when it has heard something."""

    def __init__(self, verdict: AnsweredBy) -> None:
        self._verdict = verdict
        self._heard = asyncio.Event()
        self.listening = asyncio.Event()

    def open(self, uplink_rate: int) -> Screen:
        return self

    def on_audio(self, *what: object) -> None:
        self._heard.set()

    def on_speech_started(self, *what: object) -> None: ...

    def on_speech_ended(self, *what: object) -> None: ...

    async def verdict(self) -> AnsweredBy:
        self.listening.set()
        await self._heard.wait()
        return self._verdict


@pytest.mark.parametrize("who", [AnsweredBy.HUMAN, AnsweredBy.MACHINE])
async def test_somebody_listens_who_has_answered_before_the_plug_speaks(tmp_path: Path, who: AnsweredBy) -> None:
    async with far_end(tmp_path, "callee.xml") as port, rig(port) as one:
        screen = Screen(who)
        hang_up_on = frozenset({AnsweredBy.MACHINE})
        order = Order(
            "carrier", "+49301", plug="p", screener=screen, screen_for=Nanos(10 * SECOND), hang_up_on=hang_up_on
        )
        call = one.outbound.place(order)
        await screen.listening.wait()
        assert not one.plug.spoke.is_set()
        one.plug.observer.on_audio(b"", 0, 0, 0)
        assert (await call.result).answered_by is who
        assert "audio" in one.plug.told
        if who is AnsweredBy.HUMAN:
            await one.plug.spoke.wait()
