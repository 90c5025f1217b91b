"""SIP messages on their way to the captures of their calls.

A call is known only after its INVITE was read, so that the last messages of Call-IDs that nobody has asked for are
kept: so many of them, and only where some route captures at all.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from gateway.net.driver import monotonic
from gateway.sip.flow import Flow
from gateway.units import Nanos

__all__ = ["Message", "Wiretap"]

_CALL_ID: Final = re.compile(rb"\r?\n(?:call-id|i)[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r?\n", re.IGNORECASE)
_STRANGERS: Final = 64
_OF_EACH: Final = 8

Message = Callable[[Nanos, Flow, bytes, bool], None]
"""``(now, flow, data, outbound)``."""


class Wiretap:
    """Sorts messages by Call-ID. One per gateway."""

    def __init__(self) -> None:
        self._calls: dict[bytes, Message] = {}
        self._strangers: OrderedDict[bytes, list[tuple[Nanos, Flow, bytes, bool]]] = OrderedDict()

    def on_message(self, data: bytes, flow: Flow, outbound: bool) -> None:
        """What the signalling sends or receives."""
        found = _CALL_ID.search(data)
        if found is None:
            return
        if (call := self._calls.get(found[1])) is not None:
            call(monotonic(), flow, data, outbound)
            return
        kept = self._strangers.setdefault(found[1], [])
        if len(kept) < _OF_EACH:
            kept.append((monotonic(), flow, data, outbound))
        self._strangers.move_to_end(found[1])
        while len(self._strangers) > _STRANGERS:
            self._strangers.popitem(last=False)

    def attach(self, call_id: str, message: Message) -> None:
        """All messages of a call, those that have come already first."""
        key = call_id.encode("utf-8", "surrogateescape")
        self._calls[key] = message
        for kept in self._strangers.pop(key, ()):
            message(*kept)

    def detach(self, call_id: str) -> None:
        """Nothing more."""
        self._calls.pop(call_id.encode("utf-8", "surrogateescape"), None)
