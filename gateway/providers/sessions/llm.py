"""A language model over HTTP: one POST per request, its answer a stream of events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from gateway.errors import ProviderError, RemoteError
from gateway.providers import faults
from gateway.providers.contract import Generated, LlmResult, Message, Token, Tool, ToolCall, Usage
from gateway.providers.dialect import Done, Fault, LlmDialect, LlmEvent, Model, ServerEvent, Spent, Text, Use
from gateway.providers.sessions.base import BaseSession
from gateway.providers.sessions.http import Progress
from gateway.providers.sessions.reading import READ_ERRORS, sound
from gateway.providers.sessions.shared import Shared
from gateway.providers.sse import EventReader
from gateway.units import Nanos

__all__ = ["LlmHttp"]


class LlmHttp(BaseSession[LlmResult]):
    """One call's requests. Cancelling closes the connection of the request, which every provider takes as a stop."""

    def __init__(
        self, shared: Shared, make: Callable[[], LlmDialect], listener: Callable[[Any], None], timeout: Nanos
    ) -> None:
        super().__init__(shared.name, make().model, listener)
        self._make = make
        self._http = shared.http
        self._work = shared.work
        self._timeout = timeout
        self._running: dict[int, asyncio.Task[None]] = {}

    # --- verbs --------------------------------------------------------------------------------------------------------

    def generate(self, request: int, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> None:
        if self._ended:
            return
        run = self._run(request, self._make(), tuple(messages), tuple(tools))
        self._running[request] = self._work.spawn(run, f"{self._name} llm {request}")

    def cancel(self, request: int) -> None:
        task = self._running.pop(request, None)
        if task is not None:
            task.cancel()
            self._tell(Generated(request, cancelled=True))

    def interrupted(self, text: str, played_ms: int) -> None:
        """The messages of the next request say so."""

    def digit(self, digit: str) -> None:
        """Of no interest to a model that is asked by request."""

    def close(self) -> None:
        if not self._ended:
            self._end()

    # --- inside -------------------------------------------------------------------------------------------------------

    async def _run(
        self, request: int, dialect: LlmDialect, messages: tuple[Message, ...], tools: tuple[Tool, ...]
    ) -> None:
        try:
            async with Progress(self._timeout) as progress:
                await self._stream(request, dialect, messages, tools, progress)
        except TimeoutError:
            self._lost(request, ProviderError(self._name, "no llm answer in time", transient=True))
        except ProviderError as error:
            self._lost(request, error)
        except (*READ_ERRORS, RemoteError) as error:
            self._lost(request, faults.to_error(self._name, faults.broken(error)))

    async def _stream(
        self,
        request: int,
        dialect: LlmDialect,
        messages: tuple[Message, ...],
        tools: tuple[Tool, ...],
        progress: Progress,
    ) -> None:
        reader = EventReader()
        async with self._http.post(dialect.request(messages, tools)) as answer:
            for event in sound(dialect.head(answer.head)):
                self._take(request, event)
            async for piece in answer.pieces():
                for event in self._decoded(dialect, reader.feed(piece)):
                    if isinstance(event, Text | Use):
                        progress.made()
                    if self._take(request, event):
                        await answer.drain()
                        return
            for event in (*self._decoded(dialect, reader.end()), *sound(dialect.end())):
                if self._take(request, event):
                    return

    @staticmethod
    def _decoded(dialect: LlmDialect, events: Iterable[ServerEvent]) -> Iterator[LlmEvent]:
        for event in events:
            yield from sound(dialect.decode(event))

    def _take(self, request: int, event: LlmEvent) -> bool:
        """True: it was the last one that counts."""
        if request not in self._running:
            return True
        match event:
            case Text(text) if text:
                self._tell(Token(request, text))
            case Use(use):
                self._tell(ToolCall(request, use))
            case Model(info):
                self.model = info
            case Spent():
                self._tell(
                    Usage(
                        request,
                        input_tokens=event.input_tokens,
                        cached_tokens=event.cached_tokens,
                        output_tokens=event.output_tokens,
                    )
                )
            case Fault():
                raise faults.to_error(self._name, event)
            case Done(reason):
                del self._running[request]
                self._tell(Generated(request, finish=reason))
                return True
        return False

    def _lost(self, request: int, error: ProviderError) -> None:
        if self._running.pop(request, None) is not None:
            self._fail(error, request)

    def _end(self) -> None:
        super()._end()
        for task in self._running.values():
            task.cancel()
        self._running.clear()
