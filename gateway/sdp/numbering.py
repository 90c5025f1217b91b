"""Payload types of an offer: what has been said within a call stays so (RFC 3264 8.3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.sdp.packets import EVENTS
from gateway.sdp.types import AudioFormat, Codec, SessionDescription

__all__ = ["numbered"]

_EVENT: Final = "TELEPHONE-EVENT"
_EVENT_TYPE: Final = 101
"""What everybody takes, though it is dynamic."""
_DYNAMIC: Final = (*range(96, _EVENT_TYPE), *range(_EVENT_TYPE + 1, 128))

_Kind = tuple[str, int, int]


def numbered(codecs: Sequence[AudioFormat], before: Sequence[SessionDescription] = ()) -> list[Codec]:
    """Our formats with their payload types, and telephone-event with the clock of each. A far end that has used up all
    numbers is not offered what has none."""
    known, taken = _said(before)
    free = [number for number in _DYNAMIC if number not in taken]
    formats = []
    for one in codecs:
        number = one.payload_type if one.payload_type is not None else known.get(_kind(one)) or _first(free)
        if number is not None:
            formats.append(Codec(number, one.name, one.clock, one.channels, one.fmtp))
    for clock in dict.fromkeys(one.rate for one in formats):
        usual = _EVENT_TYPE if clock == 8000 and _EVENT_TYPE not in taken else None
        number = known.get((_EVENT, clock, 1)) or usual or _first(free)
        if number is not None:
            formats.append(Codec(number, _EVENT.lower(), clock, fmtp=EVENTS))
    return formats


def _said(before: Sequence[SessionDescription]) -> tuple[dict[_Kind, int], set[int]]:
    """What has a dynamic payload type already, and all that mean something. Where both sides use one for different
    things, ours counts: it is named first."""
    known: dict[_Kind, int] = {}
    taken: set[int] = set()
    for codec in (codec for one in before for media in one.media if media.kind == "audio" for codec in media.codecs):
        if codec.payload_type >= _DYNAMIC[0] and codec.payload_type not in taken:
            known.setdefault((codec.name.upper(), codec.rate, codec.channels), codec.payload_type)
        taken.add(codec.payload_type)
    return known, taken


def _kind(one: AudioFormat) -> _Kind:
    return one.name.upper(), one.clock, one.channels


def _first(free: list[int]) -> int | None:
    return free.pop(0) if free else None
