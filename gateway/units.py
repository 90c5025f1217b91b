"""Units in the type, and arithmetic that wraps.

Time is an ``int`` of nanoseconds of CLOCK_MONOTONIC everywhere (``Nanos``); seconds and milliseconds exist at the
edges: configuration, logs and reports. Media time is counted in samples from the start of the stream (``Samples``), at
the rate that the name or docstring beside it gives.
"""

from __future__ import annotations

from typing import Final, NewType

__all__ = ["MS", "SECOND", "Nanos", "Samples", "from_ms", "from_seconds", "sequence_distance", "to_ms"]

Nanos = NewType("Nanos", int)
Samples = NewType("Samples", int)

MS: Final = 1_000_000
SECOND: Final = 1_000_000_000


def from_ms(milliseconds: float) -> Nanos:
    """Milliseconds to nanoseconds, rounded. ``TypeError`` for what is no number, whoever sent it: text, multiplied by a
    million, would be a gigabyte."""
    return Nanos(round((milliseconds + 0.0) * MS))


def from_seconds(seconds: float) -> Nanos:
    """Seconds to nanoseconds, as ``from_ms`` does it."""
    return Nanos(round((seconds + 0.0) * SECOND))


def to_ms(nanoseconds: int) -> float:
    """Nanoseconds to milliseconds with three decimals: what reports and logs show."""
    return round(nanoseconds / MS, 3)


def sequence_distance(later: int, earlier: int, bits: int = 16) -> int:
    """Signed distance on a circle of ``2**bits`` (RFC 3550 A.1, RFC 1982): positive if ``later`` is ahead."""
    half = 1 << (bits - 1)
    return ((later - earlier + half) & ((1 << bits) - 1)) - half
