"""How good a resampler is, by its answer to sines: passband ripple, what folds back, and noise with distortion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

AMPLITUDE = 16_000.0
Process = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class Quality:
    ripple_db: float
    """Between the loudest and the quietest tone of 200 Hz to 0.4 of the lower rate."""
    alias_db: float
    """The loudest of what is left of tones above 0.6 of the lower rate, or of the images of those below 0.4 of it."""
    thd_n_db: float
    """Everything but a tone of 1 kHz, relative to it."""


def tone(frequency: float, rate: int, seconds: float = 0.5) -> np.ndarray:
    return np.round(AMPLITUDE * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)).astype(np.int16)


def spectrum(samples: np.ndarray, rate: int) -> np.ndarray:
    """Amplitudes by frequency in steps of 5 Hz; the ends, where a filter fills, are left out."""
    count = rate // 5
    middle = (len(samples) - count) // 2
    window = np.blackman(count)
    cut = samples[middle : middle + count].astype(float) * window
    return np.abs(np.fft.rfft(cut)) * 2 / window.sum()


def decibels(value: float) -> float:
    return float(20 * np.log10(max(value, 1e-3) / AMPLITUDE))


def measured(process: Process, rate_in: int, rate_out: int) -> Quality:
    """``process`` takes and gives 16-bit samples, each time of a stream of its own."""
    low = min(rate_in, rate_out)
    inside = [int(f) // 5 * 5 for f in np.linspace(200, 0.4 * low, 12)]
    levels = [spectrum(process(tone(f, rate_in)), rate_out)[f // 5 - 3 : f // 5 + 4].max() for f in inside]
    if rate_in > rate_out:
        outside = [int(f) // 5 * 5 for f in np.linspace(0.6 * low, min(0.49 * rate_in, 1.4 * low), 8)]
        left = [spectrum(process(tone(f, rate_in)), rate_out)[4:].max() for f in outside]
    else:
        images = slice(int(0.6 * low) // 5, None)
        left = [spectrum(process(tone(f, rate_in)), rate_out)[images].max(initial=0.0) for f in inside]
    whole = spectrum(process(tone(1000, rate_in)), rate_out)
    rest = whole.copy()
    rest[200 - 4 : 200 + 5] = 0
    rest[:4] = 0
    noise = float(np.sqrt((rest**2).sum()) / np.sqrt((whole[196:205] ** 2).sum()))
    return Quality(decibels(max(levels)) - decibels(min(levels)), decibels(max(left)), float(20 * np.log10(noise)))
