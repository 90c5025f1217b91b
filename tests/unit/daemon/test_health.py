from __future__ import annotations

import pytest

from gateway.daemon.health import MediaHealth
from gateway.media.costs import PlaneCosts
from gateway.units import MS


class Plane:
    """Shards that tick every 5 ms of a clock that the test turns."""

    def __init__(self, shards: int) -> None:
        self.now = 1_000 * MS
        self.alive = shards
        self.ticks = 0
        self.late = 0
        self.health = MediaHealth(lambda: PlaneCosts(ticks=self.ticks, late_ticks=self.late), shards, lambda: self.now)

    def run(self, ms: int, *, late: bool = False) -> bool:
        self.now += ms * MS
        ticks = ms // 5 * self.alive
        self.late += ticks if late else 0
        self.ticks += 0 if late else ticks
        return self.health()


@pytest.mark.parametrize("shards", [1, 2, 8])
def test_ticking_shards_are_healthy(shards: int) -> None:
    plane = Plane(shards)
    assert [plane.run(5_000) for _ in range(3)] == [True, True, True]


@pytest.mark.parametrize("shards", [1, 2, 8])
def test_one_dead_shard_is_seen(shards: int) -> None:
    plane = Plane(shards)
    assert plane.run(5_000)
    plane.alive -= 1
    assert not plane.run(5_000)
    assert not plane.run(5)


def test_late_ticks_are_ticks() -> None:
    assert Plane(2).run(5_000, late=True)


def test_asked_again_at_once_it_does_not_change_its_mind() -> None:
    plane = Plane(1)
    assert plane.run(5_000)
    assert plane.health()
    assert plane.run(0)
