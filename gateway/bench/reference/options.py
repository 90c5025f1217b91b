"""What a reference agent does: told by the user part of the address that is called, or on the command line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from gateway.options import parse_duration
from gateway.units import MS, Nanos

__all__ = ["Manners", "Vice", "called"]


class Vice(StrEnum):
    """What may be wrong with a far end."""

    NONE = ""
    NEVER_ANSWERS = "never-answers"
    """Not even a 100."""
    RINGS = "rings"
    """For ever."""
    NO_AUDIO = "no-audio"
    """Answers, and sends nothing."""
    OTHER_CODEC = "other-codec"
    """Sends a codec that was not agreed on."""
    NEVER_STOPS = "never-stops"
    """Talks and talks."""
    HANGS_UP = "hangs-up"
    """As soon as it has answered."""
    MUTE = "mute"
    """Sends silence."""


_ANSWER: Final = Nanos(800 * MS)
_STOP: Final = Nanos(100 * MS)
_BUSY: Final = {"busy": 486, "decline": 603}


@dataclass(frozen=True, slots=True)
class Manners:
    """How one call is treated."""

    delay: Nanos
    """From the last sample of the caller's speech received to the first sample of the answer sent."""
    greets: bool = True
    answer: Nanos = _ANSWER
    """How long it speaks."""
    stop: Nanos = _STOP
    """From the first sample of an interruption received to the last sample sent."""
    vice: Vice = Vice.NONE
    refuses: int = 0
    """With this status."""


def called(user: str, usual: Manners) -> Manners:
    """``180ms``, ``busy``, ``503``, ``never-stops`` as the user part of the address; anything else is the usual."""
    if user in _BUSY:
        return replace(usual, refuses=_BUSY[user])
    if user.isdecimal() and len(user) == 3 and 400 <= int(user) <= 699:
        return replace(usual, refuses=int(user))
    if user in {str(vice) for vice in Vice if vice}:
        return replace(usual, vice=Vice(user))
    try:
        return replace(usual, delay=parse_duration(user))
    except ValueError:
        return usual
