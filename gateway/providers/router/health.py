"""What the process knows of one provider in one role: all its calls read it and add to it."""

from __future__ import annotations

import random
from collections.abc import Callable

from gateway.errors import ProviderError
from gateway.providers.router.breaker import Breaker
from gateway.providers.router.gate import Gate
from gateway.providers.router.latency import Latencies
from gateway.providers.router.options import Role, UpstreamOptions
from gateway.turns.alignment import SAMPLES_PER_LETTER
from gateway.units import Nanos

__all__ = ["Health"]


class Health:
    """``first`` is the time to the first result of a request, ``between`` the longest pause within each."""

    def __init__(self, provider: str, role: Role, options: UpstreamOptions, jitter: random.Random) -> None:
        self.provider = provider
        self.role = role
        self.queue = options.queue
        self.breaker = Breaker(options.breaker, jitter)
        self.gate = Gate(options.limit(role))
        self.connect = Latencies()
        self.first = Latencies()
        self.between = Latencies()
        self.samples_per_letter = SAMPLES_PER_LETTER
        """Of its speech, at 8 kHz."""
        self.served = 0
        self.failures = {"busy": 0, "transient": 0, "permanent": 0}
        """Requests that failed: too many at once, what another attempt may mend, and what only a person can."""
        self.on_open: Callable[[Health], None] = lambda health: None
        """Told when the breaker opens."""

    def available(self, now: Nanos) -> bool:
        return self.breaker.allows(now)

    def succeeded(self, now: Nanos) -> None:
        self.served += 1
        self.breaker.succeeded(now)
        self.gate.answered()

    def failed(self, error: ProviderError, now: Nanos) -> None:
        """Too much at once is no fault of the provider's: it is asked for less, and left alone as long as it wants."""
        self.failures["busy" if error.busy else "transient" if error.transient else "permanent"] += 1
        if error.busy:
            self.gate.refused(now)
            if error.retry_after:
                self.breaker.hold(Nanos(now + error.retry_after))
        elif self.breaker.failed(now, error.retry_after):
            self.on_open(self)

    def spoke(self, samples: int, letters: int) -> None:
        """A whole sentence of its speech, 8 kHz samples for so many letters (``alignment.size``)."""
        if letters >= 8:
            self.samples_per_letter += 0.2 * (samples / letters - self.samples_per_letter)
