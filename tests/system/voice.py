"""A voice whose words can be read off the wire: each is a tone of its own, as long as its letters, with a pause after
it.

What the caller heard is written down by measuring each tone's frequency, so a word said twice, left out or cut in
half shows.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from itertools import pairwise

from tests.system import g711

RATE = 8000
PER_CHARACTER = 533  # samples: 15 characters a second
PAUSE = 480
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"]


def _frequency(word: str) -> int:
    return 300 + 150 * WORDS.index(word.strip(".,!?").lower())


def say(text: str) -> tuple[bytes, list[dict[str, object]]]:
    """16-bit PCM at 8 kHz, and the words with their times."""
    pcm, words = bytearray(), []
    for word in text.split():
        start = len(pcm) // 2
        length = (len(word) + 1) * PER_CHARACTER - PAUSE
        step = 2 * math.pi * _frequency(word) / RATE
        pcm += struct.pack(f"<{length}h", *(int(9000 * math.sin(step * n)) for n in range(length)))
        words.append({"text": word, "start_ms": start // 8, "end_ms": (start + length) // 8})
        pcm += bytes(2 * PAUSE)
    return bytes(pcm), words


def read(payloads: Iterable[bytes]) -> list[str]:
    """The words of mu-law audio; one that is cut short carries a dash."""
    samples = [value for payload in payloads for value in g711.decode(payload)]
    words = []
    for tone in _tones(samples):
        crossings = sum(a < 0 <= b for a, b in pairwise(tone))
        number = round((crossings * RATE / len(tone) - 300) / 150)
        word = WORDS[number] if 0 <= number < len(WORDS) else "?"
        whole = len(tone) > (len(word) + 1) * PER_CHARACTER - PAUSE - 400
        words.append(word if whole else f"{word}-")
    return words


def _tones(samples: Sequence[int]) -> Iterable[Sequence[int]]:
    begun, quiet = None, 0
    for index, sample in enumerate((*samples, *[0] * 200)):
        quiet = 0 if abs(sample) > 300 else quiet + 1
        if quiet == 0 and begun is None:
            begun = index
        elif quiet >= 100 and begun is not None:
            if index - quiet - begun > 300:
                yield samples[begun : index - quiet]
            begun = None
