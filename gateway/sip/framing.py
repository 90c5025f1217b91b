"""A byte stream to messages (RFC 3261 18.3), without I/O: Content-Length frames them, empty lines between them are
keep-alives (RFC 5626 4.4.1).

    framer = StreamFramer(max_bytes=65_535)
    for frame in framer.feed(data): ...       # Message, or PING and PONG
    if framer.broken: ...                     # answer what was given, then close: nothing after it can be framed

However the stream is cut, the frames are the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from gateway.errors import SipError

__all__ = ["PING_BYTES", "PONG_BYTES", "Frame", "KeepAlive", "RawMessage", "StreamFramer"]

PING_BYTES: Final = b"\r\n\r\n"
PONG_BYTES: Final = b"\r\n"
"""The answer to a ping."""

_CRLF: Final = b"\r\n"
_BLANK: Final = b"\r\n\r\n"
# A header line starts after CRLF; one that starts with whitespace goes on with the line above it (RFC 3261 7.3.1).
_LENGTH: Final = re.compile(rb"\r\n(?:content-length|l)[ \t]*:((?:[^\r\n]|\r\n[ \t])*)", re.IGNORECASE)


class KeepAlive(Enum):
    """An empty line is a pong until a second one follows it: nobody can tell them apart before, and to take half a ping
    for a sign of life harms nobody. So a ping comes as ``PONG``, ``PING``."""

    PING = auto()
    """Wants ``PONG_BYTES`` back."""
    PONG = auto()


@dataclass(frozen=True, slots=True)
class RawMessage:
    """One message, not parsed yet."""

    data: bytes
    fault: SipError | None = None
    """Why the stream cannot be read on after this: ``data`` is the headers alone, or nothing that could be parsed.
    Whoever sent a request in it is told, then the connection is closed."""


Frame = RawMessage | KeepAlive


class StreamFramer:
    """One direction of one connection. Holds at most ``max_bytes``, and what one ``feed`` was given."""

    __slots__ = ("_buffer", "_half_ping", "_max_bytes", "_needed", "_searched", "broken")

    def __init__(self, *, max_bytes: int = 65_535) -> None:
        self.broken = False
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._searched = 0  # no blank line starts before this
        self._needed: int | None = None  # length of the message whose headers are complete
        self._half_ping = False

    @property
    def pending(self) -> int:
        """Bytes of a message that is not complete yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that these bytes complete. After ``broken`` there are none."""
        if self.broken:
            return []
        self._buffer += data
        frames: list[Frame] = []
        while not self.broken and (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> Frame | None:
        buffer = self._buffer
        if self._needed is None:
            if buffer.startswith(_CRLF):
                return self._keep_alive()
            end = buffer.find(_BLANK, self._searched)
            if end < 0 and len(buffer) <= self._max_bytes:
                self._searched = max(0, len(buffer) - len(_BLANK) + 1)
                return None
            head = bytes(buffer[: end + len(_BLANK)]) if end >= 0 else b""
            if not 0 < len(head) <= self._max_bytes:
                return self._break(b"", _too_large("the headers"))
            try:
                self._needed = self._length(head)
            except SipError as fault:
                return self._break(head, fault)
        return self._cut(self._needed) if len(buffer) >= self._needed else None

    def _keep_alive(self) -> KeepAlive:
        del self._buffer[: len(_CRLF)]
        self._half_ping = not self._half_ping
        return KeepAlive.PONG if self._half_ping else KeepAlive.PING

    def _length(self, head: bytes) -> int:
        """Of the whole message. Two lengths would let two readers see two messages, so even equal ones are refused."""
        found = _LENGTH.findall(head)
        if len(found) != 1:
            text = "comes twice" if found else "is missing, and a stream is framed by it"
            raise SipError(400, "Bad Request", f"RFC 3261 20.14: Content-Length {text}")
        digits = found[0].strip()
        if not digits.isdigit() or len(digits) > 9:  # bytes.isdigit knows ASCII only
            raise SipError(400, "Bad Request", "RFC 3261 20.14: malformed Content-Length")
        if len(head) + int(digits) > self._max_bytes:
            raise _too_large("the message")
        return len(head) + int(digits)

    def _cut(self, length: int) -> RawMessage:
        data = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._searched, self._needed, self._half_ping = 0, None, False
        return RawMessage(data)

    def _break(self, data: bytes, fault: SipError) -> RawMessage:
        self.broken = True
        self._buffer.clear()
        return RawMessage(data, fault)


def _too_large(what: str) -> SipError:
    return SipError(513, "Message Too Large", f"RFC 3261 18.3: {what} of a stream: sip.max_message_bytes is met")
