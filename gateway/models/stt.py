"""Speech recognition as a service: turns of many streams, decoded in worker threads while the audio arrives.

A turn belongs to one thread for its life, so nothing is locked: the loop puts work into the thread's queue, the thread
puts results back with ``call_soon_threadsafe``, once per turn. When a turn ends, all but its last frame is decoded.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from queue import SimpleQueue
from typing import Final

import structlog

from gateway.errors import ResourceError
from gateway.models.dialogue import Dialogue
from gateway.models.grammar import generate
from gateway.models.sphinx import Decoder, Heard, Setting
from gateway.models.voicing import Voicing

__all__ = ["Recogniser", "Result", "Turn"]

RATES: Final = (8000, 16000)
MODEL_RATE: Final = 16000
TELEPHONE_CMN: Final = b"42.14,21.35,-31.29,41.27,-26.21,-2.30,5.10,-29.23,14.27,-10.65,4.44,0.86,-10.2"
"""Mean of the cepstra of speech that went through G.711 at 8 kHz. The model's own start value is for a microphone,
and the mean stays as it is during an utterance: with that value the first turn of a call got 28% of sentences right,
with this 97% (92 sentences of four voices, nothing turned away)."""
_FITS: Final = -60.0
_WORD_FITS: Final = -90.0
_PAUSE_FITS: Final = -42.0
_LONGEST_WORD_MS: Final = 800
"""Where a path stops being what was said; benchmarks/models/stt.py shows both sides of these lines."""
_VOICED: Final = 4
"""Windows with a voice in them, below which it was a noise: of 360 bursts of noise of 0.1 to 2 s none had more than 2,
of short words by eight synthetic voices ("yes", "hi", "pick up", fast) none fewer than 9."""
_SETTINGS: Final[dict[str, Setting]] = {
    "samprate": float(MODEL_RATE),
    "bestpath": False,  # a lattice search at the end of the turn: 30 ms of delay for nothing a grammar would gain
    "dither": True,  # digital silence has no spectrum
    "beam": 1e-60,  # a little wider than the default: foreign sentences then fit visibly worse than known ones
    "wbeam": 1e-40,
}


log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Result:
    """A final. Empty ``words`` and ``understood``: no speech in it; empty and not: speech outside the grammar."""

    text: str
    understood: bool
    elapsed_ns: int
    cmn: bytes


class Turn:
    """One turn of one stream. All verbs return at once; ``done`` is called on the loop, once, unless cancelled: when
    the turn has ended, or sooner with the error that ended it."""

    def __init__(self, worker: _Worker, cmn: bytes | None, done: Callable[[Result | Exception], None]) -> None:
        self.worker = worker
        self.cmn = cmn
        self.done = done
        self.cancelled = False
        self.decoded = 0
        """Bytes decoded so far."""
        self.decoder: Decoder | None = None
        self.voicing = Voicing()
        self.over = False
        """Nothing more is done for it; the thread's."""
        self.asked_ns = 0

    def audio(self, pcm: bytes) -> None:
        self.worker.queue.put((self, pcm))

    def end(self) -> None:
        self.asked_ns = time.monotonic_ns()
        self.worker.queue.put((self, None))

    def cancel(self) -> None:
        if not self.cancelled:
            self.cancelled = True
            self.worker.queue.put((self, None))


