"""A call that we place, against signalling, media and a plug that only write down what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import structlog

from gateway.call.house import House
from gateway.call.occupancy import Occupancy
from gateway.call.options import LimitOptions
from gateway.call.outbound import Outbound
from gateway.call.outgoing import OutgoingCall
from gateway.call.placing import Order, Results
from gateway.call.switchboard import Switchboard
from gateway.call.trunk_options import TrunkOptions
from gateway.sdp import offer
from gateway.sip.events import Answered, Ended, Ringing
from gateway.sip.flow import Hop
from gateway.sip.parser import parse
from tests.unit.call.test_call import Rig, until

ONE, TWO = offer(("10.0.0.2", 4000), 1), offer(("10.0.0.3", 4000), 1)
TRUNK = TrunkOptions.model_validate({"name": "t", "targets": [{"uri": "sip:10.0.0.2"}]})


class Dialler(Rig):
    """``Rig`` that can place calls; each has handle 1."""

    async def locate(self, target: str) -> list[Hop]:
        return [Hop("udp", ("10.0.0.2", 5060))]

    def invite(self, target: str, sdp: bytes, **how: Any) -> int:
        self.told.append(("invite", target))
        return 1

    def call_id(self, call: int) -> str:
        return "abc"

    def heard(self) -> list[str]:
        return [stream.remote[0] for stream in self.streams]


@asynccontextmanager
async def placed(**order: Any) -> AsyncIterator[tuple[Dialler, Switchboard, OutgoingCall]]:
    rig = Dialler()
    everything, occupancy = cast("Any", rig), Occupancy()
    house = House(everything, everything, "10.0.0.1", {"p": everything}, {}, everything, LimitOptions())
    board = Switchboard(house, occupancy)
    call = Outbound(house, board, occupancy, [TRUNK]).place(Order("t", "bob", plug="p", **order))
    try:
        yield rig, board, call
    finally:
        board.on_event(Ended(1, "remote", None, ""))
        await board.close(5)
    assert occupancy.total == 0


async def test_of_several_phones_the_first_one_with_early_media_is_heard() -> None:
    async with placed(early_media=True) as (rig, board, _):
        await until(rig, "invite", "sip:bob@10.0.0.2")
        await asyncio.sleep(0)
        for phone, sdp in (("a", None), ("b", ONE), ("c", TWO), ("b", ONE)):
            board.on_event(Ringing(1, 183, sdp, phone))
        assert rig.heard() == ["10.0.0.2", "10.0.0.2"]


async def test_a_phone_that_rings_no_more_leaves_its_place_to_the_next() -> None:
    async with placed(early_media=True) as (rig, board, _):
        await until(rig, "invite", "sip:bob@10.0.0.2")
        await asyncio.sleep(0)
        board.on_event(Ringing(1, 183, ONE, "b"))
        board.on_event(Ringing(1, 183, TWO, "c"))
        board.on_event(Ringing(1, 199, None, "b"))
        assert rig.heard() == ["10.0.0.2", "10.0.0.3"]


async def test_who_answers_is_heard_whoever_was_before() -> None:
    async with placed(early_media=True) as (rig, board, call):
        await until(rig, "invite", "sip:bob@10.0.0.2")
        await asyncio.sleep(0)
        board.on_event(Ringing(1, 183, ONE, "b"))
        board.on_event(Ringing(1, 183, TWO, "c"))
        board.on_event(Answered(1, None, "c"))
        assert (await call.result).what is Results.ANSWERED
        assert rig.heard() == ["10.0.0.2", "10.0.0.3"]


async def test_what_was_agreed_on_while_it_rang_need_not_be_said_again() -> None:
    """RFC 3261 13.2.1: also where nobody wanted to hear early media."""
    async with placed() as (rig, board, call):
        await until(rig, "invite", "sip:bob@10.0.0.2")
        await asyncio.sleep(0)
        board.on_event(Ringing(1, 183, ONE, "b"))
        assert rig.heard() == []
        board.on_event(Answered(1, None, "b"))
        assert (await call.result).what is Results.ANSWERED
        assert rig.heard() == ["10.0.0.2"]


async def test_ringing_that_is_repeated_is_told_once() -> None:
    """Some media servers say 180 each second."""
    with structlog.testing.capture_logs() as log:
        async with placed() as (rig, board, call):
            await until(rig, "invite", "sip:bob@10.0.0.2")
            await asyncio.sleep(0)
            for _ in range(5):
                board.on_event(Ringing(1, 180, None, "b"))
            board.on_event(Answered(1, ONE, "b"))
            assert (await call.result).rang_s is not None
    assert [one["event"] for one in log].count("call.ringing") == 1


async def test_the_result_has_the_cause_of_the_telephone_network() -> None:
    text = b"SIP/2.0 404 Not Found\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n"
    refusal = parse(text + b"Call-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n")
    async with placed() as (rig, board, call):
        await until(rig, "invite", "sip:bob@10.0.0.2")
        await asyncio.sleep(0)
        board.on_event(Ended(1, "remote", 404, "unallocated", refusal, 1))
        result = await call.result
        assert (result.what, result.status, result.reason, result.cause) == (Results.FAILED, 404, "unallocated", 1)


async def test_a_call_that_is_cut_before_its_first_step_gives_its_place_back() -> None:
    async with placed() as (_, board, call):
        (task,) = board._tasks
        task.cancel()
        assert (await call.result).what is Results.CANCELLED
        assert board._occupancy.total == 0
