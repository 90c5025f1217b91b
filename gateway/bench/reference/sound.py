"""What the reference agent says: a voice made of pulses through one resonance, which begins and ends with a sample."""

from __future__ import annotations

import math
from array import array
from functools import cache
from typing import Final

from gateway.bench.callers.speech import RATE
from gateway.units import SECOND, Nanos

__all__ = ["voice"]

_PITCH: Final = 160
_LEVEL: Final = 32768 * 10 ** (-20 / 20) * 3
_RESONANCE: Final = 700
_DECAY: Final = 25.0


@cache
def voice(length: Nanos) -> bytes:
    """16-bit PCM at 8000 Hz. Its first sample is loud, and so is its last: neither fades."""
    period = RATE // _PITCH
    wave = [
        round(_LEVEL * math.exp(-n / _DECAY) * math.sin(2 * math.pi * _RESONANCE * (n + 1) / RATE))
        for n in range(period)
    ]
    count = length * RATE // SECOND
    samples = [wave[n % period] for n in range(count)]
    samples[-2:] = [round(_LEVEL / 4), round(-_LEVEL / 4)][: len(samples)]
    return array("h", samples).tobytes()
