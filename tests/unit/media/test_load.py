"""When a media thread is full, and that a real one which is slowed down keeps new calls away."""

from __future__ import annotations

import asyncio

import pytest

from gateway.media.costs import PlaneCosts
from gateway.media.load import LoadGauge
from gateway.media.options import AdmissionOptions
from gateway.media.plane import MediaPlane
from gateway.units import SECOND, Nanos
from tests.unit.media.peer import Ear, plane_running

MS = 1_000_000


class Threads:
    """Costs that grow by what is said of each second."""

    def __init__(self, shards: int) -> None:
        self.gauge = LoadGauge(AdmissionOptions(), shards, Nanos(0))
        self.costs = [PlaneCosts() for _ in range(shards)]
        self.now = 0

    def second(self, *loads: tuple[float, int]) -> list[int]:
        """Busy share and late ticks of each; the numbers of the shards that changed."""
        self.now += SECOND
        self.costs = [
            PlaneCosts(ticks=cost.ticks + 200 - late, late_ticks=cost.late_ticks + late, busy_s=cost.busy_s + busy)
            for cost, (busy, late) in zip(self.costs, loads, strict=True)
        ]
        return [number for number, _ in self.gauge.observe(self.costs, Nanos(self.now))]


@pytest.mark.parametrize("load", [(0.9, 0), (0.1, 11), (1.0, 200), (0.0, 0)])
def test_busy_or_late_is_full(load: tuple[float, int]) -> None:
    threads = Threads(1)
    assert threads.second((0.5, 0)) == []
    assert threads.gauge.overload() is None
    full = load != (0.0, 0)
    assert threads.second(load) == []
    assert threads.second(load) == ([0] if full else [])
    assert (threads.gauge.overload() is not None) == full


def test_a_thread_that_does_not_tick_is_full() -> None:
    threads = Threads(1)
    threads.gauge.observe(threads.costs, Nanos(SECOND))
    assert threads.gauge.observe(threads.costs, Nanos(2 * SECOND)) != []


def test_a_single_stall_of_the_machine_is_no_load() -> None:
    threads = Threads(1)
    assert [threads.second(load) for load in ((0.1, 150), (0.1, 0), (0.1, 150), (0.1, 0))] == [[]] * 4
    assert threads.gauge.overload() is None


def test_it_takes_calls_again_after_three_calm_seconds() -> None:
    threads = Threads(1)
    threads.second((0.9, 0))
    threads.second((0.9, 0))
    assert [threads.second(load) for load in ((0.8, 0), (0.1, 0), (0.1, 0), (0.75, 0), (0.1, 0), (0.1, 0))] == [[]] * 6
    assert threads.gauge.overload()
    assert threads.second((0.1, 0)) == [0]
    assert threads.gauge.overload() is None


def test_one_of_two_leaves_room() -> None:
    threads = Threads(2)
    threads.second((0.95, 0), (0.2, 0))
    assert threads.second((0.95, 0), (0.2, 0)) == [0]
    assert threads.gauge.overload() is None
    threads.second((0.95, 0), (0.95, 0))
    threads.second((0.95, 0), (0.95, 0))
    assert threads.gauge.overload() == "media threads are full: busy 95%, ticks late 0.0%"


async def until_full(plane: MediaPlane, number: int) -> None:
    async with asyncio.timeout(20):
        while not plane.loads[number].full:
            await asyncio.sleep(0.1)


async def test_a_slow_thread_is_seen_and_avoided() -> None:
    """It is slowed down for real: each of its ticks takes 8 ms."""
    async with plane_running(shards=2) as plane:
        first, second = plane._shards
        ear = Ear()
        plane.open_leg(ear)
        slow, other = (first, second) if first.shard.legs_open else (second, first)
        plane.open_leg(Ear())
        other_before = other.shard.legs_open
        slow.shard.drag(8 * MS)
        await until_full(plane, plane._shards.index(slow))
        assert plane.loads[plane._shards.index(slow)].lateness_p99_ms >= 2
        assert plane_lateness(slow) > 0
        for _ in range(3):
            plane.open_leg(Ear())
        if not plane.loads[plane._shards.index(other)].full:
            assert other.shard.legs_open == other_before + 3


async def test_when_all_are_slow_no_call_is_taken() -> None:
    async with plane_running() as plane:
        assert plane.overload() is None
        plane._shards[0].shard.drag(20 * MS)
        await until_full(plane, 0)
        assert "media threads are full" in (plane.overload() or "")


def plane_lateness(face: object) -> int:
    """Ticks that began 2 ms late or more."""
    return sum(face.shard.lateness()[5:])  # type: ignore[attr-defined]
