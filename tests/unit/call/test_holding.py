"""Holding a call, and going on with it: offers of ours within the call, whatever comes in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.call.switchboard import Switchboard
from gateway.sdp import answer, offer, parse
from gateway.sip.events import Confirmed, Ended, OfferAnswered, OfferRefused, Reoffered
from tests.unit.call.test_call import THEM, Rig, invited, switchboard, until


class Holds(Rig):
    """With the offers that it makes within the call."""

    def __init__(self) -> None:
        super().__init__()
        self.offers: list[bytes] = []
        self.answers: list[bytes] = []

    def reoffer(self, call: int, sdp: bytes) -> None:
        self.offers.append(sdp)

    def answer(self, call: int, sdp: bytes) -> None:
        super().answer(call, sdp)
        self.answers.append(sdp)

    async def offered(self, count: int) -> bytes:
        while len(self.offers) < count:
            await asyncio.sleep(0)
        return self.offers[-1]


@asynccontextmanager
async def talking(rig: Holds) -> AsyncIterator[Switchboard]:
    async with switchboard(rig) as board:
        board.on_event(invited())
        await until(rig, "answer")
        board.on_event(Confirmed(1))
        yield board


def directions(rig: Holds) -> tuple[bool, bool]:
    return rig.streams[-1].send, rig.streams[-1].receive


async def test_a_call_is_held_and_resumed() -> None:
    rig = Holds()
    async with talking(rig) as board:
        held = asyncio.ensure_future(rig.call.hold(True))
        ours = await rig.offered(1)
        assert b"a=sendonly\r\n" in ours
        assert parse(ours).version == "2"
        board.on_event(OfferAnswered(1, answer(ours, THEM, 1).sdp))
        assert await held
        assert directions(rig) == (True, False)
        assert await rig.call.hold(True)  # it is
        assert len(rig.offers) == 1
        resumed = asyncio.ensure_future(rig.call.hold(False))
        ours = await rig.offered(2)
        assert b"a=sendrecv\r\n" in ours
        assert parse(ours).version == "3"
        elsewhere = ("10.0.0.9", 4010)
        board.on_event(OfferAnswered(1, answer(ours, elsewhere, 1).sdp))
        assert await resumed
        assert (directions(rig), rig.streams[-1].remote) == ((True, True), elsewhere)


@pytest.mark.parametrize("event", [OfferRefused(1, 488, "no"), OfferAnswered(1, None)])
async def test_a_hold_that_is_refused_leaves_the_call(event: OfferRefused | OfferAnswered) -> None:
    rig = Holds()
    async with talking(rig) as board:
        held = asyncio.ensure_future(rig.call.hold(True))
        await rig.offered(1)
        before = len(rig.streams)
        board.on_event(event)
        assert not await held
        assert len(rig.streams) == before
        board.on_event(Reoffered(1, offer(THEM, 1, version=2)))
        assert directions(rig) == (True, True)
        assert int(parse(rig.answers[-1]).version) > int(parse(rig.offers[-1]).version)


async def test_who_is_held_may_change_the_session_and_stays_held() -> None:
    """RFC 6337 5.3: the answer of who holds keeps the hold."""
    rig = Holds()
    async with talking(rig) as board:
        held = asyncio.ensure_future(rig.call.hold(True))
        board.on_event(OfferAnswered(1, answer(await rig.offered(1), THEM, 1).sdp))
        await held
        board.on_event(Reoffered(1, offer(("10.0.0.9", 4010), 1, version=2)))
        assert b"a=sendonly\r\n" in rig.answers[-1]
        assert directions(rig) == (True, False)
        board.on_event(Reoffered(1, offer(THEM, 1, version=3, direction="sendonly")))
        assert b"a=inactive\r\n" in rig.answers[-1]
        assert directions(rig) == (False, False)
        board.on_event(Reoffered(1, offer(THEM, 1, version=4)))
        assert directions(rig) == (True, False)


async def test_both_sides_hold() -> None:
    rig = Holds()
    async with talking(rig) as board:
        board.on_event(Reoffered(1, offer(THEM, 1, version=2, direction="sendonly")))
        held = asyncio.ensure_future(rig.call.hold(True))
        ours = await rig.offered(1)
        assert b"a=inactive\r\n" in ours  # RFC 3264 8.4
        board.on_event(OfferAnswered(1, answer(ours, THEM, 1).sdp))
        assert await held
        assert directions(rig) == (False, False)


async def test_an_offer_that_comes_first_lets_ours_be_made_again() -> None:
    """Ours got 491, theirs was answered; ours would be the older description otherwise."""
    rig = Holds()
    async with talking(rig) as board:
        held = asyncio.ensure_future(rig.call.hold(True))
        first = await rig.offered(1)
        board.on_event(Reoffered(1, offer(("10.0.0.9", 4010), 1, version=2)))
        ours = await rig.offered(2)
        versions = [int(parse(one).version) for one in (first, rig.answers[-1], ours)]
        assert versions == sorted(set(versions))
        board.on_event(OfferAnswered(1, answer(ours, THEM, 1).sdp))
        assert await held


async def test_a_late_offer_is_answered_before_ours_is_made_again() -> None:
    rig = Holds()
    async with talking(rig) as board:
        held = asyncio.ensure_future(rig.call.hold(True))
        await rig.offered(1)
        board.on_event(Reoffered(1, None))
        assert b"a=sendonly\r\n" in rig.answers[-1]
        assert len(rig.offers) == 1
        board.on_event(Confirmed(1, answer(rig.answers[-1], THEM, 1).sdp))
        board.on_event(OfferAnswered(1, answer(await rig.offered(2), THEM, 1).sdp))
        assert await held


async def test_a_call_that_ends_is_not_held() -> None:
    rig = Holds()
    async with switchboard(rig) as board:
        board.on_event(invited())
        await until(rig, "answer")
        assert not await rig.call.hold(True)  # not before the ACK
        board.on_event(Confirmed(1))
        held = asyncio.ensure_future(rig.call.hold(True))
        await rig.offered(1)
        board.on_event(Ended(1, "remote", None, ""))
        assert not await held
        assert not await rig.call.hold(True)


async def test_an_answer_that_cannot_be_used_ends_the_call() -> None:
    rig = Holds()
    async with talking(rig) as board:
        held = asyncio.ensure_future(rig.call.hold(True))
        await rig.offered(1)
        board.on_event(OfferAnswered(1, b"v=0 broken"))
        assert rig.told[-1][0] == "hang_up"
        board.on_event(Ended(1, "local", None, ""))
        assert not await held
