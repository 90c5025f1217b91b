"""Calls are shed before the machine has nothing left, and no longer than that."""

from __future__ import annotations

import asyncio
import resource

from gateway.call.occupancy import Bucket, Occupancy
from gateway.call.options import LimitOptions
from gateway.call.overload import Ceiling, Overload, descriptors_left, strain
from gateway.units import SECOND, Nanos
from tests.unit.call.inquiries import policy
from tests.unit.call.test_decision import NOW, decided


def settle(ceiling: Ceiling, capacity: float, offered: float, windows: int) -> list[float]:
    """Calls a second that are taken in each window by a machine that is strained beyond its capacity."""
    taken = []
    for _ in range(windows):
        taken.append(min(offered, offered if ceiling.rate is None else ceiling.rate))
        ceiling.adjust(taken[-1] > capacity, taken[-1])
    return taken


def test_at_twice_the_capacity_it_is_not_left_idle() -> None:
    taken = settle(Ceiling(), capacity=500, offered=1000, windows=800)[80:]
    assert sum(taken) / len(taken) > 0.7 * 500
    assert max(taken) < 1.05 * 500


def test_what_has_piled_up_is_worked_off_first() -> None:
    ceiling = Ceiling()
    ceiling.adjust(True, 500)
    assert ceiling.rate == 10
    ceiling.adjust(False, 10)
    assert ceiling.rate == 450


def test_the_ceiling_goes_when_nobody_asks_for_more() -> None:
    ceiling = Ceiling()
    settle(ceiling, capacity=500, offered=1000, windows=80)
    settle(ceiling, capacity=500, offered=100, windows=80)
    assert ceiling.rate is None


def test_what_is_shed_is_told_when_to_come_again() -> None:
    load = Occupancy()
    load.ceiling = Bucket(10.0, Nanos(SECOND // 10))
    assert decided(policy(), load=load).accepted
    load.take_machine(NOW)
    decision = decided(policy(retry_after="3s"), load=load)
    assert (decision.status, dict(decision.headers)) == (503, {"Retry-After": "3"})


def test_what_runs_out_is_named() -> None:
    limits = LimitOptions()
    assert strain(limits, busy=0.5, late_s=0.01) == ""
    assert "max_load" in strain(limits, busy=0.99, late_s=0)
    assert "max_waiting" in strain(limits, busy=0.5, late_s=0, waiting=200)
    assert "max_delay" in strain(limits, busy=0.5, late_s=0.3)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 0 < descriptors_left() < soft
    assert "spare_descriptors" in strain(LimitOptions(spare_descriptors=soft), busy=0.5, late_s=0)


async def test_a_machine_that_is_busy_sets_the_ceiling_of_its_calls() -> None:
    load = Occupancy()
    overload = Overload(load, LimitOptions(max_load=1e-9))
    overload.start()
    async with asyncio.timeout(10):
        while load.ceiling is None:
            await asyncio.sleep(0)
    await overload.close()
