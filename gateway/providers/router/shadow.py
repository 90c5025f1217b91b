"""A provider that is asked along and never heard: the same input on live calls, its text and time stored beside the
first's.

It must not cost the call anything: it has no part in failing over, its faults are written down and go no further.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.errors import ProviderError
from gateway.providers.contract import Failed, Generated, Speech, SpeechDone, Token, Transcript, Usage
from gateway.providers.router.effects import Shadowed, Spent
from gateway.providers.router.upstream import Upstream
from gateway.units import Nanos

__all__ = ["Shadow"]

_LIMIT: Final = 50
"""Requests that may be unanswered; a shadow that falls behind is not asked."""
_OPEN_LIMIT: Final = 5.0


@dataclass(slots=True)
class _Open:
    """A request that is not answered yet."""

    asked: Nanos
    text: str = ""
    first: int | None = None


class Shadow:
    """``ask`` takes the verbs of the role's session, as the first provider gets them."""

    def __init__(
        self,
        role: str,
        upstream: Upstream,
        opener: Callable[[Upstream, Callable[[Any], None]], Awaitable[Any]],
        on_notice: Callable[[Any], None],
        now: Callable[[], Nanos],
        *,
        rate: int,
    ) -> None:
        self._role = role
        self._upstream = upstream
        self._opener = opener
        self._on_notice = on_notice
        self._now = now
        self._session: Any = None
        self._open: dict[int, _Open] = {}
        self._closed = False
        self._heard = 0
        self._rate = rate

    async def connect(self) -> None:
        """Once, while the phone rings; a shadow that is not there is missing, and no more."""
        try:
            async with asyncio.timeout(_OPEN_LIMIT):
                session = await self._opener(self._upstream, self._receive)
        except (ProviderError, TimeoutError) as error:
            self._tell(0, _Open(self._now()), str(error) or "no session in time")
            return
        if self._closed:
            session.close()
        else:
            self._session = session

    def close(self) -> None:
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def ask(self, verb: str, *arguments: Any) -> None:
        if self._session is None:
            return
        if verb in ("generate", "speak", "end_turn"):
            if len(self._open) >= _LIMIT:
                return
            request, what = arguments[0], arguments[1]
            self._open[request] = _Open(self._now(), what if verb == "speak" else "")
            self._count(verb, what)
        elif verb in ("cancel", "cancel_turn"):
            self._open.pop(arguments[0], None)
        elif verb == "audio":
            self._heard += len(arguments[0])
        getattr(self._session, verb)(*arguments)

    def _count(self, verb: str, what: Any) -> None:
        if verb == "speak":
            self._spend(Usage(characters=len(what)))

    def _spend(self, usage: Usage) -> None:
        self._on_notice(Spent(self._role, self._upstream.name, usage, "shadow"))

    # --- results ------------------------------------------------------------------------------------------------------

    def _receive(self, result: Any) -> None:
        if isinstance(result, Usage):
            self._spend(replace(result, characters=0))
            return
        if isinstance(result, Failed):
            self._failed(result)
            return
        request = result.turn if isinstance(result, Transcript) else getattr(result, "request", None)
        entry = self._open.get(request) if request is not None else None
        if request is None or entry is None:
            return
        match result:
            case Token(_, text):
                self._begun(entry)
                entry.text += text
            case Speech():
                self._begun(entry)
            case Transcript(_, text, final) if final:
                self._begun(entry)
                entry.text = text
                self._done(request, entry)
            case Generated() | SpeechDone():
                self._done(request, entry)

    def _begun(self, entry: _Open) -> None:
        if entry.first is None:
            entry.first = self._now() - entry.asked

    def _done(self, request: int, entry: _Open) -> None:
        del self._open[request]
        heard, self._heard = self._heard, 0
        if heard:
            self._spend(Usage(seconds=heard / (2 * self._rate)))
        self._tell(request, entry)

    def _failed(self, failed: Failed) -> None:
        if failed.request is None:
            self._session = None
            lost, self._open = self._open, {}
        else:
            lost = {failed.request: entry} if (entry := self._open.pop(failed.request, None)) else {}
        for request, entry in lost.items():
            self._tell(request, entry, str(failed.error))

    def _tell(self, request: int, entry: _Open, error: str = "") -> None:
        first = None if entry.first is None else Nanos(entry.first)
        total = None if error else Nanos(self._now() - entry.asked)
        self._on_notice(Shadowed(self._role, self._upstream.name, request, entry.text, first, total, error))
