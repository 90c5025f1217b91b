"""How much is going on: calls at once and calls a second, of the gateway and of each trunk."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final, Literal

from gateway.units import SECOND, Nanos

__all__ = ["Bucket", "Direction", "Occupancy"]

Direction = Literal["in", "out"]
_SOURCES: Final = 10_000
_BURST: Final = Nanos(SECOND)


class Bucket:
    """A token bucket: ``rate`` calls a second, and those of ``burst`` at once."""

    __slots__ = ("_burst", "_filled", "_rate", "_tokens")

    def __init__(self, rate: float, burst: Nanos = _BURST) -> None:
        self._rate = rate
        self._burst = max(1.0, rate * burst / SECOND)
        self._tokens = self._burst
        self._filled = Nanos(0)

    def wait(self, now: Nanos) -> float:
        """Seconds until there is room for one more; 0 if there is."""
        missing = 1.0 - self._level(now)
        return 0.0 if missing <= 0 else missing / self._rate

    def take(self, now: Nanos) -> None:
        self._tokens = max(0.0, self._level(now) - 1.0)
        self._filled = now

    def _level(self, now: Nanos) -> float:
        return min(self._burst, self._tokens + self._rate * max(0, now - self._filled) / SECOND)


class Occupancy:
    """Calls are counted in when they are accepted, and out when they are over."""

    def __init__(self, burst: Nanos = _BURST) -> None:
        self.total = 0
        self.taken = 0
        """Calls that have begun, ever."""
        self.strain: Callable[[Nanos], str] = lambda now: ""
        """Why the machine can take no further call, if so (``overload.py``)."""
        self._burst = burst
        self._calls: Counter[tuple[str, Direction]] = Counter()
        self._buckets: dict[object, Bucket] = {}
        self._sources: OrderedDict[tuple[str, str], Bucket] = OrderedDict()

    def calls(self, trunk: str, direction: Direction | None = None) -> int:
        """Calls of a trunk that are going on."""
        if direction is not None:
            return self._calls[trunk, direction]
        return self._calls[trunk, "in"] + self._calls[trunk, "out"]

    def wait(self, what: object, rate: float | None, now: Nanos) -> int:
        """Whole seconds until ``what`` may have one more call at this rate; 0 if now."""
        if rate is None:
            return 0
        return math.ceil(self._bucket(what, rate).wait(now))

    def wait_source(self, trunk: str, host: str, rate: float | None, now: Nanos) -> int:
        """The same for one address; the least recently seen ones are forgotten when there are too many."""
        if rate is None:
            return 0
        return math.ceil(self._source(trunk, host, rate).wait(now))

    def enter(self, trunk: str, direction: Direction) -> None:
        self.total += 1
        self.taken += 1
        self._calls[trunk, direction] += 1

    def leave(self, trunk: str, direction: Direction) -> None:
        self.total -= 1
        self._calls[trunk, direction] -= 1

    def take(self, what: object, rate: float | None, now: Nanos) -> None:
        """One call of this second is used up."""
        if rate is not None:
            self._bucket(what, rate).take(now)

    def take_source(self, trunk: str, host: str, rate: float | None, now: Nanos) -> None:
        if rate is not None:
            self._source(trunk, host, rate).take(now)

    def _bucket(self, what: object, rate: float) -> Bucket:
        bucket = self._buckets.get(what)
        if bucket is None:
            bucket = self._buckets[what] = Bucket(rate, self._burst)
        return bucket

    def _source(self, trunk: str, host: str, rate: float) -> Bucket:
        bucket = self._sources.get((trunk, host))
        if bucket is None:
            if len(self._sources) >= _SOURCES:
                self._sources.popitem(last=False)
            bucket = self._sources[trunk, host] = Bucket(rate, self._burst)
        else:
            self._sources.move_to_end((trunk, host))
        return bucket
