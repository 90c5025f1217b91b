"""A flood is told of, and not told line by line."""

from __future__ import annotations

from gateway.call.throttle import Throttle
from gateway.units import MS, SECOND, Nanos


def test_a_burst_passes_and_a_flood_is_counted() -> None:
    throttle = Throttle(burst=5, per_second=10)
    start = 1000 * SECOND
    told = [throttle.admit(Nanos(start + n * MS)) for n in range(1000)]
    passed = [count for count in told if count is not None]
    assert told[:5] == [0] * 5
    assert 13 <= len(passed) <= 15
    assert 1000 - len(passed) - sum(passed) <= 100  # the rest waits for the next line


def test_a_quiet_time_restores_the_burst() -> None:
    throttle = Throttle(burst=3, per_second=10)
    for n in range(10):
        throttle.admit(Nanos(SECOND + n))
    assert throttle.admit(Nanos(60 * SECOND)) == 7
    assert [throttle.admit(Nanos(60 * SECOND)) for _ in range(3)] == [0, 0, None]
