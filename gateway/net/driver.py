"""Runs a machine on a real clock: the only place that asks what time it is.

After each input the machine is drained completely, then the next timer is armed. What ``send`` raises is told to the
loop's exception handler, and the rest is sent. Events are delivered after the datagrams have left; a handler that calls
a verb from within an event is served before ``run`` returns.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from gateway.machine import Machine
from gateway.units import SECOND, Nanos

__all__ = ["Driver", "monotonic"]

Out = TypeVar("Out")
Event = TypeVar("Event")
Result = TypeVar("Result")


def monotonic() -> Nanos:
    """CLOCK_MONOTONIC in nanoseconds, the clock of the whole house."""
    return Nanos(time.monotonic_ns())


def _nobody(told: object) -> None:
    """The driver is closed."""


class Driver(Generic[Out, Event]):
    """``send`` takes what ``machine.outgoing`` gives, ``on_event`` what ``machine.events`` gives."""

    def __init__(
        self,
        machine: Machine[Out, Event],
        send: Callable[[Out], None],
        on_event: Callable[[Event], None],
        clock: Callable[[], Nanos] = monotonic,
    ) -> None:
        self._machine = machine
        self._send = send
        self._on_event = on_event
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._armed: Nanos | None = None
        self._undelivered: deque[Event] = deque()
        self._draining = False
        self._closed = False

    def run(self, step: Callable[..., Result], *args: Any) -> Result:
        """Calls ``step(*args, now)``, a method of the machine, then drains and re-arms."""
        result = step(*args, self._clock())
        self.poke()
        return result

    def now(self) -> Nanos:
        """What the machine's verbs take."""
        return self._clock()

    def poke(self) -> None:
        """Drains and re-arms; for callers that changed the machine themselves."""
        if self._draining or self._closed:
            return  # the drain that is running goes on until nothing is left
        self._draining = True
        try:
            self._drain()
        except BaseException:
            # A handler's mistake must not cost other calls their events: the rest follows in the loop's next round.
            self._loop.call_soon(self.poke)
            raise
        finally:
            self._draining = False
            self._arm()

    def close(self) -> None:
        """Nothing is sent or told after this, and who would have been told is let go: it knows this driver."""
        self._closed = True
        self._send = self._on_event = _nobody
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _drain(self) -> None:
        while True:
            for item in self._machine.outgoing():
                self._deliver(item)
            self._undelivered.extend(self._machine.events())
            if not self._undelivered:
                break
            while self._undelivered:
                self._on_event(self._undelivered.popleft())

    def _deliver(self, item: Out) -> None:
        """One effect that cannot be carried out must not cost the others, which the machine has forgotten already."""
        try:
            self._send(item)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            self._loop.call_exception_handler({"message": f"not sent: {type(item).__name__}", "exception": error})

    def _arm(self) -> None:
        wake = self._machine.next_timer()
        if wake == self._armed and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._armed = wake
        if wake is not None and not self._closed:
            delay = max(0, wake - self._clock()) / SECOND
            self._timer = self._loop.call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.run(self._machine.handle_timer)
