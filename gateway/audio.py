"""What a run of audio bytes is: how a sample is written, and how many there are in a second."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

__all__ = ["ALAW_8K", "PCM_8K", "PCM_16K", "PCM_24K", "ULAW_8K", "AudioFormat", "Encoding"]


class Encoding(StrEnum):
    """How one mono sample is written."""

    PCM = "pcm"
    """16-bit little-endian."""
    ULAW = "ulaw"
    """ITU-T G.711 mu-law, a byte."""
    ALAW = "alaw"
    """ITU-T G.711 A-law, a byte."""

    @property
    def width(self) -> int:
        """Bytes of a sample."""
        return 2 if self is Encoding.PCM else 1

    def to_pcm(self, audio: bytes) -> bytes:
        """As 16-bit little-endian: by a table, for what is not done per packet."""
        return audio if self is Encoding.PCM else b"".join(map(_table(self).__getitem__, audio))


@cache
def _table(law: Encoding) -> tuple[bytes, ...]:
    expand = _expand_ulaw if law is Encoding.ULAW else _expand_alaw
    return tuple(expand(code).to_bytes(2, "little", signed=True) for code in range(256))


def _expand_ulaw(code: int) -> int:
    """ITU-T G.711, table 2a, in 16 bits."""
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << (code >> 4 & 7)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def _expand_alaw(code: int) -> int:
    """ITU-T G.711, table 1a, in 16 bits."""
    code ^= 0x55
    segment, step = code >> 4 & 7, (code & 0x0F) << 4
    magnitude = step + 8 if segment == 0 else step + 0x108 << segment - 1
    return magnitude if code & 0x80 else -magnitude


@dataclass(frozen=True, slots=True)
class AudioFormat:
    encoding: Encoding
    rate: int
    """In Hz; G.711 is spoken at 8000."""

    @property
    def bytes_per_second(self) -> int:
        return self.rate * self.encoding.width

    def silence(self, milliseconds: int) -> bytes:
        """Digital silence, as this format writes it."""
        zero = {Encoding.PCM: b"\0\0", Encoding.ULAW: b"\xff", Encoding.ALAW: b"\xd5"}[self.encoding]
        return zero * (self.rate * milliseconds // 1000)


PCM_8K: Final = AudioFormat(Encoding.PCM, 8000)
PCM_16K: Final = AudioFormat(Encoding.PCM, 16000)
PCM_24K: Final = AudioFormat(Encoding.PCM, 24000)
ULAW_8K: Final = AudioFormat(Encoding.ULAW, 8000)
ALAW_8K: Final = AudioFormat(Encoding.ALAW, 8000)
