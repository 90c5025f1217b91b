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
from itertools import pairwise
from queue import SimpleQueue
from typing import Final, Protocol

import numpy as np
import soxr
import structlog

from gateway.models.espeak import Espeak

__all__ = ["Job", "Listener", "Spoken", "Synthesiser", "Voice"]

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


Spoken = tuple[str, int, int]
"""A word, and the milliseconds of the sentence's audio between which it is spoken."""


class Listener(Protocol):
    """Who has a sentence spoken. Called on the loop."""

    def on_burst(self, pcm: bytes, elapsed_ns: int) -> None: ...

    def on_words(self, words: list[Spoken]) -> None: ...

    def on_complete(self, error: Exception | None) -> None: ...


class Job:
    """One sentence. After ``cancel`` its listener is told nothing."""

    def __init__(self, text: str, rate: int, listener: Listener) -> None:
        self.text = text
        self.rate = rate
        self.cancelled = False
        self.asked_ns = time.monotonic_ns()
        self._listener = listener

    def cancel(self) -> None:
        self.cancelled = True

    def deliver(self, pcm: bytes, elapsed_ns: int) -> None:
        if not self.cancelled:
            self._listener.on_burst(pcm, elapsed_ns)

    def tell(self, words: list[Spoken]) -> None:
        if not self.cancelled:
            self._listener.on_words(words)

    def finish(self, error: Exception | None = None) -> None:
        if not self.cancelled:
            self._listener.on_complete(error)


class _Cache:
    """Whole sentences, least recently used out first. Touched by the loop alone."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._kept: OrderedDict[tuple[str, int], tuple[bytes, list[Spoken]]] = OrderedDict()

    def get(self, key: tuple[str, int]) -> tuple[bytes, list[Spoken]] | None:
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
        return kept

    def put(self, key: tuple[str, int], pcm: bytes, words: list[Spoken]) -> None:
        if len(key[0]) > _CACHED_CHARACTERS or key in self._kept:
            return
        self._kept[key] = pcm, words
        self._size += len(pcm)
        while self._size > self._limit:
            _, (oldest, _) = self._kept.popitem(last=False)
            self._size -= len(oldest)


class _Shaper:
    """Cuts the silence before the first sound and brings bursts to the wanted rate, as a stream."""

    def __init__(self, native: int, rate: int) -> None:
        self._resampler = soxr.ResampleStream(native, rate, 1, dtype="int16", quality="HQ")
        self._native = native
        self._sounding = False
        self._waited = 0
        self._shaped = 0

    @property
    def skipped_ms(self) -> int:
        """How much silence was cut."""
        return 1000 * self._waited // self._native

    @property
    def length_ms(self) -> int:
        """Of what is left."""
        return 1000 * self._shaped // self._native

    def push(self, pcm: bytes, last: bool = False) -> bytes:
        samples = np.frombuffer(pcm, np.int16)
        if not self._sounding:
            loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > _QUIET)
            quiet = max(0, int(loud[0]) - _KEPT) if loud.size else len(samples)
            self._waited += quiet
            if not loud.size:
                return b""
            self._sounding = True
            samples = samples[quiet:]
        self._shaped += len(samples)
        return bytes(self._resampler.resample_chunk(samples, last=last).tobytes())

    def flush(self) -> bytes:
        return (
            bytes(self._resampler.resample_chunk(np.empty(0, np.int16), last=True).tobytes()) if self._sounding else b""
        )


class _Words:
    """Of one sentence: each ends where the next one begins."""

    def __init__(self, text: str) -> None:
        self.all: list[Spoken] = []
        self._text = text
        self._begun: list[tuple[int, int]] = []

    def begin(self, character: int, ms: int) -> None:
        self._begun.append((character, ms))

    def told(self, skipped_ms: int, length_ms: int | None = None) -> list[Spoken]:
        """Those that have ended since the last time; with the sentence's length, the last one too."""
        if length_ms is not None:
            self._begun.append((len(self._text), length_ms + skipped_ms))
        ended: list[Spoken] = []
        for (character, ms), (following, end) in pairwise(self._begun):
            if word := self._text[character:following].strip():
                ended.append((word, max(0, ms - skipped_ms), max(0, end - skipped_ms)))
        del self._begun[:-1]
        self.all += ended
        return ended


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

    def speak(self, text: str, rate: int, listener: Listener) -> Job:
        job = Job(text, rate, listener)
        kept = self._cache.get((text, rate))
        if kept is None:
            self._queue.put(job)
        else:
            self._loop.call_soon(self._replay, job, *kept)
        return job

    async def close(self) -> None:
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join, 2.0)

    # --- on the loop --------------------------------------------------------------------------------------------------

    def _replay(self, job: Job, pcm: bytes, words: list[Spoken]) -> None:
        job.tell(words)
        job.deliver(pcm, time.monotonic_ns() - job.asked_ns)
        job.finish()

    def _complete(self, job: Job, pcm: bytes, words: list[Spoken]) -> None:
        self._cache.put((job.text, job.rate), pcm, words)
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
        words = _Words(job.text)

        def emit(pcm: bytes) -> None:
            if pcm:
                bursts.append(pcm)
                self._post(job.deliver, pcm, time.monotonic_ns() - job.asked_ns)

        def sink(pcm: bytes) -> bool:
            emit(shaper.push(pcm))
            if told := words.told(shaper.skipped_ms):
                self._post(job.tell, told)
            return not job.cancelled

        voice = self._voice
        engine.speak(job.text, sink, voice=voice.name, speed=voice.speed, pitch=voice.pitch, on_word=words.begin)
        if not job.cancelled:
            emit(shaper.flush())
            self._post(job.tell, words.told(shaper.skipped_ms, shaper.length_ms))
            self._post(self._complete, job, b"".join(bursts), words.all)

    def _post(self, call: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:  # the loop is closed; nobody waits any more
            return
