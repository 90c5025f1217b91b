"""Signals whose first and last loud sample are known, and a mu-law channel written from ITU-T G.711, not from ours."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Iterator

RATE = 8000


def silence(ms: float) -> list[int]:
    return [0] * round(ms * RATE / 1000)


def noise(ms: float, dbfs: float, seed: int = 1) -> list[int]:
    source, sigma = random.Random(seed), 32768 * 10 ** (dbfs / 20)
    return [round(source.gauss(0, sigma)) for _ in range(round(ms * RATE / 1000))]


def tone(ms: float, dbfs: float = -20.0, hertz: float = 440.0, phase: float = 0.0) -> list[int]:
    peak = 32768 * 10 ** (dbfs / 20) * math.sqrt(2)
    step = 2 * math.pi * hertz / RATE
    return [round(peak * math.sin(phase + step * n)) for n in range(round(ms * RATE / 1000))]


def voice(ms: float, dbfs: float = -20.0, pitch: float = 90.0) -> list[int]:
    """Glottal pulses through one damped resonance: valleys between pulses, like a low male vowel."""
    level, period = 32768 * 10 ** (dbfs / 20) * 4, RATE / pitch
    return [
        round(level * math.exp(-(n % period) / 25) * math.sin(2 * math.pi * 700 * (n % period + 1) / RATE))
        for n in range(round(ms * RATE / 1000))
    ]


def add(left: list[int], right: list[int]) -> list[int]:
    return [max(-32768, min(32767, a + b)) for a, b in zip(left, right, strict=True)]


def pcm(samples: list[int]) -> bytes:
    return array("h", samples).tobytes()


def frames(samples: list[int], size: int = 160) -> Iterator[bytes]:
    for start in range(0, len(samples) - size + 1, size):
        yield pcm(samples[start : start + size])


def ulaw(sample: int) -> int:
    """One 16-bit sample through mu-law and back (G.711 table 2a, 14-bit domain)."""
    sign, value = (-1 if sample < 0 else 1), min(abs(sample) // 4 + 33, 8191)
    segment = value.bit_length() - 6
    step = 2 << segment
    quantised = (value // step) * step + step // 2
    return sign * (quantised - 33) * 4