class _Worker:
    """A thread with its own decoders."""

    def __init__(
        self, make: Callable[[], Decoder], judge: Callable[[Heard, int], tuple[str, bool]], number: int
    ) -> None:
        self.queue: SimpleQueue[tuple[Turn, bytes | None] | None] = SimpleQueue()
        self.turns = 0
        self._make = make
        self._judge = judge
        self._idle: list[Decoder] = []
        self._loop = asyncio.get_running_loop()
        self.thread = threading.Thread(target=self._run, name=f"stt-{number}", daemon=True)

    def prepare(self, decoders: int) -> None:
        """Makes decoders ahead of their first turn; called before the thread starts."""
        self._idle += [self._make() for _ in range(decoders)]

    def _run(self) -> None:
        while (job := self.queue.get()) is not None:
            turn, pcm = job
            try:
                self._serve(turn, pcm)
            except Exception as error:  # noqa: BLE001 - one turn's fault must not deafen the other streams
                turn.decoder = None  # in whatever state it is, nobody gets it again
                self._answer(turn, error)
        for decoder in self._idle:
            decoder.close()

    def _serve(self, turn: Turn, pcm: bytes | None) -> None:
        if turn.over:
            return
        if pcm is None:
            self._finish(turn)
        elif not turn.cancelled:
            if turn.decoder is None:
                turn.decoder = self._start(turn)
            turn.decoder.process(pcm)
            turn.voicing.push(pcm)
            turn.decoded += len(pcm)

    def _start(self, turn: Turn) -> Decoder:
        decoder = self._idle.pop() if self._idle else self._make()
        decoder.start(turn.cmn or TELEPHONE_CMN)
        return decoder

    def _finish(self, turn: Turn) -> None:
        decoder, turn.decoder = turn.decoder or self._start(turn), None
        heard = decoder.finish()
        cmn = decoder.cmn()
        self._idle.append(decoder)
        text, understood = self._judge(heard, turn.voicing.voiced)
        self._answer(turn, Result(text, understood, time.monotonic_ns() - turn.asked_ns, cmn))

    def _answer(self, turn: Turn, result: Result | Exception) -> None:
        turn.over = True
        try:
            self._loop.call_soon_threadsafe(self._settle, turn, result)
        except RuntimeError:  # the loop is closed; nobody waits any more
            return

    def _settle(self, turn: Turn, result: Result | Exception) -> None:
        self.turns -= 1
        if isinstance(result, Exception):
            log.error("stt.failed", error=repr(result))
        if not turn.cancelled:
            turn.done(result)


class Recogniser:
    """All threads. Make it in a running loop; ``close`` ends the threads."""

    name = "pocketsphinx"

    def __init__(self, dialogue: Dialogue, *, threads: int, decoders: int, turns: int) -> None:
        self._dialogue = dialogue
        self.version = version("pocketsphinx")
        self._limit = turns
        self._workers: list[_Worker] = []
        self._threads = threads
        self._decoders = decoders

    async def start(self) -> None:
        """Makes the decoders. Raises ``ConfigError`` or ``ResourceError``."""
        grammar = generate(self._dialogue)
        self._dictionary = grammar.dictionary
        self._jsgf = grammar.jsgf
        for number in range(self._threads):
            worker = _Worker(self._make, self._judge, number)
            await asyncio.to_thread(worker.prepare, self._decoders)
            worker.thread.start()
            self._workers.append(worker)

    def _make(self) -> Decoder:
        with tempfile.NamedTemporaryFile("w", prefix="linecard-", suffix=".dict") as file:
            file.write(self._dictionary)
            file.flush()
            return Decoder(self._jsgf, Path(file.name), _SETTINGS)

    def begin(self, cmn: bytes | None, done: Callable[[Result | Exception], None], after: Turn | None = None) -> Turn:
        """A new turn of a stream whose last turn ended with ``cmn``; ``after`` is a turn whose result is to come first.

        Raises ``ResourceError`` if too many are open.
        """
        worker = min(self._workers, key=lambda worker: worker.turns) if after is None else after.worker
        if sum(worker.turns for worker in self._workers) >= self._limit:
            raise ResourceError(f"{self._limit} turns are being decoded (stt_turns)")
        worker.turns += 1
        return Turn(worker, cmn, done)

    def _judge(self, heard: Heard, voiced: int) -> tuple[str, bool]:
        """Tells words, noise and speech outside the grammar apart."""
        if not heard.words or voiced < _VOICED:
            return "", True
        text = " ".join(heard.words)
        fits = heard.score >= _FITS and heard.worst >= _WORD_FITS and heard.pause >= _PAUSE_FITS
        if not fits or heard.longest_ms > _LONGEST_WORD_MS:
            return "", False
        # The decoder may end in the middle of a sentence of the grammar: nothing that the dialogue knows was said.
        return (text, True) if self._dialogue.covers(text) else ("", False)

    async def close(self) -> None:
        for worker in self._workers:
            worker.queue.put(None)
        for worker in self._workers:
            await asyncio.to_thread(worker.thread.join, 2.0)
