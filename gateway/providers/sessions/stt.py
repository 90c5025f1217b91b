"""Listening over a WebSocket: the gateway's turns laid over what the provider takes for segments and turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

from gateway.errors import ProviderError
from gateway.providers.contract import SttResult, Transcript, TurnHint, Usage
from gateway.providers.dialect import Fault, Flushed, Heard, Spent, SttDialect, TurnEvent
from gateway.providers.sessions.base import BaseSession, Converter, Deadlines
from gateway.providers.sessions.link import Link
from gateway.providers.sessions.shared import Shared
from gateway.units import SECOND, Nanos, Samples

__all__ = ["SttSocket"]


class _Text:
    """What was heard since the last final transcript."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self._final: list[str] = []
        self._open = ""
        self.last = Heard("")
        self.words: list[Any] = []
        self.over = False
        """The provider takes the turn as ended, and has heard nothing since."""

    def add(self, heard: Heard) -> None:
        if heard.whole:
            self._final.clear()
        if heard.final:
            self._final.append(heard.text)
            self._open = ""
            self.words.extend(heard.words)
        else:
            self._open = heard.text
        if heard.text.strip():
            self.last = heard
            self.over = False

    def close(self) -> None:
        """What is open stays as it is."""
        self._final.append(self._open)
        self._open = ""

    @property
    def unsettled(self) -> bool:
        return bool(self._open)

    def __str__(self) -> str:
        return " ".join(" ".join([*self._final, self._open]).split())


