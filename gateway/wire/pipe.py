"""A connection that a media thread speaks, and what passes on it between a leg and a model without the event loop.

The media plane gives these and the providers use them; neither imports the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Backlog", "Frame", "Patch", "PatchLeg", "PatchListener", "PatchTerms", "Pipe", "Piped", "TakeOver"]

Frame = tuple[bytes, int, int, int]
"""pcm, media time, arrival, flags."""

Backlog = tuple[bytes, int, bool]
"""Where the reader of a connection stands (``wsframe.Reader.backlog``)."""


class Piped(Protocol):
    """What hears a pipe, as it heard its transport."""

    def data_received(self, data: bytes, /) -> None: ...

    def eof_received(self) -> None: ...

    def connection_lost(self, error: Exception | None, /) -> None: ...


class Pipe(Protocol):
    """A connection that a media thread reads and writes; of ``asyncio.Transport``, what a WebSocket uses.

    What is written is whole frames: the thread puts audio between them.
    """

    @property
    def received(self) -> int:
        """Bytes that have come so far."""

    def get_extra_info(self, name: str, /) -> object:
        """Nothing is known of it."""

    def write(self, data: bytes, /) -> None: ...

    def write_eof(self) -> None: ...

    def can_write_eof(self) -> bool: ...

    def get_write_buffer_size(self) -> int: ...

    def is_closing(self) -> bool: ...

    def close(self) -> None:
        """Ends it when everything is sent; ``connection_lost`` follows."""

    def abort(self) -> None:
        """Ends it at once."""


TakeOver = Callable[[int, int, Backlog, Piped], Pipe]
"""Gives a socket (its descriptor) with room for so many unsent bytes to a media thread. Raises ``ResourceError``."""


@dataclass(frozen=True, slots=True)
class PatchTerms:
    """How frames pass between a leg and a stream of the native protocol."""

    stream: int
    rate: int
    """Hz of both directions."""
    told: int
    """Flags of a frame that are passed on."""
    gap: int
    """The flag of a frame behind frames that were left out."""
    allowed: int
    """Bytes that the server may send as things stand."""


class PatchListener(Protocol):
    """What a patch tells who asked for it, on the event loop."""

    def on_patched(self) -> None:
        """Every frame that was handed up before has come; ``Patch.go`` is asked for."""

    def on_spoke(self, arrival: int, /) -> None:
        """The caller speaks; ``Patch.watch`` asked for it."""

    def on_answered(self, arrival: int, /) -> None:
        """Audio from the server began to be played; ``Patch.attend`` asked for it."""

    def on_kept(self, frames: list[Frame], /) -> None:
        """Frames that were sent to the server before."""

    def on_unpatched(self, sequence: int, behind: int, /) -> None:
        """Frames come to the leg's observer again. ``behind`` is the flag that the next one gets."""


class Patch(Protocol):
    """The event loop's end of a patch; its verbs never wait, and are harmless when it is over."""

    def go(self, sequence: int, behind: int, credit: int) -> None:
        """Sends what waits, and everything after it as it comes."""

    def end(self) -> None:
        """``on_unpatched`` follows."""

    def credit(self, size: int) -> None:
        """So many bytes more may be sent."""

    def allow(self, size: int) -> None:
        """So many bytes more (or less) may be played."""

    def attend(self) -> None:
        """The next audio begins an answer."""

    def attended(self) -> bool:
        """Whether that is still awaited; it is no more."""

    def keep(self, on: bool) -> None:
        """Whether frames are handed up before they are forgotten."""

    def watch(self, since: int) -> None:
        """Speech that arrives then (nanoseconds) or later is told, once. 0: never."""

    def counts(self) -> tuple[int, int, int]:
        """Bytes sent, frames left out for lack of credit, bytes played."""


class Socket(Protocol):
    def hand_over(self, take: TakeOver, /) -> Pipe | None:
        """A media thread speaks it from here on. None: it cannot now, or never (TLS)."""


class PatchLeg(Protocol):
    """A leg that can be patched."""

    def patch(self, socket: Socket, listener: PatchListener, terms: PatchTerms) -> Patch | None:
        """None: not now, or never, as the connection is another thread's."""
