"""Connections that speak, shared by the calls of a provider: each carries as many contexts as its protocol allows.

The pool is as large as the sessions that are open need, so that a sentence never waits for a handshake; what is idle
beyond that is kept for a while. A connection that is lost while it is idle is simply replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

from gateway.errors import ProviderError
from gateway.providers.contract import ModelInfo
from gateway.providers.dialect import Done, Fault, TtsDialect
from gateway.providers.sessions.link import Link
from gateway.providers.sessions.shared import Shared

__all__ = ["Line", "Pool", "Speaker"]

_FORGET: Final = 3.0
"""Seconds until a cancelled context is free again although the provider has not acknowledged."""
_LINGER: Final = 30.0
"""Seconds that a connection beyond what the open sessions need is kept."""


class Speaker(Protocol):
    """Who has work on a line. Events are told while the work is wanted."""

    def on_speech_event(self, context: str, event: Any) -> None: ...

    def on_line_lost(self, fault: Fault) -> None: ...

    def on_room(self) -> None:
        """A line has become free, or has been opened: ask again."""


class Line:
    """One connection of the pool, and who speaks on it."""

    def __init__(self, pool: Pool, dialect: TtsDialect) -> None:
        self.dialect = dialect
        self.link = Link(pool.name, dialect, self, pool.limits)
        self._pool = pool
        self._speakers: dict[str, Speaker | None] = {}  # None: cancelled, and not yet acknowledged
        self._loop = asyncio.get_running_loop()

    @property
    def busy(self) -> bool:
        return bool(self._speakers)

    @property
    def has_room(self) -> bool:
        return self.link.alive and not self.link.retiring and len(self._speakers) < self.dialect.contexts

    # --- verbs --------------------------------------------------------------------------------------------------------

    def speak(self, context: str, text: str, speaker: Speaker) -> None:
        self._speakers[context] = speaker
        self.link.send(self.dialect.speak(context, text))

    def cancel(self, context: str) -> None:
        """Nothing of this context is told any more."""
        if self._speakers.get(context) is None:
            return
        wires = self.dialect.cancel(context)
        if wires is None:
            self._pool.drop(self)
            return
        self.link.send(wires)
        if self.dialect.named:
            del self._speakers[context]
            self._pool.freed(self)
            return
        self._speakers[context] = None
        self._loop.call_later(_FORGET, self._forget, context)

    # --- from the link ------------------------------------------------------------------------------------------------

    def on_event(self, event: Any) -> None:
        context = getattr(event, "context", "") or self._only()
        if context not in self._speakers:
            return  # late, of something that was forgotten
        speaker = self._speakers[context]
        if isinstance(event, Done | Fault):
            del self._speakers[context]
        if speaker is not None:
            speaker.on_speech_event(context, event)
        if isinstance(event, Done | Fault):
            self._pool.freed(self)

    def on_retire(self) -> None:
        self._pool.freed(self)

    def on_lost(self, fault: Fault) -> None:
        speakers, self._speakers = list(self._speakers.values()), {}
        self._pool.lost(self)
        for speaker in speakers:
            if speaker is not None:
                speaker.on_line_lost(fault)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _only(self) -> str:
        return next(iter(self._speakers), "")

    def _forget(self, context: str) -> None:
        if context in self._speakers and self._speakers[context] is None:
            if self.dialect.contexts == 1:
                self._pool.drop(self)  # what it says next could belong to either
            else:
                del self._speakers[context]
                self._pool.freed(self)


class Pool:
    """The lines of one voice of a provider."""

    def __init__(self, shared: Shared, make: Callable[[], TtsDialect]) -> None:
        self.name = shared.name
        self.limits = shared.limits
        self.sample = make()
        self._make = make
        self._work = shared.work
        self._lines: list[Line] = []
        self._opening = 0
        self._sessions: list[Speaker] = []
        self._numbers = 0
        self._closed = False
        self._shrinking: asyncio.TimerHandle | None = None

    @property
    def model(self) -> ModelInfo:
        return self._lines[0].link.model if self._lines else self.sample.model

    def context(self) -> str:
        """A name that no other context of this pool has had."""
        self._numbers += 1
        return f"c{self._numbers}"

    # --- for sessions -------------------------------------------------------------------------------------------------

    async def join(self, session: Speaker) -> None:
        """Makes room for one more. Raises ``ProviderError`` if there is none to be had."""
        self._sessions.append(session)
        try:
            if self._wanting():
                await self._open()
        except BaseException:
            self._sessions.remove(session)
            raise

    def leave(self, session: Speaker) -> None:
        if session in self._sessions:
            self._sessions.remove(session)
            if self._shrinking is None and not self._closed:
                self._shrinking = asyncio.get_running_loop().call_later(_LINGER, self._shrink)

    def line(self) -> Line | None:
        """One with room; None: wait for ``on_room``. The fullest first, so that the others may fall idle."""
        with_room = [line for line in self._lines if line.has_room]
        if not with_room:
            self._grow()
            return None
        return with_room[0]

    async def close(self) -> None:
        self._closed = True
        if self._shrinking is not None:
            self._shrinking.cancel()
        for line in self._lines:
            line.link.close()
        self._lines.clear()

    # --- for lines ----------------------------------------------------------------------------------------------------

    def drop(self, line: Line) -> None:
        """Hangs up; nobody on it is told."""
        line.link.abort()
        self.lost(line)

    def lost(self, line: Line) -> None:
        if line in self._lines:
            self._lines.remove(line)
        self._grow()

    def freed(self, line: Line) -> None:
        if line.link.retiring and not line.busy:
            line.link.close()
            self.lost(line)
        if line.link.retiring:
            self._grow()
        self._invite()

    # --- inside -------------------------------------------------------------------------------------------------------

    def _needed(self) -> int:
        return -(-len(self._sessions) // self.sample.contexts)

    def _usable(self) -> int:
        return sum(not line.link.retiring for line in self._lines) + self._opening

    def _wanting(self) -> bool:
        return self._usable() < self._needed()

    def _grow(self) -> None:
        if not self._closed and self._wanting():
            self._work.spawn(self._replenish(), f"{self.name} opens a connection")

    async def _replenish(self) -> None:
        if not self._wanting():
            return
        try:
            await self._open()
        except ProviderError as error:
            fault = Fault(str(error).removeprefix(f"{self.name}: "), error.transient, error.busy)
            # Nobody can speak: those who would have to wait for it are told.
            if not self._lines:
                for session in list(self._sessions):
                    session.on_line_lost(fault)

    async def _open(self) -> None:
        line = Line(self, self._make())
        self._opening += 1
        try:
            await line.link.open()
        finally:
            self._opening -= 1
        if self._closed:
            line.link.close()
            return
        self._lines.append(line)
        self._invite()

    def _invite(self) -> None:
        for session in list(self._sessions):
            session.on_room()

    def _shrink(self) -> None:
        self._shrinking = None
        spare = len(self._lines) - max(self._needed(), 1)
        for line in [line for line in self._lines if not line.busy][: max(spare, 0)]:
            self._lines.remove(line)
            line.link.close()