class SttSocket(BaseSession[SttResult]):
    """One call's connection. A turn that was ended is answered when the provider has flushed, when it takes the turn as
    ended itself, or when nothing more came for its settling time."""

    def __init__(
        self,
        shared: Shared,
        make: Callable[[], SttDialect],
        listener: Callable[[Any], None],
        *,
        rate: int,
        timeout: Nanos,
    ) -> None:
        dialect = make()
        super().__init__(shared.name, dialect.model, listener)
        self._make = make
        self._shared = shared
        self._link = Link(shared.name, dialect, self, shared.limits)
        self._dialect = dialect
        self._converter = Converter(
            rate, dialect.hears, dialect.life.frame_ms, filled=dialect.life.filled, written=dialect.written
        )
        self._loop = asyncio.get_running_loop()
        self._deadlines = Deadlines(timeout, self._stalled)
        self._settling: asyncio.TimerHandle | None = None
        self._replacing: asyncio.Task[None] | None = None
        self._turn: int | None = None
        self._ending: int | None = None
        self._came = False  # something since the turn was ended
        self._stale = False  # the end of a segment that was told of already
        self._void_until = 0.0  # until the provider is through with a turn that was cancelled
        self._answered = ""
        self._text = _Text()

    async def open(self) -> None:
        await self._link.open()
        self.model = self._link.model

    # --- verbs --------------------------------------------------------------------------------------------------------

    def audio(self, pcm: bytes, media_time: Samples, flags: int) -> None:
        piece = self._converter.feed(pcm)
        if piece is not None:
            self._link.send_audio(piece)

    def begin_turn(self, turn: int, media_time: Samples) -> None:
        self._turn = turn

    def end_turn(self, turn: int, media_time: Samples) -> None:
        if self._ended or turn != self._turn:
            return
        if self._ending is not None:
            self._answer()
        self._turn, self._ending, self._came = None, turn, False
        if self._text.over:
            self._answer()
            return
        self._send_rest()
        self._link.send(self._dialect.end())
        self._deadlines.expect(turn)
        self._settle()

    def cancel_turn(self, turn: int) -> None:
        if turn not in {self._turn, self._ending} or self._ended:
            return
        self._stop_waiting()
        self._turn = None
        wires = tuple(self._dialect.cancel())
        if wires and str(self._text):  # else the provider has nothing to end, and will not say so either
            self._send_rest()
            self._link.send(wires)
            self._void_until = self._loop.time() + self._dialect.settle / SECOND
        self._text.clear()
        self._replace_if_retiring()

    def close(self) -> None:
        if not self._ended:
            self._end()

    # --- from the link ------------------------------------------------------------------------------------------------

    def on_event(self, event: Any) -> None:
        self._came = True
        self.model = self._link.model
        match event:
            case Heard():
                self._on_heard(event)
            case TurnEvent(kind):
                self._on_turn(kind)
            case Flushed():
                self._on_flushed()
            case Spent():
                self._tell(Usage(None, seconds=event.seconds))
            case _:
                pass

    def on_retire(self) -> None:
        self._replace_if_retiring()

    def on_lost(self, fault: Fault) -> None:
        self._fail(fault)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _send_rest(self) -> None:
        """What waits for a whole message belongs to the turn that ends."""
        piece = self._converter.flush()
        if piece is not None:
            self._link.send_audio(piece)

    def _void(self) -> bool:
        return self._loop.time() < self._void_until

    def _repeated(self, heard: Heard) -> bool:
        """The same final once more, before anybody has spoken again."""
        idle = self._turn is self._ending is None
        return idle and heard.final and heard.text == self._answered and not str(self._text)

    def _on_flushed(self) -> None:
        self._stale = False
        if self._void():
            self._void_until = 0.0
        elif self._ending is not None:
            self._answer()

    def _on_heard(self, heard: Heard) -> None:
        if self._void() or self._repeated(heard):
            return
        if self._stale:
            self._stale = not heard.final
            return
        self._text.add(heard)
        turn = self._ending if self._ending is not None else self._turn
        if turn is not None and heard.text:
            last = self._text.last
            text = str(self._text)
            self._tell(Transcript(turn, text, final=False, confidence=last.confidence, language=last.language))

    def _on_turn(self, kind: Literal["started", "eager_end", "resumed", "ended"]) -> None:
        if kind == "ended":
            self._on_ended()
        else:
            self._text.over = False
            self._tell(TurnHint(kind, str(self._text)))

    def _on_ended(self) -> None:
        if self._void():
            self._void_until = 0.0
            return
        self._text.close()
        self._text.over = bool(str(self._text))
        self._stale = False
        if self._ending is not None:
            self._answer()
        elif self._turn is not None:
            self._tell(Transcript(self._turn, str(self._text), final=False, end_of_turn=True))

    def _answer(self) -> None:
        """The final transcript of the turn that was ended, of what is known now."""
        turn, text = self._ending or 0, self._text
        self._stop_waiting()
        self._stale = text.unsettled
        last = text.last
        result = Transcript(
            turn, str(text), final=True, confidence=last.confidence, language=last.language, words=tuple(text.words)
        )
        self._answered = last.text
        text.clear()
        self._tell(result)
        self._replace_if_retiring()

    def _settle(self) -> None:
        span = self._dialect.settle / SECOND
        self._settling = self._loop.call_later(span, self._settled)

    def _settled(self) -> None:
        """Providers that answer nothing to the end of a turn without speech must not hold up the call; one from which
        nothing at all has come is no longer there, which is for the deadline to find out."""
        self._settling = None
        if self._ending is None:
            return
        if self._came or str(self._text):
            self._answer()
        else:
            self._settle()

    def _stalled(self, turn: int) -> None:
        self._stop_waiting()
        self._text.clear()
        self._late("stt", turn)

    def _stop_waiting(self) -> None:
        if self._ending is not None:
            self._deadlines.done(self._ending)
        self._ending = None
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None

    def _replace_if_retiring(self) -> None:
        """Between two turns; the old connection listens until the new one does."""
        if self._link.retiring and self._turn is self._ending is None and self._replacing is None and not self._ended:
            self._replacing = self._shared.work.spawn(self._replace(), f"{self._name} replaces a connection")

    async def _replace(self) -> None:
        dialect = self._make()
        link = Link(self._name, dialect, self, self._shared.limits)
        try:
            await link.open()
        except ProviderError:
            return  # the old one may live on; when it does not, that is told
        finally:
            self._replacing = None
        old, self._link, self._dialect = self._link, link, dialect
        old.close()

    def _end(self) -> None:
        super()._end()
        self._stop_waiting()
        self._deadlines.clear()
        if self._replacing is not None:
            self._replacing.cancel()
        self._link.close()
