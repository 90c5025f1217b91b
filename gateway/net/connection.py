"""One SIP connection: bytes to messages, keep-alives answered, slow and silent peers cut off."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

from gateway.net.identity import identities
from gateway.net.options import SignallingOptions
from gateway.sip.flow import Address, Datagram
from gateway.sip.framing import PING_BYTES, PONG_BYTES, Frame, KeepAlive, RawMessage, StreamFramer
from gateway.units import SECOND

if TYPE_CHECKING:
    from gateway.net.streams import StreamTransport

__all__ = ["Connection"]

_UNHEARD: Final = 100
_PONG_TIMEOUT: Final = 10.0
"""Seconds (RFC 5626 4.4.1)."""


class Connection(asyncio.Protocol):
    """Belongs to a ``StreamTransport``, which it tells of messages and of its end. ``accepted`` is whether the peer has
    opened it."""

    def __init__(self, owner: StreamTransport, options: SignallingOptions, *, accepted: bool) -> None:
        self.accepted = accepted
        self.remote: Address = ("", 0)
        self.certificate: Mapping[str, Any] = {}
        """The peer's, verified, as ``ssl`` shows it; empty without TLS, and if it has shown none."""
        self.names: frozenset[str] = frozenset()
        """Whom the peer's certificate speaks for, where the peer has opened the connection."""
        self.unheard: list[Datagram] | None = None if accepted else []
        """What was sent before the peer has said anything: if it closes now, it refuses us."""
        self._owner = owner
        self._options = options.streams
        self._framer = StreamFramer(max_bytes=options.max_message_bytes)
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._used = self._loop.time()
        self._deadline: asyncio.TimerHandle | None = None  # for the message that is on its way
        self._idle: asyncio.TimerHandle | None = None
        self._ping: asyncio.TimerHandle | None = None
        self._pong: asyncio.TimerHandle | None = None  # until when an answer to our ping must have come
        self._pinged = False
        self._pongs = False  # whether the peer is one that answers
        self.closed = self._loop.create_future()

    # -- asyncio -------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.remote = transport.get_extra_info("peername")[:2]
        self.certificate = transport.get_extra_info("peercert") or {}
        if self.accepted and self.certificate:
            self.names = identities(self.certificate)
        _detect_dead_peers(transport.get_extra_info("socket"))
        self._used = self._loop.time()
        if not self._owner.connected(self):
            self._transport.abort()
            return
        if self.accepted:
            self._expect()
        self._idle = self._loop.call_later(self._options.idle_timeout / SECOND, self._check_idle)
        if not self.accepted:
            self._keep_alive()

    def data_received(self, data: bytes) -> None:
        self.unheard = None
        self._alive()
        frames = self._receive(data)
        for frame in frames:
            if isinstance(frame, RawMessage):
                self._used = self._loop.time()
                self._unexpect()
                self._owner.received(self, frame)
            elif frame is KeepAlive.PING:
                self._write(PONG_BYTES)
        if self._pinged and frames == [KeepAlive.PONG]:
            self._pinged, self._pongs = False, True
        if self._broken:
            self.close()  # what was written before leaves first
        elif not self._incomplete:
            self._unexpect()
        elif self._deadline is None:
            self._expect()

    # -- framing, which a WebSocket has of its own ---------------------------------------------------------------------

    async def opened(self) -> None:
        """Returns when messages may be sent. Raises ``ConnectionError``."""

    def _receive(self, data: bytes) -> list[Frame]:
        return self._framer.feed(data)

    @property
    def _incomplete(self) -> bool:
        return self._framer.pending > 0

    @property
    def _broken(self) -> bool:
        return self._framer.broken

    def _write_ping(self) -> None:
        self._write(PING_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unexpect()
        for timer in (self._idle, self._ping, self._pong):
            if timer is not None:
                timer.cancel()
        if not self.closed.done():
            self.closed.set_result(None)
        self._owner.disconnected(self)

    # -- for the owner -------------------------------------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, datagram: Datagram) -> None:
        if self.unheard is not None and len(self.unheard) < _UNHEARD:
            self.unheard.append(datagram)
        self.write(datagram.data)

    def write(self, data: bytes) -> None:
        self._used = self._loop.time()
        self._write(data)

    def _write(self, data: bytes) -> None:
        """Nothing if the connection is closing. A peer that does not read is cut off before it fills our memory."""
        if self._transport is None or not self.usable:
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > self._options.max_unsent_bytes:
            self.abort()

    def close(self) -> None:
        """What was written leaves first."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # -- keep-alive (RFC 5626 4.4.1) -----------------------------------------------------------------------------------

    def _keep_alive(self) -> None:
        if (interval := self._options.keep_alive) is not None:
            delay = interval / SECOND * random.uniform(0.8, 1.0)
            self._ping = self._loop.call_later(delay, self._send_ping)

    def _send_ping(self) -> None:
        if self._pongs and self._pong is None:
            self._pong = self._loop.call_later(_PONG_TIMEOUT, self._gone)
        self._pinged = True
        self._write_ping()
        self._keep_alive()

    def _alive(self) -> None:
        """Whatever the peer says will do."""
        if self._pong is not None:
            self._pong.cancel()
            self._pong = None

    def _gone(self) -> None:
        self._owner.turned_away(self, "RFC 5626 4.4.1: no answer to a ping")
        self.abort()

    # -- limits --------------------------------------------------------------------------------------------------------

    def _expect(self) -> None:
        """The message must be complete by then, however slowly its bytes drip in."""
        self._deadline = self._loop.call_later(self._options.message_timeout / SECOND, self._cut_off)

    def _unexpect(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cut_off(self) -> None:
        self._owner.turned_away(self, "limit: sip.streams.message_timeout")
        self.abort()

    def _check_idle(self) -> None:
        left = self._used + self._options.idle_timeout / SECOND - self._loop.time()
        if left <= 0:
            self.close()
        else:
            self._idle = self._loop.call_later(left, self._check_idle)


def _detect_dead_peers(sock: socket.socket | None) -> None:
    """A peer that vanished without a word is found out by the kernel within two minutes, and, when it leaves data
    unacknowledged, within 20 s: before a transaction gives up."""
    if sock is None:
        return
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 20_000)
