"""Calls are shed when more come than can be served, and no others: what it costs is simulated, nothing is slept for."""

from __future__ import annotations

import asyncio
import resource
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from gateway.call.occupancy import Occupancy
from gateway.call.options import LimitOptions
from gateway.call.overload import Overload, Queue, descriptors_left
from gateway.units import MS, SECOND, Nanos
from tests.unit.call.inquiries import policy
from tests.unit.call.test_decision import NOW, decided

LIMITS = LimitOptions()
START = Nanos(0)
CALL = 1 * MS
REFUSAL = CALL // 12


@dataclass
class Server:
    """Reads INVITEs in order; each takes a millisecond if it is served, a twelfth if it is shed."""

    limits: LimitOptions = LIMITS
    now: Nanos = START
    served: list[Nanos] = field(default_factory=list)
    """How long each that was served has waited."""
    shed: list[Nanos] = field(default_factory=list)
    """When."""

    def run(self, arrivals: Iterable[int]) -> Server:
        queue = Queue(self.now)
        waiting: deque[int] = deque()
        coming = deque(arrivals)
        while coming or waiting:
            if not waiting:
                queue.empty(self.now)
                self.now = Nanos(max(self.now, coming[0]))
            while coming and coming[0] <= self.now:
                waiting.append(coming.popleft())
            delay = Nanos(self.now - waiting.popleft())
            queue.read(delay, self.now)
            if queue.excess(self.limits, self.now):
                self.shed.append(self.now)
                self.now = Nanos(self.now + REFUSAL)
            else:
                self.served.append(delay)
                self.now = Nanos(self.now + CALL)
        return self


def steady(rate: float, seconds: float, begin: float = 0) -> list[int]:
    return [round((begin + number / rate) * SECOND) for number in range(round(rate * seconds))]


def test_a_burst_of_400_calls_is_all_taken_also_after_a_long_quiet() -> None:
    server = Server().run([3600 * SECOND] * 400)
    assert len(server.served) == 400
    assert not server.shed


@pytest.mark.parametrize("rate", [300, 900, 990])
def test_nobody_is_refused_while_all_can_be_served(rate: float) -> None:
    assert not Server().run(steady(rate, 20)).shed


def test_bursts_that_are_worked_off_refuse_nobody() -> None:
    """Half a second of work every second."""
    assert not Server().run([second * SECOND for second in range(30) for _ in range(500)]).shed


@pytest.mark.parametrize("times", [1.5, 2, 3, 5])
def test_at_a_multiple_of_the_capacity_the_server_is_busy_with_what_it_serves_and_nobody_waits(times: float) -> None:
    server = Server().run(steady(1000 * times, 20))
    possible = 20 * 1000 * (1 - times * REFUSAL / CALL) / (1 - REFUSAL / CALL)  # all time not spent on refusals
    assert len(server.served) > 0.97 * possible
    settled = server.served[2000:]  # the first second makes the queue
    assert max(settled) <= LIMITS.delay_target
    assert max(server.served) <= LIMITS.max_delay


def test_a_crowd_that_is_too_large_is_served_up_to_the_longest_delay() -> None:
    server = Server().run([0] * 3000)
    assert len(server.served) > 900
    assert max(server.served) <= LIMITS.max_delay


def test_it_ends_with_the_overload() -> None:
    server = Server().run([*steady(2000, 5), *steady(500, 10, begin=5)])
    assert server.shed
    assert max(server.shed) < 5.5 * SECOND


def test_what_is_shed_is_told_why_and_when_to_come_again() -> None:
    load = Occupancy()
    assert decided(policy(), load=load).accepted
    load.strain = lambda now: "limits.delay_target: late"
    decision = decided(policy(retry_after="3s"), load=load)
    assert (decision.status, dict(decision.headers)) == (503, {"Retry-After": "3"})
    assert decision.rule == "limits.delay_target: late"


async def test_the_queue_of_each_listener_counts() -> None:
    overload = Overload(LIMITS)
    overload.waited("one", Nanos(2 * SECOND))
    overload.waited("another", Nanos(1 * MS))
    assert "limits.max_delay" in overload.rule(NOW)
    overload.waited("one", None)
    assert overload.rule(NOW) == ""


async def test_a_loop_that_is_late_by_its_own_work_sheds_and_one_that_others_keep_waiting_does_not() -> None:
    overload = Overload(LIMITS)
    overload._look(Nanos(2 * SECOND), busy=0.2)
    assert overload.rule(NOW) == ""
    overload._look(Nanos(2 * SECOND), busy=0.99)
    assert "limits.max_delay" in overload.rule(NOW)
    overload._look(Nanos(1 * MS), busy=0.99)
    assert overload.rule(NOW) == ""


async def test_a_want_of_descriptors_sheds() -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 0 < descriptors_left() < soft
    overload = Overload(LimitOptions(spare_descriptors=soft))
    overload.start()
    async with asyncio.timeout(10):
        while not overload.rule(NOW):
            await asyncio.sleep(0.01)
    assert "spare_descriptors" in overload.rule(NOW)
    await overload.close()
