"""Whose trace work belongs to (W3C Trace Context): made for a call, carried by its tasks, told to plugs.

A call's tasks run in a context of their own, so whoever opens a session asks ``current()``, and need not be told.
The id of a turn's span follows from the call's, so that it can be told before the turn is over and its span is written.
"""

from __future__ import annotations

import secrets
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

__all__ = ["TraceContext", "begin", "current", "enter"]

_SAMPLED: Final = "01"


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A sampled trace, and the span within it that is the parent of what follows."""

    trace_id: int
    """128 bits."""
    span_id: int
    """64 bits."""

    @property
    def traceparent(self) -> str:
        """The value of the header of that name (W3C Trace Context 3.2)."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{_SAMPLED}"

    def child(self, *path: object) -> TraceContext:
        """A span below this one; the same path is the same span."""
        seed = f"{self.span_id:x} {path!r}".encode()
        digest = blake2b(seed, digest_size=8, key=self.trace_id.to_bytes(16, "big")).digest()
        return TraceContext(self.trace_id, int.from_bytes(digest, "big") or 1)


def begin() -> TraceContext:
    """A new trace; ids of zeros are not valid."""
    return TraceContext(secrets.randbits(128) or 1, secrets.randbits(64) or 1)


_current: ContextVar[TraceContext | None] = ContextVar("trace", default=None)


def current() -> TraceContext | None:
    """Of the call whose task this is; None if it is not traced."""
    return _current.get()


def enter(context: TraceContext | None) -> None:
    """The task that runs now, and those that it starts, belong to it."""
    _current.set(context)
