"""A sound or a phrase that covers the gap while another provider is asked."""

from __future__ import annotations

from gateway.units import Nanos, Samples

__all__ = ["Bridge"]


class Bridge:
    """When to play it, and whether the caller hears it at the moment. Once a turn."""

    def __init__(self, after: Nanos | None) -> None:
        self._after = after
        self._at: Nanos | None = None
        self._used = False
        self.end: int | None = None
        """Where along the playout it ends, from when it is queued until it was played."""

    def lost(self, now: Nanos) -> None:
        """A provider failed in this turn."""
        if self._after is not None and self._at is None and not self._used:
            self._at = Nanos(now + self._after)

    def next_timer(self) -> Nanos | None:
        return self._at

    def due(self, now: Nanos) -> bool:
        """True once: now is the time, if the caller still hears nothing."""
        if self._at is None or now < self._at:
            return False
        self._at = None
        self._used = True
        return True

    def heard(self) -> None:
        """The answer has audio: there is nothing to cover."""
        self._at = None

    def played(self, position: Samples) -> None:
        """The queue is empty, or nearly so."""
        if self.end is not None and position >= self.end - 160:
            self.end = None

    def over(self) -> None:
        """The turn is over."""
        self._at = self.end = None
        self._used = False
