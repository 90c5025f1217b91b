"""A client's WebSocket to a server with a protocol of its own: any text, any binary message, audio wrapped as it asks.

What comes and what is sent in one frame passes through Cython alone, as with the native protocol (``socket.py``);
fragments, control frames, violations and the handshake are ``websockets``'s affair.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from websockets.client import ClientProtocol
from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from codecs_ext.wsframe import Reader
from gateway.wire.socket import AudioMessage, WebSocket

__all__ = ["MAX_MESSAGE_BYTES", "PlainOwner", "PlainSocket", "client"]

MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""A whole sentence of speech with its alignment may come in one message."""
_WHOLE: Final = 1024 * 1024
"""Up to here a message is read in one piece; a larger one takes the slow way."""


class PlainOwner(Protocol):
    """Who uses the socket. A ``RemoteError`` raised by ``on_text`` or ``on_binary`` closes it."""

    def on_open(self) -> None: ...

    def on_text(self, text: str) -> None: ...

    def on_binary(self, data: bytes) -> None: ...

    def on_pong(self) -> None: ...

    def on_lost(self, reason: str) -> None:
        """Told exactly once, and nothing after it; the handshake may have failed."""


class _Owner:
    """Turns what ``WebSocket`` tells into what a plain owner hears."""

    def __init__(self, owner: PlainOwner) -> None:
        self.on_open = owner.on_open
        self.on_text = owner.on_text
        self.on_pong = owner.on_pong
        self.on_lost = owner.on_lost

    def on_audio(self, message: AudioMessage) -> None:
        """Never told: a plain socket knows no native audio."""


class PlainSocket(WebSocket):
    def __init__(self, core: ClientProtocol, owner: PlainOwner) -> None:
        super().__init__(core, _Owner(owner))
        self._binary = owner.on_binary

    def send_binary(self, data: bytes) -> None:
        """Sends a binary message; nothing if the connection is not open."""
        self.send_wrapped(b"", data, b"", base64=False)

    def send_wrapped(self, before: bytes, audio: bytes, after: bytes, *, base64: bool) -> bool:
        """Sends audio between two pieces, as base64 in a text message or raw in a binary one. False: not open, or the
        peer does not read fast enough."""
        transport = self._transport
        if not self._open or transport is None or transport.get_write_buffer_size() > self._send_limit:
            return False
        transport.write(self._writer.wrapped(before, audio, after, base64))
        return True

    def _make_reader(self) -> Reader:
        return Reader(masked=False, max_payload=_WHOLE, plain=True)

    def _hand_over(self, item: Any) -> None:
        opcode, data = item if isinstance(item, tuple) else (self._opcode, item)
        if opcode == Opcode.TEXT:
            self._owner.on_text(data.decode())
        else:
            self._binary(data)


class _Client(ClientProtocol):
    """The client's handshake with headers of the caller's own."""

    def __init__(self, url: str, headers: dict[str, str], subprotocols: tuple[str, ...]) -> None:
        offered = [Subprotocol(name) for name in subprotocols] or None
        super().__init__(parse_uri(url), subprotocols=offered, max_size=MAX_MESSAGE_BYTES)
        self._own_headers = headers

    def connect(self) -> Request:
        request = super().connect()
        for name, value in self._own_headers.items():
            request.headers[name] = value
        return request


def client(url: str, headers: dict[str, str], subprotocols: tuple[str, ...] = ()) -> ClientProtocol:
    """The handshake to ``url``. Raises ``InvalidURI`` of ``websockets`` for what is no ws or wss address."""
    return _Client(url, headers, subprotocols)
