"""Comfort noise: its level and the shape of its spectrum (RFC 3389)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecs_ext.noise import ComfortNoise

FULL_SCALE = 32768.0


def made(payload: bytes, count: int = 16000) -> np.ndarray:
    noise = ComfortNoise()
    noise.describe(payload)
    return np.frombuffer(noise.make(count), np.int16).astype(float)


def level_db(samples: np.ndarray) -> float:
    return float(10 * np.log10((samples**2).mean() / FULL_SCALE**2))


@pytest.mark.parametrize("level", [35, 50, 65])
@pytest.mark.parametrize("shape", [b"", b"\x50", b"\xb0\x60\x90"])
def test_the_level_is_that_of_the_payload_whatever_the_shape(level: int, shape: bytes) -> None:
    assert level_db(made(bytes([level]) + shape)) == pytest.approx(-level, abs=0.7)


def test_nobody_makes_us_loud() -> None:
    assert level_db(made(b"\x00")) == pytest.approx(-30, abs=0.5)


@pytest.mark.parametrize(("quantized", "low"), [(30, True), (224, False)])
def test_a_first_coefficient_tilts_the_spectrum(quantized: int, low: bool) -> None:
    """A(z) = 1 + k/z: a negative one makes the low end louder, by (1 + |k|) / (1 - |k|) over the whole band."""
    spectrum = np.abs(np.fft.rfft(made(bytes([50, quantized]))))
    quarter = len(spectrum) // 4
    ratio = (spectrum[:quarter] ** 2).mean() / (spectrum[-quarter:] ** 2).mean()
    assert (ratio > 8) if low else (ratio < 1 / 8)


@given(st.binary(max_size=60))
def test_any_payload_gives_noise_that_is_bounded(payload: bytes) -> None:
    assert np.abs(made(payload, 800)).max() <= 32767


def test_without_a_description_there_is_silence() -> None:
    assert not made(b"", 100).any()
