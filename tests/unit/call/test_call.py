"""A call against signalling, media and a plug that only write down what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest
import structlog

from gateway.call.decision import Inquiry, decide
from gateway.call.gate import Gate
from gateway.call.house import House
from gateway.call.occupancy import Occupancy
from gateway.call.options import AuthenticationOptions, LimitOptions
from gateway.call.switchboard import Switchboard
from gateway.errors import MisuseError
from gateway.media.contract import LegStats
from gateway.sdp import SrtpTerms, Stream, offer
from gateway.sdp.types import G711
from gateway.sip.events import Confirmed, Ended, Invited, Refused, Reoffered
from gateway.sip.flow import Flow
from gateway.sip.message import Header, Request
from gateway.units import Nanos, Samples
from tests.unit.call.inquiries import invite, policy, trunk

THEM = ("10.0.0.2", 4000)
FLOW = Flow("udp", ("10.0.0.1", 5060), ("10.0.0.2", 5060))


class Rig:
    """Everything around the call in one. ``told`` is what it was told, in order."""

    formats = G711
    local = ("10.0.0.1", 20000)
    uplink_rate = 16000

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.streams: list[Stream] = []
        self.records: list[dict[str, object]] = []
        self.broken = False
        self.observer: Any = None
        self.call: Any = None

    # signalling
    def ring(self, call: int, status: int = 180, sdp: bytes | None = None) -> None:
        self.told.append(("ring", status))

    def reject(self, call: int, status: int, rule: str, reason: str | None = None, *, warning: int = 399) -> None:
        self.told.append(("reject", status, warning))

    def hang_up(self, call: int, reason: str = "", *, headers: Iterable[Header] = ()) -> None:
        self.told.append(("hang_up", reason, *headers))

    def refer(self, call: int, target: str, *, headers: Iterable[Header] = ()) -> None:
        self.told.append(("refer", target, *headers))

    def refuse_refer(self, call: int, status: int, rule: str) -> None:
        self.told.append(("refuse_refer", status))

    # media, and its leg
    def open_leg(self, observer: object, *, uplink_rate: int = 16000) -> Rig:
        self.observer = observer
        return self

    def connect(self, stream: Stream) -> None:
        if self.broken:
            raise MisuseError("the plane cannot do this")
        self.streams.append(stream)

    # records
    def add(self, record: dict[str, object]) -> None:
        self.records.append(record)

    # plug, and its session
    def open(self, call: object) -> Rig:
        self.call = call
        return self

    fingerprint = "sha-256 " + ":".join(["AB"] * 32)
    secured = False

    async def start(self, leg: object) -> None: ...

    def on_audio(self, pcm: bytes, media_time: Samples, arrival: Nanos, flags: int) -> None: ...

    def on_speech_started(self, media_time: Samples, arrival: Nanos) -> None: ...

    def on_speech_ended(self, media_time: Samples, arrival: Nanos) -> None: ...

    def on_digit(self, digit: str, duration_ms: int, arrival: Nanos) -> None:
        self.told.append(("digit", digit, duration_ms))

    def answer(self, call: int, sdp: bytes) -> None:
        self.told.append(("answer",))

    def answered(self) -> None:
        self.told.append(("speak",))

    def on_hold(self, held: bool) -> None: ...

    def on_rtp_timeout(self, now: Nanos) -> None:
        self.told.append(("timeout",))

    def close(self) -> asyncio.Future[None]:
        if self.observer is not None:
            self.observer.on_closed(LegStats())
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


def invited(call: int = 1, sdp: bytes | None = offer(THEM, 1), more: Sequence[Header] = (), **route: object) -> Invited:
    rules = policy(routes=[{"to": "echo", "plug": "p", **route}])
    request = invite()
    request = Request(request.method, request.uri, [*request.headers, *more], request.body)
    decision = decide(Inquiry(request, FLOW.remote), rules, Occupancy(), Nanos(0))
    return Invited(call, "abc", request, "alice", "echo", sdp, FLOW, decision)


@asynccontextmanager
async def switchboard(rig: Rig) -> AsyncIterator[Switchboard]:
    everything = cast("Any", rig)
    house = House(
        everything,
        everything,
        "10.0.0.1",
        {"p": everything},
        {},
        everything,
        LimitOptions(),
        {},
        record_headers=["x-*"],
    )
    board = Switchboard(house, Occupancy())
    yield board
    board.on_event(Ended(1, "remote", None, ""))
    await board.close(5)


async def until(rig: Rig, *what: object) -> None:
    for _ in range(100):
        if what in rig.told:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"{what} is not in {rig.told}")


async def test_a_refused_reinvite_is_answered_whatever_the_reason() -> None:
    rig = Rig()
    async with switchboard(rig) as board:
        board.on_event(invited())
        await until(rig, "answer")
        board.on_event(Confirmed(1))
        board.on_event(Reoffered(1, offer(("239.1.1.1", 4000), 1)))
        assert rig.told[-1] == ("reject", 488, 301)
        rig.broken = True
        board.on_event(Reoffered(1, offer(("10.0.0.3", 4000), 1)))
        assert rig.told[-1] == ("reject", 500, 399)


async def test_a_hold_is_connected_as_such_and_a_dead_far_end_is_told_in_either_state() -> None:
    rig = Rig()
    async with switchboard(rig) as board:
        board.on_event(invited())
        await until(rig, "answer")
        board.on_event(Confirmed(1))
        for hold in (offer(THEM, 1, direction="sendonly"), offer(("0.0.0.0", 4000), 1)):
            board.on_event(Reoffered(1, hold))
            assert not (rig.streams[-1].send and rig.streams[-1].receive)  # by which the plane knows how patient to be
            rig.streams.clear()
            board.on_event(Reoffered(1, offer(THEM, 1)))
            assert [(one.send, one.receive) for one in rig.streams] == [(True, True)]
        rig.observer.on_rtp_timeout(Nanos(0))
        assert ("timeout",) in rig.told


@pytest.mark.parametrize(("sdp", "status"), [(None, 180), (offer(THEM, 1), 183)])
async def test_early_media_rings_also_where_no_offer_has_come(sdp: bytes | None, status: int) -> None:
    rig = Rig()
    async with switchboard(rig) as board:
        board.on_event(invited(sdp=sdp, early_media=True))
        await until(rig, "answer")
        assert [one for one in rig.told if one[0] == "ring"] == [("ring", status)]


async def test_a_call_that_rings_at_shutdown_gets_503() -> None:
    rig = Rig()
    async with switchboard(rig) as board:
        board.on_event(invited(ring_for="10s"))
        await until(rig, "ring", 180)
        closing = asyncio.ensure_future(board.close(5))
        await until(rig, "hang_up", "shutting down")
        assert rig.told[-2:] == [("reject", 503, 399), ("hang_up", "shutting down")]
        board.on_event(Ended(1, "local", 503, ""))
        await closing


async def test_a_flood_of_refusals_is_not_written_down() -> None:
    rig = Rig()
    async with switchboard(rig) as board:
        for _ in range(500):
            board.on_event(Refused(FLOW, 404, "no route fits the called number", invite("sip:nobody@h")))
    assert 0 < len(rig.records) < 100
    assert {(record["called"], record["status"]) for record in rig.records} == {("nobody", 404)}


async def test_calls_are_counted_while_they_last() -> None:
    rig = Rig()
    async with switchboard(rig) as board:
        board.on_event(invited())
        assert board._occupancy.calls("t", "in") == 1
        board.on_event(Ended(1, "remote", None, ""))
        await board.close(5)
        assert (board._occupancy.calls("t"), board._occupancy.total) == (0, 0)


async def test_a_call_takes_the_place_of_another_of_its_trunk_alone() -> None:
    """RFC 3891 8: who could replace the calls of others could listen in."""
    rig = Rig()
    async with switchboard(rig) as board:
        board.on_event(invited())
        await until(rig, "answer")
        other = replace(cast("Any", invited()).admitted, trunk=trunk("other"))
        board.on_event(replace(invited(2), replaces=1, admitted=other))
        board.on_event(replace(invited(3), replaces=7))
        assert [one for one in rig.told if one[0] == "reject"] == [("reject", 403, 399)] * 2
        rig.told.clear()
        board.on_event(replace(invited(4), replaces=1))
        await until(rig, "answer")
        board.on_event(Ended(1, "local", None, "replaced"))  # the endpoint ends it with the answer
        board.on_event(Ended(4, "remote", None, ""))
        await board.close(5)


async def test_the_log_says_what_nearly_fitted() -> None:
    rig = Rig()
    with structlog.testing.capture_logs() as log:
        async with switchboard(rig) as board:
            gate = Gate(policy(), AuthenticationOptions(), key=b"k" * 32)
            board._not_taken = gate.not_taken
            far = Flow("udp", FLOW.local, ("203.0.113.9", 5060))
            board.on_event(Refused(far, 403, "no trunk takes calls from 203.0.113.9", invite()))
            board.on_event(Refused(FLOW, 404, "no route fits the called number", invite("sip:echos@h")))
    assert [one["not_taken"] for one in log if one["log_level"] == "warning"] == [
        ["trunk t: 203.0.113.9 is in none of 10.0.0.0/24"],
        ["route echo: looks like echos, but does not fit it"],
    ]


def keyed_by_dtls() -> Invited:
    """A call at a trunk that asks for a handshake."""
    terms = SrtpTerms("require", ways=("dtls",), fingerprint=Rig.fingerprint)
    return invited(sdp=offer(THEM, 1, srtp=terms))


@asynccontextmanager
async def secured_call(rig: Rig) -> AsyncIterator[Switchboard]:
    event = keyed_by_dtls()
    decision = cast("Any", event.admitted)
    secured = decision.trunk.model_copy(update={"srtp": "require", "srtp_keys": ("dtls",)})
    async with switchboard(rig) as board:
        board.on_event(replace(event, admitted=replace(decision, trunk=secured)))
        await until(rig, "answer")
        yield board


async def test_the_plug_speaks_when_the_handshake_has_made_keys() -> None:
    rig = Rig()
    async with secured_call(rig) as board:
        assert rig.streams[-1].dtls is not None
        board.on_event(Confirmed(1))
        assert ("speak",) not in rig.told
        rig.observer.on_secured(None)
        assert rig.told.count(("speak",)) == 1
        rig.observer.on_secured(None)  # another association, after a re-INVITE
        assert rig.told.count(("speak",)) == 1


async def test_a_handshake_that_fails_or_never_comes_ends_the_call() -> None:
    for never in (False, True):
        rig = Rig()
        async with secured_call(rig) as board:
            board.on_event(Confirmed(1))
            if never:
                rig.observer.on_rtp_timeout(Nanos(0))
            else:
                rig.observer.on_secured("DTLS: the certificate is another")
            assert next(one[1] for one in rig.told if one[0] == "hang_up").startswith("DTLS: ")
            assert ("speak",) not in rig.told
