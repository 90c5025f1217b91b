"""A period more or less: the pitch stays, nothing clicks, and what does not resemble itself is left alone."""

from __future__ import annotations

import itertools
import math
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecs_ext.stretch import Stretch

rates = pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])


def vowel(rate: int, ms: int, pitch: float = 125.0) -> list[int]:
    return [
        round(sum(5000 / k * math.sin(2 * math.pi * k * pitch * n / rate) for k in range(1, 6)))
        for n in range(rate * ms // 1000)
    ]


def pack(samples: list[int]) -> bytes:
    return struct.pack(f"<{len(samples)}h", *samples)


def unpack(pcm: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(pcm) // 2}h", pcm))


def steepest(samples: list[int]) -> int:
    return max(abs(b - a) for a, b in itertools.pairwise(samples))


@rates
def test_a_period_is_left_out_without_a_click(rate: int) -> None:
    sent = vowel(rate, 60)
    heard = unpack(Stretch(rate).shorten(pack(sent), rate * 15 // 1000))
    assert len(sent) - len(heard) == pytest.approx(rate / 125, abs=2)
    assert steepest(heard) <= 1.05 * steepest(sent)
    period = len(sent) - len(heard)
    assert heard == pytest.approx(sent[:-period], abs=300)


@rates
def test_a_period_is_said_twice_without_a_click(rate: int) -> None:
    sent = vowel(rate, 40)
    heard = unpack(Stretch(rate).lengthen(pack(sent)))
    assert len(heard) - len(sent) == pytest.approx(rate / 125, abs=2)
    assert steepest(heard) <= 1.05 * steepest(sent)
    assert heard[-rate // 100 :] == sent[-rate // 100 :]


@rates
def test_noise_is_left_alone_and_silence_gives_what_is_asked_for(rate: int) -> None:
    source, stretch = random.Random(1), Stretch(rate)
    noise = pack([source.randint(-8000, 8000) for _ in range(rate // 20)])
    assert stretch.shorten(noise, rate // 100) == noise
    quiet = bytes(rate // 10)
    assert len(quiet) - len(stretch.shorten(quiet, rate // 100)) == 2 * (rate // 100)


@given(st.binary(min_size=2, max_size=2000), st.integers(-5, 10_000), st.sampled_from([8000, 16000, 24000, 48000]))
def test_any_samples(pcm: bytes, most: int, rate: int) -> None:
    size = len(pcm) & ~1
    assert size - 2 * max(most, 1) <= len(Stretch(rate).shorten(pcm, most)) <= size
    assert size <= len(Stretch(rate).lengthen(pcm)) <= size + 2 * (rate * 15 // 1000)


def test_what_cannot_be_stretched() -> None:
    with pytest.raises(ValueError, match="no rate"):
        Stretch(11025)
    with pytest.raises(ValueError, match="at a time"):
        Stretch().lengthen(b"")
