"""Where along its sound each word of a sentence ends: by the voice's own word times, or else by what its letters take.

Positions are samples at 8 kHz. The estimate gives each word its letters and a space, a digit four letters, because it
is a word of its own when it is spoken, and a mark inside the sentence its pause. Against espeak-ng's own word times a
cut laid so is 0.3 words off in the mean; with the same share for every word it was 0.7
(``benchmarks/models/alignment.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.units import SECOND, Nanos

__all__ = ["SAMPLES_PER_LETTER", "Word", "estimated_ends", "size", "told_ends"]

SAMPLES_PER_LETTER: Final = 533.0
"""Of a voice that was not heard yet: 15 letters a second."""
_MARKS: Final = {",": 3, ";": 4, ":": 4, "-": 2}
"""A mark takes as long as so many letters."""
_DIGIT: Final = 4


@dataclass(frozen=True, slots=True)
class Word:
    """When a word is spoken: nanoseconds from the start of its session's audio (STT), of its request's (TTS)."""

    text: str
    start: Nanos
    end: Nanos


def size(text: str) -> int:
    """How long it takes to say, in letters."""
    words = text.split()
    return sum(_letters(word) + _pause(word, last=number == len(words)) for number, word in enumerate(words, 1))


def estimated_ends(spoken: Sequence[str], pace: float) -> list[int]:
    """The end of each word, ``pace`` samples to a letter."""
    ends, reached = [], 0.0
    for number, word in enumerate(spoken, 1):
        reached += _letters(word) * pace
        ends.append(round(reached))
        reached += _pause(word, last=number == len(spoken)) * pace
    return ends


def told_ends(spoken: Sequence[str], words: Sequence[Word]) -> list[int | None]:
    """The end of each word by the voice's own times. Its words need not be ours (numbers, abbreviations): they are
    joined by counting letters, and one that ends within another has no end of its own."""
    ends: list[int | None] = []
    if not any(_alphanumeric(word.text) for word in words):
        return [None] * len(spoken)
    reached = index = wanted = 0
    for ours in spoken:
        wanted += _alphanumeric(ours)
        while index < len(words) and reached < wanted:
            reached += _alphanumeric(words[index].text)
            index += 1
        ends.append(words[index - 1].end * 8000 // SECOND if reached == wanted and index else None)
    return ends


def _letters(word: str) -> int:
    return len(word) + 1 + (_DIGIT - 1) * sum(character.isdecimal() for character in word)


def _pause(word: str, *, last: bool) -> int:
    return 0 if last else _MARKS.get(word[-1], 0)


def _alphanumeric(text: str) -> int:
    return sum(character.isalnum() for character in text)
