"""Is there a voice in it? Every word of English has a vowel, and a vowel repeats itself at the voice's pitch; noise
does not, however well a recogniser that knows only words may find one in it. (So a whisper is noise here.)"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["Voicing"]

_RATE: Final = 8000
_HOP: Final = _RATE // 50
_WINDOW: Final = 2 * _HOP
_LAGS: Final = slice(_RATE // 400, _RATE // 70)
"""Pitches from 70 to 400 Hz."""
_PERIODIC: Final = 0.6
"""Of 1. A window of white or pink noise hardly ever reaches it (once in 240 bursts), one of brown noise sometimes."""
_QUIETEST: Final = 30.0
"""Root mean square: -61 dBFS, the noise of a line."""
_FFT: Final = 512  # the window and the longest lag, without wrapping round


class Voicing:
    """Counts the windows of a turn in which a voice sounds, while the audio comes: 40 ms each, every 20 ms."""

    def __init__(self) -> None:
        self.voiced = 0
        self._kept: npt.NDArray[np.float32] = np.zeros(0, np.float32)

    def push(self, pcm: bytes) -> None:
        """16-bit samples at 16 kHz, any whole number of pairs."""
        pairs: npt.NDArray[Any] = np.frombuffer(pcm, np.int16)[: len(pcm) // 4 * 2].reshape(-1, 2)
        self._kept = np.concatenate([self._kept, pairs.mean(1, dtype=np.float32)])
        while len(self._kept) >= _WINDOW:
            self.voiced += periodicity(self._kept[:_WINDOW]) >= _PERIODIC
            self._kept = self._kept[_HOP:]


def periodicity(window: npt.NDArray[np.float32]) -> float:
    """The greatest normalised autocorrelation at a lag that may be a voice's pitch; 0 for silence."""
    window = window - window.mean()
    power = np.cumsum(window.astype(np.float64) ** 2)
    if power[-1] < _QUIETEST**2 * _WINDOW:
        return 0.0
    spectrum = np.fft.rfft(window, _FFT)
    products = np.fft.irfft(spectrum.real**2 + spectrum.imag**2)[_LAGS]
    lags = np.arange(_LAGS.start, _LAGS.stop)
    head, tail = power[_WINDOW - 1 - lags], power[-1] - power[lags - 1]
    return float(np.max(products / np.sqrt(head * tail + 1.0)))
