"""How long a packet is (``a=ptime``, ``a=maxptime``, RFC 8866 6.4 and 6.5), and which events are served (RFC 4733)."""

from __future__ import annotations

from typing import Final

from gateway.sdp.types import Media

__all__ = ["EVENTS", "PTIME_MS", "packet_time", "served_events"]

PTIME_MS: Final = 20
EVENTS: Final = "0-15"
"""The digits (RFC 4733 3.2)."""
_SHORTEST_MS, _LONGEST_MS, _STEP_MS = 10, 60, 10


def packet_time(media: Media) -> int:
    """Milliseconds of the packets that ``media``'s describer gets from us: what it wishes for, as far as we can."""
    wish = media.ptime_ms or PTIME_MS
    longest = _number(next((value for name, value in media.attributes if name == "maxptime"), ""))
    if longest is not None:
        wish = min(wish, longest)
    return max(_SHORTEST_MS, min(wish // _STEP_MS * _STEP_MS, _LONGEST_MS))


def served_events(fmtp: str) -> str:
    """Of the events that a describer names, ours: ``0-11,66`` becomes ``0-11``; ``""`` if there is none. Who names none
    means the digits (RFC 4733 2.4.1), and so does whoever writes what cannot be read."""
    numbers: set[int] = set()
    for item in fmtp.partition(";")[0].split(",") if fmtp.strip() else ():
        first, dash, last = (text.strip() for text in item.partition("-"))
        low, high = _number(first), _number(last if dash else first)
        if low is None or high is None:
            return EVENTS
        numbers.update(range(max(low, 0), min(high, 15) + 1))
    if not fmtp.strip():
        return EVENTS
    return _ranges(sorted(numbers))


def _ranges(numbers: list[int]) -> str:
    spans: list[tuple[int, int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1] = spans[-1][0], number
        else:
            spans.append((number, number))
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in spans)


def _number(text: str) -> int | None:
    text = text.partition(".")[0].strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 6 else None
