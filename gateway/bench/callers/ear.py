"""What a synthetic caller hears and feels: the leg's observer. Keeps facts with their stamps, and wakes who waits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from gateway.bench.measure.onset import Edge, OnsetDetector
from gateway.media.contract import LegStats
from gateway.units import MS, Nanos, Samples

__all__ = ["Ear"]

_GONE: Final = 300 * MS
"""An agent that suppresses silence just stops sending: after this long without a packet it is quiet."""
_RELEASE: Final = 200 * MS


class Ear:
    """Implements ``LegObserver``. ``edges`` grows; ``changed`` is awaited by the caller's script."""

    def __init__(self, rate: int, *, record: bool = False) -> None:
        self._detector = OnsetDetector(rate, release_ms=_RELEASE / MS)
        self._rate = rate
        self._recording = record
        self._waiting: set[asyncio.Future[None]] = set()
        self.edges: list[Edge] = []
        self.heard: list[tuple[Samples, bytes]] = []
        """Everything received, for the recording: media time at ``rate``, samples."""
        self.first_audio: Nanos | None = None
        self.last_audio: Nanos | None = None
        self.playout_started: deque[Nanos] = deque()
        """Departures of the first packet of what the caller said; taken by who said it."""
        self.marks: dict[int, Nanos] = {}
        self.stats: LegStats | None = None
        self.on_edge: Callable[[Edge], None] = lambda _: None
        """For who wants to tell it live."""

    @property
    def speaking_since(self) -> Nanos | None:
        """When the agent began the piece of speech that it is in, or None while it is quiet."""
        return self.edges[-1].packet if self.edges and self.edges[-1].started else None

    def quiet_since(self, now: Nanos) -> Nanos | None:
        """When the agent fell quiet; None while it speaks, or has not spoken yet."""
        if self.speaking_since is not None and self.last_audio is not None and now - self.last_audio > _GONE:
            self._note(self._detector.finish())
        return None if not self.edges or self.edges[-1].started else self.edges[-1].packet

    async def changed(self, limit_s: float) -> None:
        """Returns at the next fact, or after ``limit_s`` seconds."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            await asyncio.wait((waiter,), timeout=max(0.0, limit_s))
        finally:
            self._waiting.discard(waiter)

    def finish(self) -> None:
        """The call is over; speech that was going on ends with the last packet."""
        self._note(self._detector.finish())

    def _note(self, edges: list[Edge]) -> None:
        for edge in edges:
            self.edges.append(edge)
            self.on_edge(edge)
        if edges:
            self._wake()

    def _wake(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    # --- LegObserver --------------------------------------------------------------------------------------------------

    def on_audio(self, pcm: bytes, media_time: Samples, arrival: Nanos, flags: int) -> None:
        if self.first_audio is None:
            self.first_audio = arrival
        self.last_audio = arrival
        at = Samples(media_time * self._rate // 8000)
        if self._recording:
            self.heard.append((at, pcm))
        self._note(self._detector.hear(pcm, at, arrival))

    def on_speech_started(self, media_time: Samples, arrival: Nanos) -> None:
        """The plane's own VAD is not asked: it belongs to what is measured."""

    def on_speech_ended(self, media_time: Samples, arrival: Nanos) -> None:
        """See above."""

    def on_digit(self, digit: str, duration_ms: int, arrival: Nanos) -> None:
        """No scenario listens for digits."""

    def on_playout_started(self, sent: Nanos, position: Samples) -> None:
        self.playout_started.append(sent)
        self._wake()

    def on_playout_idle(self, sent: Nanos, position: Samples) -> None:
        """The mark has told it already."""

    def on_mark(self, number: int, sent: Nanos, position: Samples) -> None:
        self.marks[number] = sent
        self._wake()

    def on_flushed(self, number: int, sent: Nanos, position: Samples) -> None:
        """A caller that hangs up does not ask how much of its sentence was sent."""

    def on_trimmed(self, number: int, position: Samples) -> None:
        """A caller finishes what it began to say."""

    def on_rtp_timeout(self, now: Nanos) -> None:
        """An agent may be silent for as long as the scenario lets it."""

    def on_secured(self, fault: str | None) -> None:
        """Callers of ours offer no DTLS."""

    def on_closed(self, stats: LegStats) -> None:
        self.stats = stats
        self._wake()
