from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.net.driver import Driver
from gateway.units import MS, Nanos


class Clockwork:
    """A machine that says ``tick`` to each input, and rings when asked to."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.told: list[str] = []
        self.wake: Nanos | None = None

    def receive(self, word: str, now: Nanos) -> str:
        self.out.append(f"sent {word}")
        self.told.append(f"heard {word}")
        return word.upper()

    def ring_at(self, when: Nanos | None, now: Nanos) -> None:
        self.wake = when

    def handle_timer(self, now: Nanos) -> None:
        if self.wake is not None and now >= self.wake:
            self.wake = None
            self.told.append("rang")

    def outgoing(self) -> list[str]:
        drained, self.out = self.out, []
        return drained

    def events(self) -> list[str]:
        drained, self.told = self.told, []
        return drained

    def next_timer(self) -> Nanos | None:
        return self.wake


async def test_what_a_machine_says_is_delivered_in_order_before_run_returns() -> None:
    machine, log = Clockwork(), list[str]()
    driver = Driver(machine, log.append, log.append)
    assert driver.run(machine.receive, "a") == "A"
    assert log == ["sent a", "heard a"]


async def test_a_handler_may_call_back() -> None:
    machine, log = Clockwork(), list[str]()

    def on_event(event: str) -> None:
        log.append(event)
        if event == "heard a":
            driver.run(machine.receive, "b")

    driver = Driver(machine, log.append, on_event)
    driver.run(machine.receive, "a")
    assert log == ["sent a", "heard a", "sent b", "heard b"]


async def test_a_handler_that_fails_costs_the_others_nothing() -> None:
    machine, log = Clockwork(), list[str]()
    machine.told = ["bad", "good"]
    delivered = asyncio.Event()

    def on_event(event: str) -> None:
        log.append(event)
        if event == "bad":
            raise ValueError(event)
        if event == "heard a":
            delivered.set()

    driver = Driver(machine, log.append, on_event)
    with pytest.raises(ValueError, match="bad"):
        driver.run(machine.receive, "a")
    await asyncio.wait_for(delivered.wait(), 1)
    assert log == ["sent a", "bad", "good", "heard a"]


async def test_timers_ring_at_their_time_and_can_be_moved() -> None:
    machine, rang = Clockwork(), asyncio.Event()
    loop = asyncio.get_running_loop()
    driver = Driver(machine, lambda item: None, lambda event: rang.set(), lambda: Nanos(round(loop.time() * 1e9)))
    start = loop.time()
    driver.run(machine.ring_at, Nanos(round(start * 1e9) + 5000 * MS))
    driver.run(machine.ring_at, Nanos(round(start * 1e9) + 30 * MS))
    await asyncio.wait_for(rang.wait(), 2)
    assert 0.029 <= loop.time() - start < 1


async def test_after_close_nothing_rings() -> None:
    machine, log = Clockwork(), list[str]()
    driver = Driver(machine, log.append, log.append, lambda: Nanos(0))
    driver.run(machine.ring_at, Nanos(1))
    driver.close()
    driver.run(machine.receive, "a")
    await asyncio.sleep(0)
    assert log == []


async def test_an_effect_that_fails_costs_the_others_nothing() -> None:
    machine, log = Clockwork(), list[str]()
    machine.out = ["bad"]
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    def send(item: str) -> None:
        if item == "bad":
            raise ValueError(item)
        log.append(item)

    driver = Driver(machine, send, log.append)
    driver.run(machine.receive, "a")
    assert log == ["sent a", "heard a"]
    assert [str(context["exception"]) for context in reported] == ["bad"]
