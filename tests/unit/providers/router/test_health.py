"""What all calls share of a provider: its breaker, its percentiles, its room."""

from __future__ import annotations

import random

from gateway.errors import ProviderError
from gateway.providers.router.breaker import Breaker, State
from gateway.providers.router.gate import Gate, Ticket
from gateway.providers.router.health import Health
from gateway.providers.router.latency import ENOUGH, Latencies
from gateway.providers.router.options import BreakerOptions, UpstreamOptions
from gateway.units import MS, SECOND, Nanos


def at(seconds: float) -> Nanos:
    return Nanos(round(seconds * SECOND))


def breaker() -> Breaker:
    return Breaker(BreakerOptions(), random.Random(1))


def test_failures_open_it_and_a_good_probe_closes_it():
    one = breaker()
    assert [one.failed(at(0.1 * n)) for n in range(3)] == [False, False, True]
    assert not one.allows(at(0.3))
    assert at(0.2 + 0.75) <= one.probe_at <= at(0.2 + 1.25)
    one.begin_probe()
    assert one.state is State.HALF_OPEN
    one.probed(at(1.3), good=True)
    assert one.allows(at(1.3))
    assert not one.failed(at(1.4))  # what was before the outage is forgotten


def test_the_pause_doubles_up_to_its_limit_and_obeys_retry_after():
    one = breaker()
    for n in range(3):
        one.failed(at(n))
    pauses = []
    for _ in range(8):
        one.probed(at(100), good=False)
        pauses.append((one.probe_at - at(100)) / SECOND)
    assert pauses[0] < 3
    assert max(pauses) <= 15 * 1.25
    one.probed(at(100), good=False, retry_after=60 * SECOND)
    assert one.probe_at == at(160)


def test_a_provider_that_mostly_answers_is_kept():
    one = breaker()
    for n in range(40):
        one.succeeded(at(0.1 * n))
        assert not (n % 4 == 0 and one.failed(at(0.1 * n)))


def test_old_failures_do_not_count():
    one = breaker()
    assert not any(one.failed(at(20 * n)) for n in range(10))


def test_one_that_asked_for_a_pause_gets_it():
    health = Health("acme", "llm", UpstreamOptions(), random.Random(1))
    busy = ProviderError("acme", "429", transient=True, busy=True, retry_after=2 * SECOND)
    for _ in range(10):
        health.failed(busy, at(1))
    assert not health.available(at(2.9))
    assert health.available(at(3))  # nothing was wrong with it: the breaker never opened


def test_percentiles_need_some_answers_and_forget_old_ones():
    taken = Latencies()
    for n in range(ENOUGH - 1):
        taken.add(n * MS, at(n))
    assert taken.percentile(0.5) is None
    assert taken.limit(Nanos(100 * MS), Nanos(900 * MS)) == 900 * MS
    taken.add(19 * MS, at(ENOUGH))
    assert taken.percentile(0.5) == 10 * MS
    assert taken.limit(Nanos(30 * MS), Nanos(900 * MS)) == 38 * MS
    assert taken.limit(Nanos(100 * MS), Nanos(900 * MS)) == 100 * MS
    taken.add(500 * MS, at(1000))
    assert taken.percentile(0.5) is None


class Door:
    def __init__(self, limit: int | None) -> None:
        self.gate = Gate(limit)
        self.came: list[str] = []

    def enter(self, name: str) -> Ticket:
        ticket = self.gate.enter(lambda: self.came.append(name))
        assert ticket is not None
        return ticket


def test_who_waits_comes_in_order_and_may_leave_the_line():
    door = Door(1)
    first = door.enter("first")
    second, third = door.enter("second"), door.enter("third")
    assert (first.granted, second.granted) == (True, False)
    second.leave()
    first.leave()
    first.leave()
    assert door.came == ["third"]
    third.leave()
    assert door.gate.inside == 0


def test_a_429_lowers_the_limit_and_answers_raise_it_again():
    door = Door(None)
    tickets = [door.enter(str(n)) for n in range(8)]
    for _ in range(5):
        door.gate.refused(at(1))
    assert door.gate.limit == 7
    tickets[0].leave()
    assert not door.enter("late").granted
    for _ in range(4):
        door.gate.answered()
    assert door.gate.limit == 8
    assert door.came == ["late"]
    for _ in range(40):
        door.gate.answered()
    assert door.gate.limit is None
