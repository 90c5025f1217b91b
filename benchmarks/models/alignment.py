"""How near the estimate of what an interrupted caller heard comes to it.

    python benchmarks/models/alignment.py

Sentences by espeak-ng, which tells when each word begins, are cut at random places. Compared is how many words the
caller had heard by then with what is taken for it where a voice tells no word times: the same share of the sound for
every word, or the letters of each (``gateway/turns/alignment.py``).
"""

from __future__ import annotations

import itertools
import random
import re

from gateway.models.espeak import Espeak
from gateway.turns.alignment import estimated_ends, size
from gateway.turns.sentences import SentenceSplitter

VOICES = ("en-us", "en-us+f3", "en-us+m7")
SPEEDS = (150, 180)
CUTS = 40
TEXTS = (
    "Welcome to Luigi's. What would you like?",
    "So that is a large mushroom pizza for pickup. Is that right?",
    "Your order will be ready in about twenty five minutes, and the total is seventeen dollars and fifty cents.",
    "I can offer you an appointment on Tuesday at 3:30, or, if you prefer, on Wednesday at a quarter past nine.",
    "Unfortunately, the internationalization department is closed; however, I am happy to take a message.",
    "Okay. Let me check that for you, one moment please.",
    "We are open from Monday to Friday, 9 a.m. to 5 p.m., and on Saturdays until noon.",
    "The confirmation number is A B 4 7 2 9, and it has been sent to your email address.",
    "No, I do not think so, but I can ask.",
)


def spoken(engine: Espeak, text: str, voice: str, speed: int) -> tuple[list[int], int]:
    """When each word of the text ends, and the whole: milliseconds."""
    begun: dict[int, int] = {}
    size_bytes = 0

    def sink(pcm: bytes) -> bool:
        nonlocal size_bytes
        size_bytes += len(pcm)
        return True

    engine.speak(
        text, sink, voice=voice, speed=speed, pitch=50, on_word=lambda at, ms: begun.setdefault(at, ms) and None
    )
    length = size_bytes * 500 // engine.rate
    ends = [
        min((ms for at, ms in begun.items() if at >= match.end()), default=length)
        for match in re.finditer(r"\S+", text)
    ]
    return ends, length


def by_letters(words: list[str], length: int) -> list[int]:
    return estimated_ends(words, length / size(" ".join(words)))


def by_share(words: list[str], length: int) -> list[int]:
    return [length * number // len(words) for number in range(1, len(words) + 1)]


def main() -> None:
    engine, rng = Espeak(), random.Random(3)
    sentences = [one for text in TEXTS for one in SentenceSplitter().feed(f"{text} ")]
    errors: dict[str, list[int]] = {"by letters": [], "the same share": []}
    for text, voice, speed in itertools.product(sentences, VOICES, SPEEDS):
        ends, length = spoken(engine, text, voice, speed)
        guesses = {"by letters": by_letters(text.split(), length), "the same share": by_share(text.split(), length)}
        for _ in range(CUTS):
            at = rng.uniform(0, length)
            heard = sum(end <= at for end in ends)
            for name, guess in guesses.items():
                errors[name].append(sum(end <= at for end in guess) - heard)
    print(f"{len(sentences)} sentences, {len(VOICES)} voices, {len(SPEEDS)} speeds, {CUTS} cuts each")
    for name, off in errors.items():
        mean, exact, more = (
            sum(map(what, off)) / len(off) for what in (abs, lambda one: one == 0, lambda one: one > 0)
        )
        print(f"{name:15} {mean:.2f} words off, exact {exact:.0%}, more than was heard {more:.0%}")


main()
