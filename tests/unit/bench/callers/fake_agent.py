"""The far end of a call as a caller's phone and leg see it, on virtual time: an agent that speaks by a script."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.bench.callers.caller import Target
from gateway.bench.measure.onset import Edge, OnsetDetector
from gateway.media.contract import Hearing, LegStats, SoundObserver, Stream
from gateway.sdp import answer
from gateway.sip.events import Answered, Ended, Event, Ringing
from gateway.units import Nanos, Samples
from tests.unit.bench.callers.virtual import VirtualLoop
from tests.unit.bench.measure.signals import pcm, silence, tone

LOUD, QUIET = pcm(tone(20)), pcm(silence(20))
LENGTH_S = 0.02
NOW = Nanos(0)
TARGET = Target("sip:agent@127.0.0.1", ("127.0.0.1", 5060))


class FakeAgent:
    """Phone, media plane and leg in one. ``answers`` holds, per turn of the caller, (delay, length) in seconds."""

    local = ("127.0.0.1", 40000)

    def __init__(
        self,
        *answers: tuple[float, float],
        greeting: tuple[float, float] = (0.1, 1.0),
        obeys: bool = True,
        status: int = 200,
        hangs_up_after: float | None = None,
        dtx: bool = False,
    ) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop = loop
        self.answers = list(answers)
        self.greeting = greeting
        self.obeys = obeys
        self.status = status
        self.hangs_up_after = hangs_up_after
        self.dtx = dtx
        self.hung_up: list[str] = []
        self.closed = False
        self._speech: list[tuple[float, float]] = []
        self._frames = 0
        self._queued = 0.0
        self._position = 0
        self._detector = OnsetDetector()

    # --- Phone --------------------------------------------------------------------------------------------------------

    def invite(self, target: Target, sdp: bytes, caller: str, on_event: Callable[[Event], None]) -> int:
        self.on_event = on_event
        self.loop.call_later(0.01, on_event, Ringing(1, 180, None))
        if self.status == 200:
            reply = answer(sdp, ("127.0.0.1", 5004), 7).sdp
            self.loop.call_later(0.05, on_event, Answered(1, reply))
        elif self.status:
            self.loop.call_later(0.05, on_event, Ended(1, "remote", self.status, "Busy Here"))
        return 1

    def call_id(self, call: int) -> str:
        return "call@fake"

    def answer(self, call: int, sdp: bytes) -> None:
        raise AssertionError("nobody offered anything")

    def reject(self, call: int, status: int, rule: str) -> None:
        raise AssertionError("nobody offered anything")

    def reoffer(self, call: int, sdp: bytes) -> None:
        raise AssertionError("this caller holds nobody")

    def hang_up(self, call: int, reason: str) -> None:
        self.hung_up.append(reason)
        self.on_event(Ended(1, "local", None, reason))

    # --- plane and leg ------------------------------------------------------------------------------------------------

    def open_leg(self, observer: SoundObserver, *, uplink_rate: int) -> FakeAgent:
        assert uplink_rate == 8000
        self.observer = observer
        return self

    def connect(self, stream: Stream) -> None:
        self._say(*self.greeting)
        self._tick()
        if self.hangs_up_after is not None:
            self.loop.call_later(self.hangs_up_after, self.on_event, Ended(1, "remote", None, "goodbye"))

    def listen(self, hearing: Hearing) -> None:
        self.hearing = hearing

    def play(self, samples: bytes, rate: int, *, at: Nanos = NOW) -> None:
        self.loop.call_at(max(at / 1e9, self.loop.time()), self._play, samples, rate)
        self._begins = max(at / 1e9, self.loop.time())

    def _play(self, samples: bytes, rate: int) -> None:
        self._queued = len(samples) / 2 / rate
        if self.obeys:
            until = self.loop.time() + 0.12
            self._speech = [(start, min(end, until)) for start, end in self._speech if start < until]
        started = Samples(self._position)
        self._position += len(samples) // 2
        self.observer.on_playout_started(self._now(), started)

    def mark(self, number: int) -> None:
        self.loop.call_at(self._begins, self._mark, number)

    def _mark(self, number: int) -> None:
        """The last packet leaves 20 ms before its last sample has been spoken."""
        last = self._queued - LENGTH_S
        self.loop.call_later(last, lambda: self.observer.on_mark(number, self._now(), Samples(self._position)))
        if self.answers:
            delay, length = self.answers.pop(0)
            self.loop.call_later(self._queued + delay, self._say, 0.0, length)

    def flush(self, number: int) -> None:
        raise AssertionError("a caller never takes back what it says")

    def close(self) -> None:
        self.closed = True
        self._tell(self._detector.finish())
        self.loop.call_soon(self.observer.on_closed, LegStats(packets_received=self._frames))

    def _say(self, delay: float, length: float) -> None:
        start = self.loop.time() + delay
        self._speech.append((start, start + length))

    def _tick(self) -> None:
        if self.closed:
            return
        now = self.loop.time()
        loud = any(start <= now < end for start, end in self._speech)
        if self._frames == 0 and (loud or not self.dtx):
            self.observer.on_first_packet(self._now())
        if self.hearing.audio:
            self.observer.on_audio(LOUD if loud else QUIET, Samples(self._frames * 160), self._now(), 0)
        # Where nothing is sent, the plane hands up silence: the detector hears it either way.
        self._tell(self._detector.hear(LOUD if loud else QUIET, Samples(self._frames * 160), self._now()))
        self._frames += 1
        self.loop.call_later(LENGTH_S, self._tick)

    def _tell(self, edges: list[Edge]) -> None:
        for edge in edges:
            self.observer.on_sound(edge.started, edge.packet, edge.at, edge.media_time, edge.sound)

    def _now(self) -> Nanos:
        return Nanos(self.loop.nanos())
