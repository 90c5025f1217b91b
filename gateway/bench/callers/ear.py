"""What a synthetic caller hears and feels: the leg's observer. Keeps facts with their stamps, and wakes who waits.

The listening itself is done by the plane (``Leg.listen``): here come the edges of sound, a handful per turn, and not
the fifty packets a second. Frames come only where the call is recorded.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from gateway.bench.measure.onset import Edge
from gateway.media.contract import LegStats
from gateway.units import Nanos, Samples

__all__ = ["Ear", "Sent"]


class Sent(NamedTuple):
    """Something of ours has left."""

    at: Nanos
    position: Samples
    """8 kHz samples of queued audio since the start of the call."""


class Ear:
    """Implements ``SoundObserver``. ``edges`` grows; ``changed`` is awaited by the caller's script."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()
        self.edges: list[Edge] = []
        self.heard: list[tuple[Nanos, bytes]] = []
        """Every frame of a call that is recorded: arrival, samples."""
        self.first_audio: Nanos | None = None
        self.playout_started: deque[Sent] = deque()
        """Departures of the first sample of what the caller said; taken by who said it."""
        self.marks: dict[int, Sent] = {}
        self.stats: LegStats | None = None
        self.on_edge: Callable[[Edge], None] = lambda _: None
        """For who wants to tell it live."""

    @property
    def speaking_since(self) -> Nanos | None:
        """When the agent began the piece of speech that it is in, or None while it is quiet."""
        return self.edges[-1].at if self.edges and self.edges[-1].started else None

    @property
    def quiet_since(self) -> Nanos | None:
        """When the agent fell quiet; None while it speaks, or has not spoken yet."""
        return None if not self.edges or self.edges[-1].started else self.edges[-1].at

    async def changed(self, limit_s: float) -> None:
        """Returns at the next fact, or after ``limit_s`` seconds."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            await asyncio.wait((waiter,), timeout=max(0.0, limit_s))
        finally:
            self._waiting.discard(waiter)

    def _wake(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    # --- SoundObserver ------------------------------------------------------------------------------------------------

    def on_sound(self, started: bool, packet: Nanos, at: Nanos, media_time: Samples, sound: int) -> None:
        edge = Edge(started, packet, at, media_time, sound)
        self.edges.append(edge)
        self.on_edge(edge)
        self._wake()

    def on_first_packet(self, arrival: Nanos) -> None:
        self.first_audio = arrival

    def on_audio(self, pcm: bytes, media_time: Samples, arrival: Nanos, flags: int) -> None:
        self.heard.append((arrival, pcm))

    def on_speech_started(self, media_time: Samples, arrival: Nanos) -> None:
        """The plane's own VAD is not asked: it belongs to what is measured."""

    def on_speech_ended(self, media_time: Samples, arrival: Nanos) -> None:
        """See above."""

    def on_digit(self, digit: str, duration_ms: int, arrival: Nanos) -> None:
        """No scenario listens for digits."""

    def on_playout_started(self, sent: Nanos, position: Samples) -> None:
        self.playout_started.append(Sent(sent, position))
        self._wake()

    def on_playout_idle(self, sent: Nanos, position: Samples) -> None:
        """The mark has told it already."""

    def on_mark(self, number: int, sent: Nanos, position: Samples) -> None:
        self.marks[number] = Sent(sent, position)
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
