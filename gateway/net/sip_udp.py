"""SIP over UDP: a datagram is a message."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Final, cast

from gateway.net.options import SignallingOptions
from gateway.net.transport import Listen, Receiver, TransportSpec, bind
from gateway.sip.flow import Address, Datagram, Flow

__all__ = ["SPEC", "SipUdp"]

RECEIVE_BUFFER: Final = 4 << 20
"""Bytes asked for; the kernel grants at most ``net.core.rmem_max``. Its default holds some 90 requests, so that a
stranger's burst would push out a caller's INVITE; this holds about 1,800, a second and more of calls."""


class SipUdp(asyncio.DatagramProtocol):
    """One socket."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._transport: asyncio.DatagramTransport | None = None
        self.local: Address = ("", 0)
        self._closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.local = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._receiver.received(data, Flow("udp", self.local, (addr[0], addr[1])))

    def error_received(self, exc: Exception) -> None:
        """ICMP says that a peer is not there; which one it does not say here. The transaction's timer gives up."""

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._closed.done():
            self._closed.set_result(None)

    def send(self, datagram: Datagram) -> None:
        """An address that the socket cannot reach is a packet lost: it may come from a peer's Contact. asyncio reports
        such a thing to ``error_received``, uvloop raises it."""
        if self._transport is not None and not self._transport.is_closing():
            with suppress(OSError, ValueError):
                self._transport.sendto(datagram.data, datagram.flow.remote)

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            await self._closed


async def _open(listen: Listen, options: SignallingOptions, receiver: Receiver) -> SipUdp:
    loop = asyncio.get_running_loop()
    sock = bind(listen, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    _, protocol = await loop.create_datagram_endpoint(lambda: SipUdp(receiver), sock=sock)
    return protocol


SPEC: Final = TransportSpec("udp", default_port=5060, open=_open)
