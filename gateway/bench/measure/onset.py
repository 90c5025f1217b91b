"""When does speech begin and end in what was received? An energy detector, independent of the plane's VAD.

The bench must not measure the gateway with the gateway's own ear, so this one shares nothing with it: a pure function
of samples, in blocks of 2.5 ms, with hindsight. A start is *reported* when the sound has lasted for ``confirm_ms`` and
an end when it has been quiet for ``release_ms``, but both are *dated* to the block where the energy crossed the
threshold, so neither wait shows in a measurement. Against known signals the error is under 5 ms
(``tests/unit/bench/measure/test_onset.py``).

Every edge has two times. ``packet`` is the arrival of the packet that carried it: what a protocol analyser on the wire
sees. ``at`` adds the edge's place inside the packet: what a listener without any playout delay hears.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Final

from gateway.units import SECOND, Nanos, Samples

__all__ = ["Edge", "OnsetDetector", "first_sound", "last_sound"]

_BLOCKS_PER_SECOND: Final = 400
_FULL_SCALE: Final = 32768.0
_FLOOR_RISE: Final = 1.002
"""Per quiet block: the noise floor follows upwards by 3.5 dB a second, downwards at once."""
_CLICK_BLOCKS: Final = 4


@dataclass(frozen=True, slots=True)
class Edge:
    """Speech began (``started``) or ended."""

    started: bool
    packet: Nanos
    """Arrival of the packet with the first (last) loud block."""
    at: Nanos
    """The same, plus the place of the block's first (one past its last) sample inside the packet."""
    media_time: Samples
    """That sample, counted in the detector's rate from the start of the stream."""
    sound: int = 0
    """Of an end: nanoseconds of sound since the beginning, its pauses not counted."""


@dataclass(frozen=True, slots=True)
class _Place:
    packet: Nanos
    offset: int
    """Samples from the start of the packet."""
    media_time: Samples

    def edge(self, rate: int, *, started: bool) -> Edge:
        return Edge(started, self.packet, Nanos(self.packet + self.offset * SECOND // rate), self.media_time)


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
        self._rate = rate
        self._block = rate // _BLOCKS_PER_SECOND
        amplitude = _FULL_SCALE * 10 ** (threshold_dbfs / 20)
        self._least = amplitude * amplitude * self._block
        self._margin = 10 ** (margin_db / 10)
        self._confirm = max(1, round(confirm_ms * _BLOCKS_PER_SECOND / 1000))
        self._release = max(1, round(release_ms * _BLOCKS_PER_SECOND / 1000))
        self._floor = 0.0
        self._loud = 0
        self._quiet = 0
        self._first: _Place | None = None
        self._last: _Place | None = None
        self.speaking = False

    @property
    def threshold(self) -> float:
        """Energy of one block that counts as sound, now."""
        return max(self._least, self._floor * self._margin)

    def hear(self, pcm: bytes, media_time: Samples, arrival: Nanos) -> list[Edge]:
        """One frame of 16-bit little-endian mono; ``media_time`` of its first sample in the detector's rate."""
        samples = array("h", pcm)
        if not self.speaking and not self._loud and self._silent(samples):
            self._quiet += len(samples) // self._block
            return []
        edges: list[Edge] = []
        for offset in range(0, len(samples), self._block):
            block = samples[offset : offset + self._block]
            edge = self._judge(sum([x * x for x in block]), _Place(arrival, offset, Samples(media_time + offset)))
            if edge is not None:
                edges.append(edge)
        return edges

    def finish(self) -> list[Edge]:
        """The stream is over, or pauses: the end of speech that was still going on."""
        if not self.speaking or self._last is None:
            return []
        return [self._end(self._last)]

    def _end(self, last: _Place) -> Edge:
        self.speaking, self._loud, self._first = False, 0, None
        return last.edge(self._rate, started=False)

    def _silent(self, samples: array[int]) -> bool:
        """No block can cross when the highest peak cannot: most frames of a call, for a tenth of the work."""
        if not samples:
            return True
        highest, lowest = max(samples), min(samples)
        peak = max(highest, -lowest)
        energy = peak * peak * self._block
        if energy > self.threshold:
            return False
        # The peak overstates the background; taken as it is it would raise the threshold over soft speech.
        self._follow_floor(energy / 10, blocks=len(samples) // self._block)
        return True

    def _follow_floor(self, energy: float, blocks: int = 1) -> None:
        if energy < self._floor:
            self._floor = energy
        else:
            self._floor = min(energy, max(self._floor, self._least / self._margin / 100) * _FLOOR_RISE**blocks)

    def _judge(self, energy: float, place: _Place) -> Edge | None:
        if energy > self.threshold:
            return self._loud_block(place)
        self._follow_floor(energy)
        return self._quiet_block()

    def _loud_block(self, place: _Place) -> Edge | None:
        if self._first is None:
            self._first = place
        self._loud += 1
        self._quiet = 0
        self._last = _Place(place.packet, place.offset + self._block, Samples(place.media_time + self._block))
        if self.speaking or self._loud < self._confirm:
            return None
        self.speaking = True
        return self._first.edge(self._rate, started=True)

    def _quiet_block(self) -> Edge | None:
        self._quiet += 1
        if not self.speaking:
            # It was a click if nothing follows for longer than the longest pitch period has between its pulses.
            if self._quiet >= _CLICK_BLOCKS:
                self._loud, self._first = 0, None
            return None
        if self._quiet < self._release or self._last is None:
            return None
        return self._end(self._last)


def _edges(pcm: bytes, rate: int, threshold_dbfs: float) -> list[Edge]:
    detector = OnsetDetector(rate, threshold_dbfs=threshold_dbfs)
    return detector.hear(pcm, Samples(0), Nanos(0)) + detector.finish()


def first_sound(pcm: bytes, rate: int, threshold_dbfs: float = -48.0) -> Samples | None:
    """First sample of a clip that belongs to speech, or None if it is silent."""
    return next((edge.media_time for edge in _edges(pcm, rate, threshold_dbfs) if edge.started), None)


def last_sound(pcm: bytes, rate: int, threshold_dbfs: float = -48.0) -> Samples | None:
    """One past the last sample of a clip that belongs to speech, or None if it is silent."""
    return next((edge.media_time for edge in reversed(_edges(pcm, rate, threshold_dbfs)) if not edge.started), None)
