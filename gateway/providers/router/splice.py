"""Where a sentence that broke off may be cut, and which of its words are still to be said.

Word times decide it exactly where the provider tells them. Without them the words are laid along the audio by their
length and the voice's own pace, and the cut goes into a real pause next to a place where one is due; a pause is where
nothing can be cut in two. No I/O; positions are 8 kHz samples from the sentence's first.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.audio import Encoding
from gateway.turns.alignment import Word, estimated_ends, told_ends
from gateway.units import SECOND

__all__ = ["Cut", "cut", "levels"]

STEP: Final = 80
"""Samples of one level: 10 ms."""
_PAUSE: Final = 4
"""Levels of quiet that make a pause."""
_QUIET: Final = 0.06
"""Of the loudest level."""
_REACH: Final = 2400
"""A pause this near (300 ms) to where one is due is taken for it."""
_G711_PEAK: Final = 0x7F


@dataclass(frozen=True, slots=True)
class Cut:
    """Play up to ``at``, then say ``rest``."""

    at: int
    rest: str


def levels(audio: bytes, rate: int, encoding: Encoding) -> list[int]:
    """The loudest of every tenth sample in each 10 ms. Enough to tell a pause from speech, and cheap."""
    step = STEP * rate // 8000
    if encoding is Encoding.PCM:
        samples = array("h", audio[: len(audio) // 2 * 2])
        return [max(map(abs, samples[i : i + step : 10])) for i in range(0, len(samples), step)]
    # G.711 counts down to silence: the seven low bits are the inverted magnitude (mu-law), or nearly so (A-law).
    toggle = _G711_PEAK if encoding is Encoding.ULAW else 0x55
    return [
        1 << (max((byte & 0x7F) ^ toggle for byte in audio[i : i + step : 10]) >> 4) for i in range(0, len(audio), step)
    ]


def cut(
    text: str, played: int, delivered: int, pace: float, *, loudness: Sequence[int], words: Sequence[Word] = ()
) -> Cut:
    """The last safe place between ``played``, before which nothing can be taken back, and ``delivered``."""
    spoken = list(re.finditer(r"\S+", text))
    if not spoken or not delivered:
        return Cut(0, text)
    said = [match[0] for match in spoken]
    ends: Sequence[int | None] = told_ends(said, words) if words else estimated_ends(said, pace)
    inside = [(number, end) for number, end in enumerate(ends, 1) if end is not None and played <= end <= delivered]
    if words and inside:
        number, end = inside[-1]
        following = min(
            (word.start * 8000 // SECOND for word in words if word.start * 8000 // SECOND >= end), default=end
        )
        return Cut(min(following, delivered), _from(text, spoken, number))  # the pause behind the word stays with it
    if len(inside) > 1:  # whether the last word was whole is what an estimate knows least
        inside = [(number, end) for number, end in inside if number < len(spoken)]
    elif inside and inside[0][0] == len(spoken):
        return Cut(delivered, "")
    quiet = _pauses(loudness)
    for number, end in reversed(inside):
        at = _pause_near(quiet, end, played, delivered)
        if at is not None:
            return Cut(at, _from(text, spoken, number))
    if inside:  # fluent speech: the sooner the cut, the less the estimate has drifted
        number, end = inside[0]
        return Cut(_quietest(loudness, end, played, delivered), _from(text, spoken, number))
    # A word was begun that cannot be taken back: it breaks off, and is said again whole.
    number = sum(end is not None and end < played for end in ends)
    return Cut(min(played, delivered), _from(text, spoken, number))


def _from(text: str, spoken: Sequence[re.Match[str]], number: int) -> str:
    return text[spoken[number].start() :] if number < len(spoken) else ""


def _pauses(loudness: Sequence[int]) -> list[tuple[int, int]]:
    """Quiet stretches: where each begins and ends, in samples."""
    threshold = _QUIET * max(loudness, default=0)
    found: list[tuple[int, int]] = []
    begun: int | None = None
    for index, level in enumerate((*loudness, 1 << 20)):
        if level <= threshold:
            begun = index if begun is None else begun
        elif begun is not None:
            if index - begun >= _PAUSE:
                found.append((begun * STEP, index * STEP))
            begun = None
    return found


def _pause_near(pauses: Sequence[tuple[int, int]], end: int, played: int, delivered: int) -> int | None:
    """The middle of the pause in which this word must have ended."""
    middles = [min(max((begin + stop) // 2, played), delivered) for begin, stop in pauses if stop > played]
    near = [middle for middle in middles if abs(middle - end) <= _REACH]
    return min(near, key=lambda middle: abs(middle - end), default=None)


def _quietest(loudness: Sequence[int], end: int, played: int, delivered: int) -> int:
    """Of the places within 100 ms of ``end``, the one where least is heard."""
    places = range(max(played, end - 800), min(delivered, end + 800) + 1, STEP)
    return min(places, key=lambda at: loudness[min(at // STEP, len(loudness) - 1)] if loudness else 0, default=end)
