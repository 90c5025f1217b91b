"""Mu-law, written from ITU-T G.711 and slow: what the tests hear must not depend on the kernel they test."""

from __future__ import annotations

from collections.abc import Sequence


def decode_byte(code: int) -> int:
    """One mu-law byte to 16-bit linear."""
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return -magnitude if code & 0x80 else magnitude


_LINEAR = [decode_byte(code) for code in range(256)]
_CODES = sorted(range(256), key=lambda code: (_LINEAR[code], code))


def decode(payload: bytes) -> list[int]:
    return [_LINEAR[code] for code in payload]


def encode(samples: Sequence[int]) -> bytes:
    """Each sample to its nearest code, by search."""
    from bisect import bisect_left

    levels = [_LINEAR[code] for code in _CODES]
    out = bytearray()
    for sample in samples:
        i = bisect_left(levels, sample)
        near = min((j for j in (i - 1, i) if 0 <= j < 256), key=lambda j: abs(levels[j] - sample))
        out.append(_CODES[near])
    return bytes(out)


def rms(samples: Sequence[int]) -> float:
    return (sum(sample * sample for sample in samples) / max(1, len(samples))) ** 0.5
