"""A WebSocket on asyncio, either side: handshake, text and control frames by ``websockets`` without I/O, audio in
Cython.

``websockets`` takes 33 µs for a pair of 20 ms messages, this path under 1 (ARCHITECTURE.md, decision 6), so audio
frames never pass through it; everything that is difficult or rare does. Nothing here is awaited per message: what
arrives is handed to the owner at once, what is sent is written to the transport at once.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any, Final, Protocol, cast

from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from codecs_ext.wsframe import Outbox, Reader, Writer, unpack
from gateway.errors import RemoteError, ResourceError
from gateway.wire.pipe import Pipe, TakeOver

__all__ = ["AudioMessage", "Owner", "WebSocket"]

AudioMessage = tuple[int, int, int, int, int, bytes]
"""stream, sequence, timestamp, request, flags, pcm."""

_POLICY: Final = 1008
_BAD_DATA: Final = 1007
_GOING_AWAY: Final = 1001
_HEAD_LIMIT: Final = 32 * 1024
_SEND_LIMIT: Final = 4 * 1024 * 1024


class Owner(Protocol):
    """Who uses a WebSocket. A ``RemoteError`` raised by ``on_text`` or ``on_audio`` closes it with its text as
    reason."""

    def on_open(self) -> None:
        """The handshake is complete and the subprotocol agreed."""

    def on_text(self, text: str) -> None: ...

    def on_audio(self, message: AudioMessage) -> None: ...

    def on_pong(self) -> None: ...

    def on_lost(self, reason: str) -> None:
        """Told exactly once, and nothing after it; the handshake may have failed."""


class WebSocket(asyncio.Protocol):
    """One connection. ``send_limit`` is how many unsent bytes may wait before audio is refused, and ten times that ends
    the connection: a peer that does not read must not fill our memory."""

    def __init__(self, core: ClientProtocol | ServerProtocol, owner: Owner, *, send_limit: int = _SEND_LIMIT) -> None:
        self._core = core
        self._owner = owner
        self._client = isinstance(core, ClientProtocol)
        self._send_limit = send_limit
        self._writer = Writer(masked=self._client)
        self._reader = self._make_reader()
        self._transport: asyncio.Transport | Pipe | None = None
        self.pipe: Pipe | None = None
        """The connection, once a media thread speaks it."""
        self.outbox: Outbox | None = None
        """Takes audio while the connection is open."""
        self._parts: list[bytes] = []
        self._opcode = Opcode.TEXT
        self._head: bytes | None = b""
        self._upgraded = False
        self._open = False
        self._lost = False
        self._reason = ""
        self._answered: Response | None = None

    # --- verbs --------------------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        return self._open

    @property
    def subprotocol(self) -> str | None:
        """What the handshake agreed on."""
        return self._core.subprotocol

    @property
    def response(self) -> Response | None:
        """What the server answered to a client's handshake."""
        return self._answered

    @property
    def close_code(self) -> int | None:
        """What the peer gave for closing (RFC 6455 7.4); None if it did not say."""
        return None if self._core.close_rcvd is None else self._core.close_rcvd.code

    @property
    def close_reason(self) -> str:
        """And the text beside it."""
        return "" if self._core.close_rcvd is None else self._core.close_rcvd.reason

    def send_text(self, text: str) -> None:
        """Sends a text message; nothing if the connection is not open."""
        if self._open:
            self._core.send_text(text.encode())
            self._flush()

    def send_audio(  # noqa: PLR0917 - the header, field by field
        self, stream: int, sequence: int, timestamp: int, request: int, flags: int, pcm: bytes
    ) -> bool:
        """Sends an audio message, or says False: not open, or the peer does not read fast enough."""
        return self.outbox is not None and self.outbox.audio(stream, sequence, timestamp, request, flags, pcm)

    def ping(self) -> None:
        if self._open:
            self._core.send_ping(b"")
            self._flush()

    @property
    def received(self) -> int:
        """Bytes that a media thread has read so far, should it speak the connection."""
        return 0 if self.pipe is None else self.pipe.received

    @property
    def is_plain(self) -> bool:
        """Open, and without TLS: ``hand_over`` can be asked for."""
        transport = self._transport
        return self._open and transport is not None and not transport.get_extra_info("sslcontext")

    def hand_over(self, take: TakeOver) -> Pipe | None:
        """A media thread speaks the connection from here on: for us, all goes on as before. Returns the pipe, the one
        from the last time if there is one. None: not now, as bytes wait to be sent or there is no room, or never, as
        TLS stays with its transport."""
        if self.pipe is not None or not self.is_plain:
            return self.pipe
        transport = cast("asyncio.Transport", self._transport)
        self._flush()
        socket = transport.get_extra_info("socket")
        if socket is None or transport.get_write_buffer_size() > 0:
            return None
        transport.pause_reading()
        fd = os.dup(socket.fileno())
        try:
            self.pipe = self._transport = take(fd, self._send_limit, self._reader.backlog(), self)
        except ResourceError:
            os.close(fd)
            transport.resume_reading()
            return None
        self._reader = self._make_reader()
        self.outbox = Outbox(self._writer, self.pipe, asyncio.get_running_loop().call_soon, self._send_limit)
        transport.set_protocol(asyncio.Protocol())
        transport.abort()  # closes its descriptor; the connection lives on in the other one
        return self.pipe

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Starts the closing handshake; ``on_lost`` follows when the peer has answered. The owner limits the time."""
        self._reason = self._reason or reason
        if self._open:
            self._shut()
            self._core.send_close(code, _short(reason))
            self._flush()
        elif self._transport is not None:
            self._transport.abort()

    def abort(self, reason: str) -> None:
        """Ends the connection without a word; ``on_lost`` follows."""
        self._reason = self._reason or reason
        self._shut()
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio ------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        if isinstance(self._core, ClientProtocol):
            self._core.send_request(self._core.connect())
            self._flush()

    def data_received(self, data: bytes) -> None:
        if self._lost:
            return
        if not self._upgraded:
            data = self._handshake(data)
        if not self._upgraded:
            self._core.receive_data(data)
            self._drain()
            return
        for item in self._reader.feed(data):
            if isinstance(item, bytes):
                self._core.receive_data(item)
                self._drain()
            else:
                self._guard(item)

    def eof_received(self) -> None:
        self._core.receive_eof()
        self._drain()

    def connection_lost(self, error: Exception | None) -> None:
        self._shut()
        self._transport = None
        if not self._lost:
            self._lost = True
            self._owner.on_lost(self._reason or self._told() or (str(error) if error else "connection closed"))

    # --- inside -------------------------------------------------------------------------------------------------------

    def _make_reader(self) -> Reader:
        return Reader(masked=not self._client)

    def _handshake(self, data: bytes) -> bytes:
        """Feeds the HTTP head alone to the core, so that a frame that follows in the same segment is ours to parse."""
        if self._head is None:  # a refusal's body
            return data
        self._head += data
        end = self._head.find(b"\r\n\r\n") + 4
        if end < 4:
            if len(self._head) > _HEAD_LIMIT:
                self.abort("the handshake is too long")
            return b""
        head, rest, self._head = self._head[:end], self._head[end:], None
        self._core.receive_data(head)
        self._drain()
        return rest

    def _told(self) -> str:
        core = self._core
        if core.handshake_exc is not None:
            return f"handshake failed: {core.handshake_exc}"
        if core.close_rcvd is not None:
            return f"closed by the peer: {core.close_rcvd}"
        return ""

    def _drain(self) -> None:
        for event in self._core.events_received():
            if isinstance(event, Frame):
                self._frame(event)
            elif isinstance(event, Request):
                self._accept(event)
            elif isinstance(event, Response):
                self._answered = event
                self._opened()
        self._flush()
        if self._core.close_expected() and self._transport is not None:
            self._shut()
            self._transport.close()

    def _accept(self, request: Request) -> None:
        core = cast("ServerProtocol", self._core)  # only a server receives a request
        core.send_response(core.accept(request))
        self._flush()
        if self._core.state is State.OPEN:
            self._opened()

    def _opened(self) -> None:
        if self._core.state is not State.OPEN or self._core.handshake_exc is not None:
            return
        self._open = self._upgraded = True
        if self._transport is not None:
            soon = asyncio.get_running_loop().call_soon
            self.outbox = Outbox(self._writer, self._transport, soon, self._send_limit)
        self._owner.on_open()

    def _shut(self) -> None:
        """No message of ours any more; audio that was gathered still goes out before a close frame."""
        self._open = False
        outbox, self.outbox = self.outbox, None
        if outbox is not None and self._transport is not None and not self._transport.is_closing():
            outbox.flush()

    def _frame(self, frame: Frame) -> None:
        match frame.opcode:
            case Opcode.TEXT | Opcode.BINARY | Opcode.CONT:
                if frame.opcode is not Opcode.CONT:
                    self._parts, self._opcode = [], frame.opcode
                self._parts.append(bytes(frame.data))
                if frame.fin:
                    message, self._parts = b"".join(self._parts), []
                    self._guard(message)
            case Opcode.PONG:
                self._owner.on_pong()
            case Opcode.CLOSE:
                self._shut()

    def _guard(self, item: Any) -> None:
        """Hands one message over; what is wrong with it ends the connection, never the loop."""
        if not self._open:
            return
        try:
            self._hand_over(item)
        except UnicodeDecodeError:
            self.close(_BAD_DATA, "a text message is not UTF-8")
        except (RemoteError, ValueError) as error:
            self.close(_POLICY, str(error))

    def _hand_over(self, item: bytes | AudioMessage) -> None:
        if not isinstance(item, bytes):
            self._owner.on_audio(item)
        elif self._opcode is Opcode.TEXT:
            self._owner.on_text(item.decode())
        else:
            self._owner.on_audio(unpack(item))

    def _flush(self) -> None:
        transport = self._transport
        if transport is None:
            self._core.data_to_send()
            return
        if self.outbox is not None:
            self.outbox.flush()  # audio that was sent before goes before
        try:
            pending = self._core.data_to_send()
        except (ConnectionClosed, InvalidState):
            return
        for data in pending:
            if data:
                transport.write(data)
            elif transport.can_write_eof():
                transport.write_eof()
        if transport.get_write_buffer_size() > 10 * self._send_limit:
            self.abort("the peer does not read")


def _short(reason: str) -> str:
    """RFC 6455 5.5: a close frame's payload has at most 125 bytes, two of them the code."""
    return reason.encode()[:120].decode(errors="ignore")
