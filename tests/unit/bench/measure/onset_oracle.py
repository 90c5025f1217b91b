"""The detector of ``codecs_ext/onset.pyx`` as a list of blocks: slow, and written to be read."""

from __future__ import annotations

from dataclasses import dataclass, field

Edge = tuple[bool, int, int, int, int]
__all__ = ["Oracle"]


@dataclass
class Oracle:
    rate: int
    threshold: float
    margin: float
    block_us: int
    confirm: int
    release: int
    floor: float = 0.0
    speaking: bool = False
    run: int = 0
    quiet: int = 0
    blocks: int = 0
    first: tuple[int, int, int] = (0, 0, 0)
    last: tuple[int, int, int] = (0, 0, 0)
    edges: list[Edge] = field(default_factory=list)

    def hear(self, samples: list[int], media_time: int, packet: int, real: bool = True) -> list[Edge]:
        self.edges = []
        size = self.rate * self.block_us // 1_000_000
        for offset in range(0, len(samples), size):
            block = samples[offset : offset + size]
            mean, least = sum(x * x for x in block) / len(block), max(self.threshold, self.floor * self.margin)
            loud = [n for n, x in enumerate(block) if x * x > least]
            if mean > least:
                self._loud(offset + loud[0], offset + loud[-1] + 1, media_time, packet, real)
            else:
                self._quiet(mean)
        return self.edges

    def finish(self) -> list[Edge]:
        self.edges = []
        if self.speaking:
            self._end()
        return self.edges

    def _place(self, offset: int, media_time: int, packet: int) -> tuple[int, int, int]:
        return packet, packet + offset * 1_000_000_000 // self.rate, media_time + offset

    def _loud(self, begin: int, end: int, media_time: int, packet: int, real: bool) -> None:
        if not self.run and not self.speaking:
            self.first, self.blocks = self._place(begin, media_time, packet), 0
        self.last = self._place(end, media_time, packet)
        self.quiet = 0
        self.blocks += real
        if not self.speaking:
            self.run += 1
            if self.run >= self.confirm:
                self.speaking = True
                self.edges.append((True, *self.first, 0))

    def _quiet(self, mean: float) -> None:
        if self.margin:
            least = self.threshold / self.margin / 100
            self.floor = mean if mean < self.floor else min(mean, max(self.floor, least) * 1.002)
        self.quiet += 1
        if self.speaking and self.quiet >= self.release:
            self._end()
        elif not self.speaking and self.quiet >= 4:
            self.run = 0

    def _end(self) -> None:
        self.speaking, self.run = False, 0
        self.edges.append((False, *self.last, self.blocks * self.block_us * 1000))
