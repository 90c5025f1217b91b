"""SIP over WebSocket (RFC 7118), plain and over TLS: a message of the WebSocket is a SIP message. Handshake and frames
are those of ``websockets`` without I/O; connections, limits and certificates are those of the other streams.

A browser is reached by the connection that it has opened and by no other: its Via and Contact name hosts that do not
exist (section 5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidState
from websockets.frames import Frame as WsFrame
from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from gateway.net.connection import Connection
from gateway.net.options import SignallingOptions
from gateway.net.sip_tls import SipTls, load_contexts
from gateway.net.streams import StreamTransport
from gateway.net.transport import Listen, Receiver, TransportSpec
from gateway.sip.framing import Frame, KeepAlive, RawMessage
from gateway.sip.uri import join_host_port

if TYPE_CHECKING:
    import asyncio

__all__ = ["SPEC_WS", "SPEC_WSS", "WsConnection"]

_SIP: Final = [Subprotocol("sip")]
_DATA: Final = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


class WsConnection(Connection):
    """One WebSocket, either side. What is sent before the handshake is over waits in ``StreamTransport``."""

    def __init__(self, owner: StreamTransport, options: SignallingOptions, *, accepted: bool) -> None:
        super().__init__(owner, options, accepted=accepted)
        self._max_bytes = options.max_message_bytes
        self._core: ServerProtocol | ClientProtocol | None = None
        self._parts: list[bytes] = []
        self._opened = self._loop.create_future()

    async def opened(self) -> None:
        """Raises ``ConnectionError`` if the peer does not speak SIP over WebSocket."""
        await self._opened

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        limits: Any = {"subprotocols": _SIP, "max_size": self._max_bytes}
        if self.accepted:
            self._core = ServerProtocol(**limits)
            return
        scheme = "wss" if self.certificate else "ws"
        self._core = client = ClientProtocol(parse_uri(f"{scheme}://{join_host_port(self.remote)}/"), **limits)
        client.send_request(client.connect())
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._opened.done():
            self._opened.set_exception(ConnectionError("no WebSocket handshake"))
            self._opened.exception()  # whoever waits hears of it; nobody may be waiting
        super().connection_lost(exc)

    def _receive(self, data: bytes) -> list[Frame]:
        if (core := self._core) is None:
            return []
        core.receive_data(data)
        frames = [frame for event in core.events_received() if (frame := self._event(event)) is not None]
        self._flush()
        if core.close_expected():
            self.close()
        return frames

    def _event(self, event: object) -> Frame | None:
        core = self._core
        if isinstance(event, Request) and isinstance(core, ServerProtocol):
            core.send_response(core.accept(event))
        if not isinstance(event, WsFrame):
            if core is not None and core.state is State.OPEN and core.subprotocol == "sip" and not self._opened.done():
                self._opened.set_result(None)
            return None
        if event.opcode is Opcode.PONG:
            return KeepAlive.PONG
        if event.opcode not in _DATA:
            return None
        self._parts.append(bytes(event.data))
        if not event.fin:
            return None
        message, self._parts = b"".join(self._parts), []
        return RawMessage(message)

    @property
    def _incomplete(self) -> bool:
        return bool(self._parts) or not self._opened.done() or bool(self._core and self._core.reader.buffer)

    @property
    def _broken(self) -> bool:
        return False  # the core closes by itself, and says why in its close frame

    def _write(self, data: bytes) -> None:
        """Text, as browsers expect it; a message that is not UTF-8 goes as binary (section 3)."""
        if self._core is None or self._core.state is not State.OPEN:
            return
        try:
            data.decode()
        except UnicodeDecodeError:
            self._core.send_binary(data)
        else:
            self._core.send_text(data)
        self._flush()

    def _write_ping(self) -> None:
        if self._core is not None and self._core.state is State.OPEN:
            self._core.send_ping(b"")
            self._flush()

    def _flush(self) -> None:
        try:
            pending = self._core.data_to_send() if self._core is not None else []
        except (ConnectionClosed, InvalidState):
            return
        for data in pending:
            super()._write(data)


class _Ws(StreamTransport):
    connection_type = WsConnection


class _Wss(SipTls):
    connection_type = WsConnection


async def _open_ws(listen: Listen, options: SignallingOptions, receiver: Receiver) -> StreamTransport:
    transport = _Ws(listen, options, receiver)
    await transport.listen()
    return transport


async def _open_wss(listen: Listen, options: SignallingOptions, receiver: Receiver) -> StreamTransport:
    transport = _Wss(listen, options, receiver, load_contexts(listen, options))
    await transport.listen()
    return transport


SPEC_WS: Final = TransportSpec("ws", default_port=80, open=_open_ws)
SPEC_WSS: Final = TransportSpec("wss", default_port=443, open=_open_wss)
