"""Verbs on their way to a thread that has no room for them."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import ResourceError
from gateway.media.verbs import Verbs


class FullRing:
    """Takes verbs only while it has room."""

    def __init__(self) -> None:
        self.room = 0
        self.taken: list[int] = []

    def verb(self, number: int) -> bool:
        if self.room:
            self.room -= 1
            self.taken.append(number)
            return True
        return False


async def test_verbs_wait_in_order_until_there_is_room():
    ring, verbs = FullRing(), Verbs(asyncio.get_running_loop())
    for number in range(5):
        verbs.do(ring.verb, number)
    ring.room = 2
    async with asyncio.timeout(1):
        while len(ring.taken) < 2:
            await asyncio.sleep(0)
    verbs.do(ring.verb, 5)
    ring.room = 100
    async with asyncio.timeout(1):
        while len(ring.taken) < 6:
            await asyncio.sleep(0)
    assert ring.taken == list(range(6))
    verbs.do(ring.verb, 6)
    assert ring.taken[-1] == 6


async def test_a_thread_that_never_runs_is_told_and_dropped_verbs_stay_away():
    ring, verbs = FullRing(), Verbs(asyncio.get_running_loop())
    for number in range(10_000):
        verbs.do(ring.verb, number)
    with pytest.raises(ResourceError, match="10000 commands"):
        verbs.do(ring.verb, 10_000)
    verbs.drop()
    ring.room = 100
    await asyncio.sleep(0.02)
    assert ring.taken == []
