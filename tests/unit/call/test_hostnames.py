"""Descriptions that name a host."""

from __future__ import annotations

import asyncio

import pytest

from gateway.call.hostnames import is_named, numeric
from gateway.errors import RemoteError
from gateway.sdp import offer
from gateway.sip.events import Confirmed, Reoffered
from tests.unit.call.test_call import THEM, Rig, invited, switchboard, until

OFFER = offer(THEM, 1)
NAMED = OFFER.replace(b"c=IN IP4 10.0.0.2", b"c=IN IP4 media.example")


async def lookup(name: str, ipv6: bool) -> str:
    if name != "media.example":
        raise RemoteError(f"{name} has no address")
    return "2001:db8::7" if ipv6 else "10.0.0.7"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"c=IN IP4 media.example", b"c=IN IP4 10.0.0.7"),
        (b"c=IN IP6 media.example", b"c=IN IP6 2001:db8::7"),
        (b"c=IN IP4 nowhere.example", b"c=IN IP4 nowhere.example"),
        (b"c=IN IP4 10.0.0.9", b"c=IN IP4 10.0.0.9"),
        (b"c=IN IP6 fe80::1", b"c=IN IP6 fe80::1"),
        (b"a=x c=IN IP4 media.example", b"a=x c=IN IP4 media.example"),
    ],
)
async def test_names_become_addresses(line: bytes, expected: bytes) -> None:
    assert await numeric(b"v=0\r\n" + line + b"\r\nt=0 0\r\n", lookup) == b"v=0\r\n" + expected + b"\r\nt=0 0\r\n"


async def test_so_many_names_are_looked_up_and_no_more() -> None:
    asked: list[str] = []

    async def count(name: str, ipv6: bool) -> str:
        asked.append(name)
        return "10.0.0.7"

    sdp = b"".join(b"c=IN IP4 host%d.example\r\n" % (number % 50) for number in range(500))
    assert is_named(await numeric(sdp, count))
    assert len(asked) == 4


class Names(Rig):
    async def address(self, name: str, *, ipv6: bool) -> str:
        return await lookup(name, ipv6)


async def test_a_caller_that_names_its_host_is_served_and_may_move() -> None:
    rig = Names()
    async with switchboard(rig) as board:
        board.on_event(invited(sdp=NAMED))
        await until(rig, "answer")
        assert rig.streams[-1].remote == ("10.0.0.7", 4000)
        board.on_event(Confirmed(1))
        board.on_event(Reoffered(1, OFFER))
        board.on_event(Reoffered(1, NAMED))
        while rig.streams[-1].remote[0] != "10.0.0.7":
            await asyncio.sleep(0)
        assert [one for one in rig.told if one[0] in ("answer", "reject")] == [("answer",)] * 3


async def test_a_name_without_an_address_is_refused_as_such() -> None:
    rig = Names()
    async with switchboard(rig) as board:
        board.on_event(invited(sdp=NAMED.replace(b"media", b"nowhere")))
        await until(rig, "reject", 488, 301)


async def test_an_offer_that_comes_during_the_search_is_the_one_that_counts() -> None:
    rig = Names()
    async with switchboard(rig) as board:
        board.on_event(invited())
        await until(rig, "answer")
        board.on_event(Confirmed(1))
        board.on_event(Reoffered(1, NAMED))
        board.on_event(Reoffered(1, OFFER))
        for _ in range(20):
            await asyncio.sleep(0)
        assert rig.streams[-1].remote == THEM
        assert len([one for one in rig.told if one[0] == "answer"]) == 2
