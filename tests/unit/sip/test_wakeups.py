from __future__ import annotations

from gateway.sip.wakeups import Wakeups
from gateway.units import Nanos


class Sleeper:
    def __init__(self) -> None:
        self.wake: Nanos | None = None

    def handle_timer(self, now: Nanos) -> None:
        self.wake = None


def test_a_changed_wish_replaces_the_old_one() -> None:
    wakeups, early, late = Wakeups(), Sleeper(), Sleeper()
    for sleeper, when in ((late, 50), (early, 10), (late, 30), (early, 20)):
        sleeper.wake = Nanos(when)
        wakeups.arm(sleeper)
    assert wakeups.next() == 20
    assert list(wakeups.due(Nanos(19))) == []
    assert list(wakeups.due(Nanos(30))) == [early, late]
    assert wakeups.next() is None


def test_outdated_entries_do_not_pile_up() -> None:
    wakeups, busy = Wakeups(), Sleeper()
    for when in range(100_000):
        busy.wake = Nanos(when)
        wakeups.arm(busy)
    assert len(wakeups) <= 1025
    busy.wake = None
    assert wakeups.next() is None
