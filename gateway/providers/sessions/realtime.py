"""A speech-to-speech model on a WebSocket: audio goes up as it comes, its answer comes down in bursts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from gateway.errors import ProviderError
from gateway.providers import faults
from gateway.providers.contract import (
    Interrupted,
    RealtimeResult,
    Said,
    Speech,
    SpeechDone,
    ToolCall,
    Transcript,
    Usage,
)
from gateway.providers.dialect import Done, Fault, Heard, RealtimeDialect, Resumable, Sound, Spent, Use
from gateway.providers.sessions.base import BaseSession, Converter
from gateway.providers.sessions.link import Link
from gateway.providers.sessions.reading import READ_ERRORS
from gateway.providers.sessions.shared import Shared
from gateway.units import Samples

__all__ = ["RealtimeSocket"]

_RESUMES: Final = 3
"""Attempts to take up a session that is lost again and again."""
_MISSED_MS: Final = 3000
"""Of what is said while a session is taken up; it is heard then."""


class RealtimeSocket(BaseSession[RealtimeResult]):
    """One call's model. Where the protocol lets a lost session be taken up again, it is, unless the model was speaking:
    the rest of its sentence is lost, and only the caller's side knows what to make of that."""

    def __init__(
        self,
        shared: Shared,
        make: Callable[[], RealtimeDialect],
        listener: Callable[[Any], None],
        *,
        rate: int,
    ) -> None:
        dialect = make()
        super().__init__(shared.name, dialect.model, listener)
        self._make = make
        self._shared = shared
        self._dialect = dialect
        self._link = Link(shared.name, dialect, self, shared.limits)
        self._converter = Converter(rate, dialect.hears, dialect.life.frame_ms)
        self._missed: deque[bytes] = deque(maxlen=_MISSED_MS // dialect.life.frame_ms)
        self._handle = ""
        self._turn = 0
        self._speaking = False
        self._resuming = False
        self._resumed = 0  # times, since the model has last said or heard something

    async def open(self) -> None:
        booking = self._dialect.booking()
        if booking is not None:
            try:
                self._dialect.booked(await self._shared.http.ask(booking))
            except READ_ERRORS as error:
                raise faults.to_error(self._name, faults.broken(error)) from error
        await self._link.open()
        self.model = self._link.model

    # --- verbs --------------------------------------------------------------------------------------------------------

    def audio(self, pcm: bytes, media_time: Samples, flags: int) -> None:
        piece = self._converter.feed(pcm)
        if piece is None:
            return
        if self._resuming and not self._link.alive:
            self._missed.append(piece)
        else:
            self._link.send_audio(piece)

    def interrupted(self, played_ms: int) -> None:
        self._link.send(self._dialect.interrupted(played_ms))

    def tool_result(self, call: str, text: str) -> None:
        self._link.send(self._dialect.tool_result(call, text))

    def close(self) -> None:
        if not self._ended:
            self._end()

    # --- from the link ------------------------------------------------------------------------------------------------

    def on_event(self, event: Any) -> None:
        self.model = self._link.model
        match event:
            case Sound(audio):
                self._speaking, self._resumed = True, 0
                speaks = self._dialect.speaks
                self._tell(Speech(0, audio, speaks.rate, encoding=speaks.encoding))
            case Done():
                self._speaking = False
                self._tell(SpeechDone(0))
                self._resume_if_retiring()
            case Interrupted():
                self._speaking = False
                self._tell(event)
            case Heard(text, final):
                self._turn += final
                self._tell(Transcript(self._turn + (not final), text, final=final, language=event.language))
            case Said():
                self._tell(event)
            case Use(use):
                self._tell(ToolCall(0, use))
            case Resumable(handle):
                self._handle = handle
            case Spent():
                self._tell(
                    Usage(
                        None,
                        seconds=event.seconds,
                        input_tokens=event.input_tokens,
                        cached_tokens=event.cached_tokens,
                        output_tokens=event.output_tokens,
                    )
                )
            case Fault():
                self._fail(event)
            case _:
                pass

    def on_retire(self) -> None:
        self._resume_if_retiring()

    def on_lost(self, fault: Fault) -> None:
        if self._resuming and not self._speaking:
            return  # the one that is being replaced; or the one that replaces it, which is found out when it is open
        if fault.transient and not self._speaking and self._can_resume():
            self._start_resuming()
        else:
            self._fail(fault)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _can_resume(self) -> bool:
        tired = self._resuming or self._ended or self._resumed >= _RESUMES
        return bool(self._handle) and not tired and self._make().resume(self._handle)

    def _resume_if_retiring(self) -> None:
        """While the model is silent; one that cannot be resumed is used to its end."""
        if self._link.retiring and not self._speaking and self._can_resume():
            self._start_resuming()

    def _start_resuming(self) -> None:
        self._resuming = True
        self._resumed += 1
        self._shared.work.spawn(self._resume(), f"{self._name} resumes a session")

    async def _resume(self) -> None:
        dialect = self._make()
        dialect.resume(self._handle)
        link = Link(self._name, dialect, self, self._shared.limits)
        try:
            await link.open()
        except ProviderError as error:
            self._resuming = False
            if not self._link.alive:
                self._fail(error)
            return
        self._resuming = False
        if self._ended or (self._speaking and self._link.alive):
            link.close()  # the old one has begun to speak meanwhile, and is let finish
            return
        old, self._link, self._dialect = self._link, link, dialect
        old.close()
        if not link.alive:
            self._fail(Fault("lost as soon as it was taken up", transient=True))
        while self._missed:
            link.send_audio(self._missed.popleft())

    def _end(self) -> None:
        super()._end()
        self._link.close()
