"""A plain TCP connection whose protocol cuts its own messages; who uses it sees no difference to a ``PlainSocket``."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol, cast

from websockets.http11 import Response

from gateway.wire.plain import PlainOwner

__all__ = ["CLOSED", "Framing", "TcpSocket"]

CLOSED: Final = "connection closed"
"""The reason of an end that nobody broke."""

_UNSENT_LIMIT: Final = 4 * 1024 * 1024


class Framing(Protocol):
    """Where messages begin and end."""

    def size(self, waiting: bytearray) -> int | None:
        """Of the first message, in bytes; None if more must come to tell. Raises ``ValueError`` for what is none."""

    def wrap(self, before: bytes, audio: bytes) -> bytes:
        """A message of audio."""


class TcpSocket(asyncio.Protocol):
    """A message is told when it is complete."""

    response: Response | None = None
    """Never: there is no handshake."""
    close_code: int | None = None
    close_reason: str = ""

    def __init__(self, framing: Framing, owner: PlainOwner) -> None:
        self._framing = framing
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._waiting = bytearray()
        self._closing = False
        self._reason = ""

    # --- verbs --------------------------------------------------------------------------------------------------------

    def send_text(self, text: str) -> None:
        self.send_binary(text.encode())

    def send_binary(self, data: bytes) -> None:
        if self._transport is not None and not self._closing:
            self._transport.write(data)

    def send_wrapped(self, before: bytes, audio: bytes, after: bytes, *, base64: bool) -> bool:
        """False: not open, or the peer does not read fast enough."""
        transport = self._transport
        if transport is None or self._closing or transport.get_write_buffer_size() > _UNSENT_LIMIT:
            return False
        transport.write(self._framing.wrap(before, audio))
        return True

    def ping(self) -> None:
        """There is nothing of the kind; ``Life.probe`` is to be off."""

    def close(self) -> None:
        """What was written is still sent."""
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    def abort(self, reason: str) -> None:
        self._closing = True
        self._reason = self._reason or reason
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio ------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._owner.on_open()

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        try:
            while not self._closing and (size := self._framing.size(self._waiting)) is not None:
                if len(self._waiting) < size:
                    return
                message = bytes(self._waiting[:size])
                del self._waiting[:size]
                self._owner.on_binary(message)
        except ValueError as error:
            self.abort(f"what came is no message: {error}")

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._owner.on_lost(self._reason or (str(error) if error else CLOSED))
