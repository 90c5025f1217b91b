"""What is heard behind a caller: noise made of numbers, a crowd made of the caller's own clips, or a recording."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Iterable
from typing import Final

from gateway.bench.callers.level import scaled
from gateway.bench.callers.speech import RATE, read_wav
from gateway.bench.callers.steps import Behind
from gateway.errors import ConfigError

__all__ = ["behind"]

_LENGTH: Final = 8 * RATE
"""Of the loop: long enough that nobody hears it come round."""
_VOICES: Final = 7
_FULL_SCALE: Final = 32768


def behind(step: Behind, clips: Iterable[bytes], seed: int = 1) -> bytes:
    """A loop at the step's level (RMS). The same seed makes the same noise. Raises ``ConfigError``."""
    source = random.Random(seed)
    if step.wav is not None:
        samples = list(array("h", read_wav(step.wav)))
    elif step.noise == "babble":
        samples = _babble([array("h", clip) for clip in clips], source)
    else:
        samples = [round(x * 1000) for x in (_pink if step.noise == "pink" else _white)(source)]
    power = sum(x * x for x in samples) / len(samples) if samples else 0.0
    if power == 0:
        raise ConfigError([f"behind: there is no sound in {step.wav or step.noise}"])
    gain = _FULL_SCALE * 10 ** (step.level_dbfs / 20) / math.sqrt(power)
    return array("h", scaled(samples, gain)).tobytes()


def _white(source: random.Random) -> list[float]:
    return [source.gauss(0, 1) for _ in range(_LENGTH)]


def _pink(source: random.Random) -> list[float]:
    """White noise through three poles that fall 3 dB an octave between them (Kellet's economy filter)."""
    b0 = b1 = b2 = 0.0
    out = []
    for x in _white(source):
        b0 = 0.99765 * b0 + x * 0.0990460
        b1 = 0.96300 * b1 + x * 0.2965164
        b2 = 0.57000 * b2 + x * 1.0526913
        out.append(b0 + b1 + b2 + x * 0.1848)
    return out


def _babble(clips: list[array[int]], source: random.Random) -> list[int]:
    """Several of the clips at once, each over and over from a place of its own, every second one backwards."""
    if not clips:
        raise ConfigError(["behind: babble is made of what the caller says, and this one says nothing"])
    total = [0] * _LENGTH
    for number in range(_VOICES):
        clip = source.choice(clips)
        voice = clip[::-1] if number % 2 else clip
        offset = source.randrange(len(voice))
        for n in range(_LENGTH):
            total[n] += voice[(n + offset) % len(voice)]
    return total
