"""Listening with servers that hear one turn per connection: the next connection is opened when a turn was answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

from gateway.errors import ProviderError
from gateway.providers.contract import SttResult, Transcript
from gateway.providers.dialect import Fault, Flushed, Heard, TurnSttDialect, Wire
from gateway.providers.sessions.base import BaseSession, Converter, Deadlines
from gateway.providers.sessions.link import Link
from gateway.providers.sessions.shared import Shared
from gateway.units import Nanos, Samples

__all__ = ["SttTurns"]

_PREROLL_MS: Final = 400
"""Of what was said before a turn was noticed: its first sound lies there."""


class _Ear:
    """One connection, and the turn that it hears, if there is one yet. What is said before it is open waits."""

    def __init__(self, session: SttTurns, dialect: TurnSttDialect, shared: Shared) -> None:
        self._session = session
        self.dialect = dialect
        self.link = Link(shared.name, dialect, self, shared.limits)
        self.turn: int | None = None
        self.text = Heard("")
        self.answered = False
        self._waiting: list[bytes | tuple[Wire, ...]] = []

    async def open(self) -> None:
        await self.link.open()
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            self.put(one)

    def put(self, one: bytes | Iterable[Wire]) -> None:
        """A piece of audio, or messages."""
        if not self.link.alive:
            self._waiting.append(one if isinstance(one, bytes) else tuple(one))
        elif isinstance(one, bytes):
            self.link.send_audio(one)
        else:
            self.link.send(one)

    # --- from the link ------------------------------------------------------------------------------------------------

    def on_event(self, event: Any) -> None:
        if isinstance(event, Heard):
            self.text = event
            self._session.on_heard(self)
        elif isinstance(event, Flushed):
            self.answered = True
            self._session.on_answered(self)

    def on_retire(self) -> None:
        """It serves a single turn as it is."""

    def on_lost(self, fault: Fault) -> None:
        self._session.on_ear_lost(self, fault)


class SttTurns(BaseSession[SttResult]):
    """One call. Audio between turns is not sent, but for a little before each."""

    def __init__(
        self,
        shared: Shared,
        make: Callable[[], TurnSttDialect],
        listener: Callable[[Any], None],
        *,
        rate: int,
        timeout: Nanos,
    ) -> None:
        dialect = make()
        super().__init__(shared.name, dialect.model, listener)
        self._make = make
        self._shared = shared
        frame_ms = dialect.life.frame_ms
        self._converter = Converter(rate, dialect.hears, frame_ms, written=dialect.written)
        self._before: deque[bytes] = deque(maxlen=max(1, _PREROLL_MS // frame_ms))
        self._deadlines = Deadlines(timeout, self._stalled)
        self._next: _Ear | None = None
        self._current: _Ear | None = None
        self._ended_turns: dict[int, _Ear] = {}

    async def open(self) -> None:
        ear = self._next = self._ear()
        await ear.open()
        self.model = ear.link.model

    # --- verbs --------------------------------------------------------------------------------------------------------

    def audio(self, pcm: bytes, media_time: Samples, flags: int) -> None:
        piece = self._converter.feed(pcm)
        if piece is None:
            return
        if self._current is None:
            self._before.append(piece)
        else:
            self._current.put(piece)

    def begin_turn(self, turn: int, media_time: Samples) -> None:
        if self._ended:
            return
        self._drop(self._current)
        ear, self._next = self._next or self._opening(), None
        self._current, ear.turn = ear, turn
        ear.put(ear.dialect.begin())
        for piece in self._before:
            ear.put(piece)
        self._before.clear()

    def end_turn(self, turn: int, media_time: Samples) -> None:
        ear = self._current
        if self._ended or ear is None or ear.turn != turn:
            return
        if (rest := self._converter.flush()) is not None:
            ear.put(rest)
        ear.put(ear.dialect.end())
        self._current = None
        self._ended_turns[turn] = ear
        if ear.answered:
            self.on_answered(ear)
        else:
            self._deadlines.expect(turn)

    def cancel_turn(self, turn: int) -> None:
        if self._current is not None and self._current.turn == turn:
            self._converter.flush()
            self._drop(self._current)
            self._prepare()
        self._drop(self._ended_turns.get(turn))

    def close(self) -> None:
        if not self._ended:
            self._end()

    # --- from the ears ------------------------------------------------------------------------------------------------

    def on_heard(self, ear: _Ear) -> None:
        text = ear.text.text.strip()
        if ear.turn is not None and text:
            self._tell(Transcript(ear.turn, text, final=False, language=ear.text.language))

    def on_answered(self, ear: _Ear) -> None:
        turn, heard = ear.turn, ear.text
        if turn is None or turn not in self._ended_turns:
            return  # it took the turn as ended before the gateway does
        self.model = ear.link.model
        self._drop(ear)
        self._prepare()
        self._tell(Transcript(turn, heard.text.strip(), final=True, language=heard.language, words=heard.words))

    def on_ear_lost(self, ear: _Ear, fault: Fault) -> None:
        """One that was idle is opened again when a turn begins."""
        if ear is self._next:
            self._next = None
        elif not ear.answered:
            self._fail(fault)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _ear(self) -> _Ear:
        return _Ear(self, self._make(), self._shared)

    def _prepare(self) -> None:
        """For the next turn."""
        if self._next is None and not self._ended:
            self._next = self._opening()

    def _opening(self) -> _Ear:
        ear = self._ear()
        self._shared.work.spawn(self._open_ear(ear), f"{self._name} opens a connection")
        return ear

    async def _open_ear(self, ear: _Ear) -> None:
        try:
            await ear.open()
        except ProviderError as error:
            self.on_ear_lost(ear, Fault(str(error).removeprefix(f"{self._name}: "), error.transient, error.busy))

    def _drop(self, ear: _Ear | None) -> None:
        if ear is None:
            return
        if ear is self._current:
            self._current = None
        if ear.turn is not None:
            self._ended_turns.pop(ear.turn, None)
            self._deadlines.done(ear.turn)
        ear.answered = True
        ear.link.close()

    def _stalled(self, turn: int) -> None:
        self._drop(self._ended_turns.get(turn))
        self._late("stt", turn)

    def _end(self) -> None:
        super()._end()
        self._deadlines.clear()
        for ear in (self._next, self._current, *self._ended_turns.values()):
            if ear is not None:
                ear.answered = True
                ear.link.close()
        self._next = self._current = None
        self._ended_turns.clear()
