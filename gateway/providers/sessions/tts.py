"""Speaking: sentences in, bursts of audio out, in order; over lines of a pool, or one HTTP request per sentence."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from gateway.errors import ProviderError
from gateway.providers import faults
from gateway.providers.contract import Speech, SpeechDone, TtsResult, Usage, Words
from gateway.providers.dialect import Done, Fault, HttpTtsDialect, Model, Sound, Spent, SpokenWords
from gateway.providers.sessions.base import BaseSession, Deadlines
from gateway.providers.sessions.http import Answer, Progress
from gateway.providers.sessions.pool import Line, Pool
from gateway.providers.sessions.reading import READ_ERRORS, sound
from gateway.providers.sessions.shared import Shared
from gateway.units import Nanos

__all__ = ["TtsHttp", "TtsSocket"]


class TtsSocket(BaseSession[TtsResult]):
    """One call's sentences. One is at work at a time; it is spoken faster than it is played, so the next is in time."""

    def __init__(self, pool: Pool, listener: Callable[[Any], None], timeout: Nanos) -> None:
        super().__init__(pool.name, pool.model, listener)
        self._pool = pool
        self._speaks = pool.sample.speaks
        self._waiting: deque[tuple[int, str]] = deque()
        self._request: int | None = None
        self._context = ""
        self._line: Line | None = None
        self._deadlines = Deadlines(timeout, self._stalled)

    async def open(self) -> None:
        await self._pool.join(self)
        self.model = self._pool.model

    # --- verbs --------------------------------------------------------------------------------------------------------

    def speak(self, request: int, text: str) -> None:
        if not self._ended:
            self._waiting.append((request, text))
            self._deadlines.expect(request)
            self._next()

    def cancel(self, request: int) -> None:
        if request == self._request:
            self._stop()
        elif any(waiting == request for waiting, _ in self._waiting):
            self._waiting = deque(pair for pair in self._waiting if pair[0] != request)
        else:
            return
        self._deadlines.done(request)
        self._tell(SpeechDone(request, cancelled=True))
        self._next()

    def close(self) -> None:
        if not self._ended:
            self._end()

    # --- from the pool ------------------------------------------------------------------------------------------------

    def on_room(self) -> None:
        self._next()

    def on_line_lost(self, fault: Fault) -> None:
        """Also told to those who have nothing to say when no line can be had any more."""
        if self._request is not None or self._waiting or not fault.transient:
            self._fail(fault)

    def on_speech_event(self, context: str, event: Any) -> None:
        request = self._request
        if request is None or context != self._context:
            return
        self.model = self._pool.model
        match event:
            case Sound(audio):
                self._progress()
                self._tell(Speech(request, audio, self._speaks.rate, encoding=self._speaks.encoding))
            case SpokenWords(words):
                self._tell(Words(request, words))
            case Spent():
                self._tell(Usage(request, seconds=event.seconds, characters=event.characters))
            case Done():
                self._finish(request)
                self._tell(SpeechDone(request))
                self._next()
            case Fault():
                self._finish(request)
                self._fail(event, request)
                self._next()
            case _:
                pass

    # --- inside -------------------------------------------------------------------------------------------------------

    def _next(self) -> None:
        if self._ended or self._request is not None or not self._waiting:
            return
        line = self._pool.line()
        if line is None:
            return
        self._request, text = self._waiting.popleft()
        self._line, self._context = line, self._pool.context()
        self._progress()
        line.speak(self._context, text, self)

    def _progress(self) -> None:
        """The provider works; what waits behind is not late."""
        for request in (self._request, *(waiting for waiting, _ in self._waiting)):
            if request is not None:
                self._deadlines.expect(request)

    def _finish(self, request: int) -> None:
        self._deadlines.done(request)
        self._request, self._line = None, None
        self._progress()

    def _stop(self) -> None:
        line, self._line, self._request = self._line, None, None
        if line is not None:
            line.cancel(self._context)

    def _stalled(self, request: int) -> None:
        if request == self._request:
            self._stop()
        else:
            self._waiting = deque(pair for pair in self._waiting if pair[0] != request)
        self._late("tts", request)
        self._next()

    def _end(self) -> None:
        super()._end()
        self._waiting.clear()
        self._stop()
        self._deadlines.clear()
        self._pool.leave(self)


class TtsHttp(BaseSession[TtsResult]):
    """One call's sentences, each a POST whose body is the audio. The next one is asked for while the one before is
    still being read, so that its first byte does not wait."""

    def __init__(
        self, shared: Shared, make: Callable[[], HttpTtsDialect], listener: Callable[[Any], None], timeout: Nanos
    ) -> None:
        dialect = make()
        super().__init__(shared.name, dialect.model, listener)
        self._make = make
        self._http = shared.http
        self._work = shared.work
        self._timeout = timeout
        self._speaks = dialect.speaks
        self._running: dict[int, asyncio.Task[None]] = {}
        self._last: asyncio.Event | None = None

    def speak(self, request: int, text: str) -> None:
        if self._ended:
            return
        before, self._last = self._last, asyncio.Event()
        run = self._run(request, text, before, self._last)
        self._running[request] = self._work.spawn(run, f"{self._name} tts {request}")

    def cancel(self, request: int) -> None:
        task = self._running.pop(request, None)
        if task is not None:
            task.cancel()
            self._tell(SpeechDone(request, cancelled=True))

    def close(self) -> None:
        if not self._ended:
            self._end()

    async def _run(self, request: int, text: str, before: asyncio.Event | None, done: asyncio.Event) -> None:
        dialect = self._make()
        try:
            async with Progress(self._timeout) as progress, self._http.post(dialect.request(text)) as answer:
                self._check(dialect, answer)
                await _turn(before, progress)
                await self._play(request, dialect, answer, progress)
            if self._running.pop(request, None) is not None:
                self._tell(SpeechDone(request))
        except TimeoutError:
            self._lost(request, ProviderError(self._name, "no tts answer in time", transient=True))
        except ProviderError as error:
            await _turn(before, None)
            self._lost(request, error)
        except READ_ERRORS as error:
            await _turn(before, None)
            self._lost(request, faults.to_error(self._name, faults.broken(error)))
        finally:
            done.set()

    def _check(self, dialect: HttpTtsDialect, answer: Answer) -> None:
        for event in sound(dialect.head(answer.head)):
            match event:
                case Model(info):
                    self.model = info
                case Fault():
                    self._refuse(event)

    def _refuse(self, fault: Fault) -> None:
        raise ProviderError(self._name, fault.text, transient=fault.transient)

    async def _play(self, request: int, dialect: HttpTtsDialect, answer: Answer, progress: Progress) -> None:
        width = self._speaks.encoding.width
        rest = b""
        async for piece in answer.pieces():
            progress.made()
            audio = rest + dialect.audio(piece)
            whole = len(audio) - len(audio) % width
            rest = audio[whole:]
            if whole and request in self._running:
                self._tell(Speech(request, audio[:whole], self._speaks.rate, encoding=self._speaks.encoding))

    def _lost(self, request: int, error: ProviderError) -> None:
        if self._running.pop(request, None) is not None:
            self._fail(error, request)

    def _end(self) -> None:
        super()._end()
        for task in self._running.values():
            task.cancel()
        self._running.clear()


async def _turn(before: asyncio.Event | None, progress: Progress | None) -> None:
    """Requests are answered in order. While the one before is being read, this one is not late."""
    if before is not None:
        if progress is not None:
            progress.pause()
        await before.wait()
        if progress is not None:
            progress.made()
