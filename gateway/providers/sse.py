"""A stream of events over HTTP, cut anywhere: ``text/event-stream`` (WHATWG HTML 9.2) or lines of JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.errors import RemoteError
from gateway.providers.dialect import ServerEvent

__all__ = ["EventReader"]

_LIMIT: Final = 4 * 1024 * 1024


class EventReader:
    """Bytes in, events out. Comments and unknown fields are passed over; a line that begins with a brace is an event by
    itself: lines of JSON, and servers that answer an error in plain JSON. Raises ``RemoteError`` for an event of more
    than 4 MiB, ``UnicodeDecodeError`` (a ``ValueError``) for text that is not UTF-8."""

    def __init__(self) -> None:
        self._rest = b""
        self._kind = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, piece: bytes) -> Iterator[ServerEvent]:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) + self._size > _LIMIT:
            raise RemoteError("an event of more than 4 MiB")
        for line in lines:
            yield from self._line(line.removesuffix(b"\r").decode())

    def end(self) -> Iterator[ServerEvent]:
        """What is left when the stream has ended."""
        rest, self._rest = self._rest, b""
        if rest:
            yield from self._line(rest.removesuffix(b"\r").decode())
        yield from self._dispatch()

    def _line(self, line: str) -> Iterator[ServerEvent]:
        if not line:
            yield from self._dispatch()
        elif line[0] in "{[":
            yield ServerEvent("", line)
        else:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                self._data.append(value)
                self._size += len(value)
            elif name == "event":
                self._kind = value

    def _dispatch(self) -> Iterator[ServerEvent]:
        kind, data = self._kind, self._data
        self._kind, self._data, self._size = "", [], 0
        if data:
            yield ServerEvent(kind, "\n".join(data))
