"""Resampling: any cut gives the same samples, tones keep their level, what cannot be carried is taken out."""

from __future__ import annotations

import math
import random
import struct
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codecs_ext.resample import RATES, SOURCES, Resample
from tests.unit.codecs_ext.resampling import measured

PAIRS = [pair for pair in product(SOURCES, RATES) if pair[0] != pair[1]]


def tone(frequency: float, rate: int, seconds: float, amplitude: float = 10_000) -> bytes:
    count = int(rate * seconds)
    return struct.pack(
        f"<{count}h", *(round(amplitude * math.sin(2 * math.pi * frequency * i / rate)) for i in range(count))
    )


def samples(pcm: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(pcm) // 2}h", pcm))


def level_at(pcm: bytes, frequency: float, rate: int) -> float:
    """Amplitude of one frequency: a single bin of a Fourier transform, Hann window, ends left out."""
    values = samples(pcm)[rate // 50 : -rate // 50]
    count = len(values)
    real = imaginary = weight = 0.0
    for i, value in enumerate(values):
        window = 0.5 - 0.5 * math.cos(2 * math.pi * i / count)
        real += window * value * math.cos(2 * math.pi * frequency * i / rate)
        imaginary += window * value * math.sin(2 * math.pi * frequency * i / rate)
        weight += window
    return 2 * math.hypot(real, imaginary) / weight


def decibels(amplitude: float, reference: float) -> float:
    return 20 * math.log10(max(amplitude, 1e-3) / reference)


@pytest.mark.parametrize(("rate_in", "rate_out"), PAIRS)
@pytest.mark.parametrize("frequency", [300, 1000, 2800])
def test_a_tone_of_the_telephone_band_keeps_its_level(rate_in, rate_out, frequency):
    out = Resample(rate_in, rate_out).process(tone(frequency, rate_in, 0.25))
    assert abs(decibels(level_at(out, frequency, rate_out), 10_000)) < 0.2


@pytest.mark.parametrize("rate_in", [16000, 22050, 24000, 44100, 48000])
def test_what_8_khz_cannot_carry_does_not_fold_back(rate_in):
    out = Resample(rate_in, 8000).process(tone(5500, rate_in, 0.25))
    assert decibels(level_at(out, 2500, 8000), 10_000) < -50


@pytest.mark.parametrize("rate_out", [16000, 24000, 48000])
def test_upsampling_leaves_no_image(rate_out):
    out = Resample(8000, rate_out).process(tone(2500, 8000, 0.25))
    assert decibels(level_at(out, 5500, rate_out), 10_000) < -50


@pytest.mark.parametrize(("rate_in", "rate_out"), PAIRS)
def test_the_ratio_of_lengths_is_exact(rate_in, rate_out):
    assert len(Resample(rate_in, rate_out).process(bytes(2 * rate_in))) == 2 * rate_out


@pytest.mark.parametrize(("rate_in", "rate_out"), PAIRS)
def test_full_scale_does_not_wrap_around(rate_in, rate_out):
    square = struct.pack("<60h", *([32767] * 30 + [-32768] * 30)) * (rate_in // 400)
    values = samples(Resample(rate_in, rate_out).process(square))
    assert max(values) > 30_000
    assert min(values) < -30_000
    constant = samples(Resample(rate_in, rate_out).process(struct.pack("<h", 20_000) * (rate_in // 10)))
    assert all(abs(value - 20_000) <= 2 for value in constant[rate_out // 100 :])


@pytest.mark.parametrize(("rate_in", "rate_out"), PAIRS)
def test_its_quality_is_far_beyond_that_of_any_telephone_codec(rate_in, rate_out):
    """G.711 has 38 dB at best; soxr's HQ and ours side by side: benchmarks/kernels/resampling.py."""

    def resample(pcm: np.ndarray) -> np.ndarray:
        return np.frombuffer(Resample(rate_in, rate_out).process(pcm.tobytes()), np.int16)

    quality = measured(resample, rate_in, rate_out)
    assert quality.ripple_db < 0.2
    assert quality.alias_db < -60
    assert quality.thd_n_db < -68


@settings(deadline=None)
@given(st.sampled_from(PAIRS), st.lists(st.integers(0, 700), min_size=1, max_size=12), st.integers())
def test_any_cut_of_a_stream_gives_the_same_samples(pair, cuts, seed):
    pcm = random.Random(seed).randbytes(2 * sum(cuts))
    whole = Resample(*pair).process(pcm)
    cut, out, place = Resample(*pair), b"", 0
    for count in cuts:
        out += cut.process(pcm[place : place + 2 * count])
        place += 2 * count
    assert out == whole


@settings(deadline=None)
@given(st.sampled_from([8000, 16000, 24000, 48000]), st.lists(st.integers(1, 500), min_size=1, max_size=10))
def test_wanted_inputs_give_exactly_the_8_khz_outputs_asked_for(rate, steps):
    state = Resample(rate, 8000)
    for outputs in steps:
        assert len(state.process(bytes(2 * state.wanted(outputs)))) == 2 * outputs


def test_unknown_rates_and_half_samples_are_refused():
    with pytest.raises(ValueError, match="11025"):
        Resample(11025, 8000)
    with pytest.raises(ValueError, match="44100"):
        Resample(8000, 44100)  # nobody is sent that
    with pytest.raises(ValueError, match="even"):
        Resample(8000, 16000).process(b"\0")
