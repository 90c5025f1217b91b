"""When does speech begin and end in what was received? Edges of sound, dated to the sample.

The detector is ``codecs_ext/onset.pyx``, which the media plane runs on what callers hear; here it runs on what is at
hand. It shares nothing with the gateway's own ear. A start is *reported* when the sound has lasted for ``confirm_ms``
and an end when it has been quiet for ``release_ms``, but both are *dated* to the sample where the energy crossed the
threshold, so neither wait shows in a measurement. Against known signals the error is under 5 ms
(``tests/unit/bench/measure/test_onset.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from codecs_ext import onset
from gateway.units import Nanos, Samples

__all__ = ["Edge", "OnsetDetector", "first_sound", "last_sound"]

_BLOCK_US: Final = 2500
_FULL_SCALE: Final = 32768.0
_BYTES: Final = 2


@dataclass(frozen=True, slots=True)
class Edge:
    """Speech began (``started``) or ended."""

    started: bool
    packet: Nanos
    """Arrival of the packet with the first (last) sample: what a protocol analyser on the wire sees."""
    at: Nanos
    """The same, plus that sample's place inside the packet: what a listener without any playout delay hears."""
    media_time: Samples
    """That sample (of an end: one past it), counted in the detector's rate from the start of the stream."""
    sound: int = 0
    """Of an end: nanoseconds of sound since the beginning, its pauses not counted."""


class OnsetDetector:
    """Feed it frames in order with ``hear``; it returns the edges that became certain with this frame.

    ``threshold_dbfs`` is the least level that counts as sound, ``margin_db`` what it must be above the background.
    """

    def __init__(
        self,
        rate: int = 8000,
        *,
        threshold_dbfs: float = -48.0,
        margin_db: float = 12.0,
        confirm_ms: float = 10.0,
        release_ms: float = 200.0,
    ) -> None:
        amplitude = _FULL_SCALE * 10 ** (threshold_dbfs / 20)
        self._rate = rate
        self._kernel = onset.OnsetDetector(
            rate,
            threshold=amplitude * amplitude,
            margin=10 ** (margin_db / 10),
            block_us=_BLOCK_US,
            confirm=max(1, round(confirm_ms * 1000 / _BLOCK_US)),
            release=max(1, round(release_ms * 1000 / _BLOCK_US)),
        )

    @property
    def speaking(self) -> bool:
        """A start was reported, and its end was not yet."""
        return self._kernel.speaking

    def hear(self, pcm: bytes, media_time: Samples, arrival: Nanos) -> list[Edge]:
        """One frame of 16-bit little-endian mono; ``media_time`` of its first sample in the detector's rate."""
        return [Edge(*_units(edge)) for edge in self._kernel.hear(pcm, media_time, arrival)]

    def finish(self) -> list[Edge]:
        """The stream is over, or pauses: the end of speech that was still going on."""
        return [Edge(*_units(edge)) for edge in self._kernel.finish()]


def _units(edge: tuple[bool, int, int, int, int]) -> tuple[bool, Nanos, Nanos, Samples, int]:
    started, packet, at, media_time, sound = edge
    return started, Nanos(packet), Nanos(at), Samples(media_time), sound


def _edges(pcm: bytes, rate: int, threshold_dbfs: float) -> Iterator[Edge]:
    detector = OnsetDetector(rate, threshold_dbfs=threshold_dbfs)
    size = rate // 50 * _BYTES
    for start in range(0, len(pcm), size):
        yield from detector.hear(pcm[start : start + size], Samples(start // _BYTES), Nanos(0))
    yield from detector.finish()


def first_sound(pcm: bytes, rate: int, threshold_dbfs: float = -48.0) -> Samples | None:
    """First sample of a clip that belongs to speech, or None if it is silent."""
    return next((edge.media_time for edge in _edges(pcm, rate, threshold_dbfs) if edge.started), None)


def last_sound(pcm: bytes, rate: int, threshold_dbfs: float = -48.0) -> Samples | None:
    """One past the last sample of a clip that belongs to speech, or None if it is silent."""
    ends = [edge.media_time for edge in _edges(pcm, rate, threshold_dbfs) if not edge.started]
    return ends[-1] if ends else None
