"""Who answers in text over a WebSocket: one connection per call, on which one thing is asked at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gateway.providers.contract import Bye, Generated, LlmResult, Message, Token, Tool, ToolCall, Usage
from gateway.providers.dialect import Done, Fault, HangUp, LlmSocketDialect, Spent, Text, Use
from gateway.providers.sessions.base import BaseSession, Deadlines
from gateway.providers.sessions.link import Link
from gateway.providers.sessions.shared import Shared
from gateway.units import Nanos

__all__ = ["LlmSocket"]


class LlmSocket(BaseSession[LlmResult]):
    """One call's connection. What comes for a request that is over, or that nobody asked for, is dropped."""

    def __init__(
        self, shared: Shared, dialect: LlmSocketDialect, listener: Callable[[Any], None], timeout: Nanos
    ) -> None:
        super().__init__(shared.name, dialect.model, listener)
        self._dialect = dialect
        self._link = Link(shared.name, dialect, self, shared.limits)
        self._deadlines = Deadlines(timeout, self._stalled)
        self._request: int | None = None
        self._wanted = ""  # the last request, unless it was cancelled

    async def open(self) -> None:
        await self._link.open()
        self.model = self._link.model

    # --- verbs --------------------------------------------------------------------------------------------------------

    def generate(self, request: int, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> None:
        if self._ended:
            return
        if self._request is not None:
            self.cancel(self._request)
        self._request, self._wanted = request, str(request)
        self._deadlines.expect(request)
        self._link.send(self._dialect.ask(request, messages, tools))

    def cancel(self, request: int) -> None:
        if request != self._request:
            return
        self._over()
        self._wanted = ""
        self._link.send(self._dialect.cancel(request))
        self._tell(Generated(request, cancelled=True))

    def interrupted(self, text: str, played_ms: int) -> None:
        self._link.send(self._dialect.interrupted(text, played_ms))

    def close(self) -> None:
        if not self._ended:
            self._end()

    # --- from the link ------------------------------------------------------------------------------------------------

    def on_event(self, event: Any) -> None:
        self.model = self._link.model
        request = self._request
        if isinstance(event, HangUp):
            if event.context in {"", self._wanted}:
                self._hang_up()
        elif request is not None and getattr(event, "context", "") in {"", str(request)}:
            self._take(request, event)

    def on_retire(self) -> None:
        """The bot holds the conversation: another connection would know nothing of it."""

    def on_lost(self, fault: Fault) -> None:
        self._fail(fault)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _take(self, request: int, event: Any) -> None:
        match event:
            case Text(text) if text:
                self._deadlines.expect(request)
                self._tell(Token(request, text))
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

    def _hang_up(self) -> None:
        request = self._request
        if request is None:
            self._tell(Bye())
        else:
            self._over()
            self._tell(Generated(request, hang_up=True))

    def _stalled(self, request: int) -> None:
        self._over()
        self._late("llm", request)

    def _over(self) -> None:
        if self._request is not None:
            self._deadlines.done(self._request)
            self._request = None

    def _end(self) -> None:
        super()._end()
        self._deadlines.clear()
        self._link.close()
