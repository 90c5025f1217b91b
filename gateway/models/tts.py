"""Speech synthesis as a service: one thread, because espeak-ng's state is global, serves all streams in order of
asking.

It runs a hundred times faster than speech, so a hundred streams share it well; sentences said before come from a cache.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final

import numpy as np
import soxr
import structlog

from gateway.models.espeak import Espeak

__all__ = ["Job", "Synthesiser", "Voice"]

RATES: Final = (8000, 16000, 24000, 48000)
_QUIET: Final = 200
"""Below -44 dBFS: what espeak-ng emits before a sentence is silence, and would be heard as delay."""
_KEPT: Final = 8
"""Samples kept before the first loud one, so that it does not click."""
_CACHED_CHARACTERS: Final = 300

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Voice:
    """How to speak."""

    name: str
    speed: int
    pitch: int


class Job:
    """One sentence. ``burst(pcm, elapsed_ns)`` and ``done(error)`` are called on the loop; after ``cancel`` nothing
    is."""

    def __init__(
        self, text: str, rate: int, burst: Callable[[bytes, int], None], done: Callable[[Exception | None], None]
    ) -> None:
        self.text = text
        self.rate = rate
        self.cancelled = False
        self.asked_ns = time.monotonic_ns()
        self._burst = burst
        self._done = done

    def cancel(self) -> None:
        self.cancelled = True

    def deliver(self, pcm: bytes, elapsed_ns: int) -> None:
        if not self.cancelled:
            self._burst(pcm, elapsed_ns)

    def finish(self, error: Exception | None = None) -> None:
        if not self.cancelled:
            self._done(error)


class _Cache:
    """Whole sentences, least recently used out first. Touched by the loop alone."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()

    def get(self, key: tuple[str, int]) -> bytes | None:
        pcm = self._kept.get(key)
        if pcm is not None:
            self._kept.move_to_end(key)
        return pcm

    def put(self, key: tuple[str, int], pcm: bytes) -> None:
        if len(key[0]) > _CACHED_CHARACTERS or key in self._kept:
            return
        self._kept[key] = pcm
        self._size += len(pcm)
        while self._size > self._limit:
            self._size -= len(self._kept.popitem(last=False)[1])


class _Shaper:
    """Cuts the silence before the first sound and brings bursts to the wanted rate, as a stream."""

    def __init__(self, native: int, rate: int) -> None:
        self._resampler = soxr.ResampleStream(native, rate, 1, dtype="int16", quality="HQ")
        self._sounding = False

    def push(self, pcm: bytes, last: bool = False) -> bytes:
        samples = np.frombuffer(pcm, np.int16)
        if not self._sounding:
            loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > _QUIET)
            if not loud.size:
                return b""
            self._sounding = True
            samples = samples[max(0, int(loud[0]) - _KEPT) :]
        return bytes(self._resampler.resample_chunk(samples, last=last).tobytes())

    def flush(self) -> bytes:
        return (
            bytes(self._resampler.resample_chunk(np.empty(0, np.int16), last=True).tobytes()) if self._sounding else b""
        )


class Synthesiser:
    """The thread and its queue. Make it in a running loop; ``close`` ends the thread."""

    name = "espeak-ng"

    def __init__(self, voice: Voice, *, cache_bytes: int) -> None:
        self.version = ""
        self._voice = voice
        self._cache = _Cache(cache_bytes)
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[str] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="tts", daemon=True)

    async def start(self) -> None:
        """Raises ``ResourceError`` if the library or the voice is not there."""
        self._thread.start()
        self.version = await self._ready

    def speak(
        self, text: str, rate: int, burst: Callable[[bytes, int], None], done: Callable[[Exception | None], None]
    ) -> Job:
        job = Job(text, rate, burst, done)
        kept = self._cache.get((text, rate))
        if kept is None:
            self._queue.put(job)
        else:
            self._loop.call_soon(self._replay, job, kept)
        return job

    async def close(self) -> None:
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join, 2.0)

    # --- on the loop --------------------------------------------------------------------------------------------------

    def _replay(self, job: Job, pcm: bytes) -> None:
        job.deliver(pcm, time.monotonic_ns() - job.asked_ns)
        job.finish()

    def _complete(self, job: Job, pcm: bytes) -> None:
        self._cache.put((job.text, job.rate), pcm)
        job.finish()

    def _fail(self, job: Job, error: Exception) -> None:
        log.error("tts.failed", characters=len(job.text), error=repr(error))
        job.finish(error)

    # --- in the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            engine = Espeak()
            engine.speak(
                "hello", lambda _: True, voice=self._voice.name, speed=self._voice.speed, pitch=self._voice.pitch
            )
        except Exception as error:  # noqa: BLE001 - told to whoever awaits start()
            self._loop.call_soon_threadsafe(self._ready.set_exception, error)
            return
        self._loop.call_soon_threadsafe(self._ready.set_result, engine.version)
        while (job := self._queue.get()) is not None:
            if job.cancelled:
                continue
            try:
                self._say(engine, job)
            except Exception as error:  # noqa: BLE001 - one sentence's fault must not silence the other streams
                self._post(self._fail, job, error)

    def _say(self, engine: Espeak, job: Job) -> None:
        shaper = _Shaper(engine.rate, job.rate)
        bursts: list[bytes] = []

        def emit(pcm: bytes) -> None:
            if pcm:
                bursts.append(pcm)
                self._post(job.deliver, pcm, time.monotonic_ns() - job.asked_ns)

        def sink(pcm: bytes) -> bool:
            emit(shaper.push(pcm))
            return not job.cancelled

        engine.speak(job.text, sink, voice=self._voice.name, speed=self._voice.speed, pitch=self._voice.pitch)
        if not job.cancelled:
            emit(shaper.flush())
            self._post(self._complete, job, b"".join(bursts))

    def _post(self, call: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:  # the loop is closed; nobody waits any more
            return
