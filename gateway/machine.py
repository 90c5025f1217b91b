"""The contract of everything without I/O.

A machine takes bytes or items together with ``now``, changes once, and is then drained until it says when to wake:

    machine.receive(item, now)            # or a verb of its domain, or handle_timer(now)
    for item in machine.outgoing(): ...   # what to send
    for event in machine.events(): ...    # what the layer above should know
    wake_at = machine.next_timer()        # monotonic nanoseconds, or None

It never waits, reads a clock, logs or draws a random number: time and randomness are handed in. ``net/driver.py`` is
the one place that does so with a real clock, ``tests/sim/`` does so with a virtual one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from gateway.units import Nanos

__all__ = ["Machine", "earliest"]

Out_co = TypeVar("Out_co", covariant=True)
Event_co = TypeVar("Event_co", covariant=True)


class Machine(Protocol[Out_co, Event_co]):
    """What a driver needs of a machine. Each drain empties what it returns; draining twice returns nothing new."""

    def outgoing(self) -> Iterable[Out_co]: ...

    def events(self) -> Iterable[Event_co]: ...

    def next_timer(self) -> Nanos | None: ...

    def handle_timer(self, now: Nanos) -> None:
        """Does what is due at ``now``. Early does nothing, late does all of it."""


def earliest(*timers: Nanos | None) -> Nanos | None:
    """The first of several optional timers."""
    armed = [timer for timer in timers if timer is not None]
    return min(armed) if armed else None
