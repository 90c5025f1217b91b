"""Log lines that a stranger can cause, kept to a bearable number: a flood must not fill the disk."""

from __future__ import annotations

from gateway.units import SECOND, Nanos

__all__ = ["Throttle"]


class Throttle:
    """Lets ``burst`` events through, then ``per_second``; counts the others until one may pass again."""

    def __init__(self, burst: int = 50, per_second: int = 10) -> None:
        self._burst = burst
        self._pause = SECOND // per_second
        self._room = burst
        self._refilled = Nanos(0)
        self._suppressed = 0

    def admit(self, now: Nanos) -> int | None:
        """None: keep silent. Otherwise how many were kept silent since the last one that passed."""
        gained, rest = divmod(max(0, now - self._refilled), self._pause)
        self._room = min(self._burst, self._room + gained)
        self._refilled = Nanos(now - rest)
        if not self._room:
            self._suppressed += 1
            return None
        self._room -= 1
        suppressed, self._suppressed = self._suppressed, 0
        return suppressed
