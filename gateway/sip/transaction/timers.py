"""The timers of RFC 3261 table 4, derived from T1, T2 and T4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.units import MS, SECOND, Nanos

__all__ = ["Timers"]

_T1: Final = Nanos(500 * MS)
_T2: Final = Nanos(4 * SECOND)
_T4: Final = Nanos(5 * SECOND)


@dataclass(frozen=True, slots=True)
class Timers:
    """Given to each transaction as an argument; nanoseconds."""

    t1: Nanos = _T1
    t2: Nanos = _T2
    t4: Nanos = _T4

    @property
    def give_up(self) -> Nanos:
        """Timers B, F, H, J, L, M, and how long a 200 waits for its ACK: 64*T1."""
        return Nanos(64 * self.t1)

    @property
    def absorb(self) -> Nanos:
        """Timer D: 32 s with the default T1 on an unreliable transport, which is again 64*T1."""
        return self.give_up
