"""Who answers in text over a WebSocket: one connection per call, on which one thing is asked at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from gateway.providers.contract import (
    Beside,
    Bye,
    Digits,
    Generated,
    LanguageWanted,
    LlmResult,
    Message,
    Token,
    Tool,
    ToolCall,
    Unasked,
    Usage,
)
from gateway.providers.dialect import Done, Fault, HangUp, Language, LlmSocketDialect, Press, Spent, Text, Use
from gateway.providers.sessions.base import BaseSession, Deadlines
from gateway.providers.sessions.link import Link
from gateway.providers.sessions.shared import Shared
from gateway.units import Nanos

__all__ = ["LlmSocket"]


class LlmSocket(BaseSession[LlmResult]):
    """One call's connection. What comes for a request that is over is dropped."""

    def __init__(
        self, shared: Shared, dialect: LlmSocketDialect, listener: Callable[[Any], None], timeout: Nanos
    ) -> None:
        super().__init__(shared.name, dialect.model, listener)
        self._dialect = dialect
        self._link = Link(shared.name, dialect, self, shared.limits)
        self._deadlines = Deadlines(timeout, self._stalled)
        self._request: int | None = None
        self._wanted = ""  # the last request, unless it was cancelled
        self._stale = False  # the bot may still be giving an answer that is not wanted any more
        self._held: list[Beside] | None = []  # said before anybody could listen

    async def open(self) -> None:
        await self._link.open()
        self.model = self._link.model
        asyncio.get_running_loop().call_soon(self._release)  # when whoever opens the session has got it

    # --- verbs --------------------------------------------------------------------------------------------------------

    def generate(self, request: int, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> None:
        if self._ended:
            return
        if self._request is not None:
            self.cancel(self._request)
        self._request, self._wanted, self._stale = request, str(request), False
        self._deadlines.expect(request)
        self._link.send(self._dialect.ask(request, messages, tools))

    def cancel(self, request: int) -> None:
        if request != self._request:
            return
        self._over()
        self._wanted, self._stale = "", True
        self._link.send(self._dialect.cancel(request))
        self._tell(Generated(request, cancelled=True))

    def interrupted(self, text: str, played_ms: int) -> None:
        self._link.send(self._dialect.interrupted(text, played_ms))

    def digit(self, digit: str) -> None:
        self._link.send(self._dialect.digit(digit))

    def close(self) -> None:
        if not self._ended:
            self._end()

    # --- from the link ------------------------------------------------------------------------------------------------

    def on_event(self, event: Any) -> None:
        self.model = self._link.model
        request, context = self._request, getattr(event, "context", "")
        match event:
            case HangUp() | Press() if context not in {"", self._wanted, self._dialect.unasked}:
                pass  # of an answer that is not wanted any more
            case HangUp():
                self._hang_up()
            case Press(digits):
                self._beside(Digits(digits))
            case Language(speech, transcription):
                self._beside(LanguageWanted(speech, transcription))
            case _ if request is not None and context in {"", str(request)}:
                self._take(request, event)
            case Text() | Done() if context == self._dialect.unasked:
                self._unasked(event)

    def on_retire(self) -> None:
        """The bot holds the conversation: another connection would know nothing of it."""

    def on_lost(self, fault: Fault) -> None:
        self._fail(fault)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _take(self, request: int, event: Any) -> None:
        match event:
            case Text(text, _, interruptible) if text:
                self._deadlines.expect(request)
                self._tell(Token(request, text, interruptible=interruptible))
            case Use(use):
                self._deadlines.expect(request)
                self._tell(ToolCall(request, use))
            case Spent():
                tokens = (event.input_tokens, event.cached_tokens, event.output_tokens)
                self._tell(Usage(request, 0.0, 0, *tokens))
            case Done(reason):
                self._over()
                self._tell(Generated(request, finish=reason))
            case Fault():
                self._over()
                self._fail(event, request)

    def _unasked(self, event: Text | Done) -> None:
        """Where requests have no numbers, what is left of a cancelled answer ends with its end."""
        said = Unasked("", last=True) if isinstance(event, Done) else Unasked(event.text, False, event.interruptible)
        if not (self._stale and not event.context):
            self._beside(said)
        self._stale = self._stale and not said.last

    def _beside(self, result: Beside) -> None:
        if self._held is None:
            self._tell(result)
        else:
            self._held.append(result)

    def _release(self) -> None:
        held, self._held = self._held or [], None
        for result in held:
            self._tell(result)

    def _hang_up(self) -> None:
        request = self._request
        if request is None:
            self._beside(Bye())
        else:
            self._over()
            self._tell(Generated(request, hang_up=True))

    def _stalled(self, request: int) -> None:
        self._over()
        self._stale = True
        self._late("llm", request)

    def _over(self) -> None:
        if self._request is not None:
            self._deadlines.done(self._request)
            self._request = None

    def _end(self) -> None:
        super()._end()
        self._deadlines.clear()
        self._link.close()
