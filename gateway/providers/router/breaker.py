"""The circuit breaker of one provider in one role, shared by all calls of the process.

CLOSED ──failures within the window──▶ OPEN ──pause──▶ HALF_OPEN (one probe of our own, no caller at risk)
   ▲                                    ▲                  │
   └────────── probe succeeded ─────────┼──────────────────┤
                                        └── probe failed: a longer pause
"""

from __future__ import annotations

import random
from collections import deque
from enum import Enum

from gateway.providers.router.options import BreakerOptions
from gateway.units import Nanos

__all__ = ["Breaker", "State"]


class State(Enum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """Outcomes go in; ``allows`` says whether a call may ask. Time and randomness are handed in."""

    def __init__(self, options: BreakerOptions, jitter: random.Random) -> None:
        self.state = State.CLOSED
        self.opened_at = Nanos(0)
        self.probe_at = Nanos(0)
        """When open: the time of the next probe."""
        self._options = options
        self._jitter = jitter
        self._outcomes: deque[tuple[Nanos, bool]] = deque(maxlen=100)
        self._failures = 0
        self._pause = options.pause
        self._held_until = Nanos(0)

    def allows(self, now: Nanos) -> bool:
        return self.state is State.CLOSED and now >= self._held_until

    def succeeded(self, now: Nanos) -> None:
        """A call was served. While open it is the late success of a request asked before, and proves nothing."""
        if self.state is State.CLOSED:
            self._note(now, good=True)

    def failed(self, now: Nanos, retry_after: int | None = None) -> bool:
        """A call was not served. True if this opened the breaker."""
        if self.state is not State.CLOSED:
            return False
        self._note(now, good=False)
        if self._failures < self._options.failures or 2 * self._failures < len(self._outcomes):
            return False
        self.opened_at = now
        self._open(now, retry_after or 0)
        return True

    def hold(self, until: Nanos) -> None:
        """The provider asked to be left alone for a while (Retry-After); nothing is wrong with it."""
        self._held_until = max(self._held_until, until)

    def begin_probe(self) -> None:
        self.state = State.HALF_OPEN

    def probed(self, now: Nanos, *, good: bool, retry_after: int | None = None) -> None:
        """How the probe went."""
        if good:
            self.state = State.CLOSED
            self._outcomes.clear()
            self._failures = 0
            self._pause = self._options.pause
        else:
            self._pause = Nanos(min(2 * self._pause, self._options.longest_pause))
            self._open(now, retry_after or 0)

    def _open(self, now: Nanos, retry_after: int) -> None:
        self.state = State.OPEN
        pause = self._pause * (0.75 + self._jitter.random() / 2)
        self.probe_at = Nanos(now + max(round(pause), retry_after))

    def _note(self, now: Nanos, *, good: bool) -> None:
        outcomes = self._outcomes
        while outcomes and (now - outcomes[0][0] > self._options.window or len(outcomes) == outcomes.maxlen):
            self._failures -= not outcomes.popleft()[1]
        outcomes.append((now, good))
        self._failures += not good
