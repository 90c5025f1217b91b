"""SIP over UDP: a datagram is a message. The socket is read here, in batches, and not by the event loop's own datagram
transport, for two reasons: a flood costs one round of the loop for many datagrams, and the kernel's error queue says
which peer is not there (``IP_RECVERR``), which neither asyncio nor uvloop hands on.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
import struct
import time
from functools import lru_cache
from typing import Final

from gateway.net.options import SignallingOptions
from gateway.net.transport import Listen, Receiver, TransportSpec, bind
from gateway.sip.flow import Address, Datagram, Flow
from gateway.units import SECOND, Nanos

__all__ = ["SPEC", "SipUdp"]

RECEIVE_BUFFER: Final = 4 << 20
"""Bytes asked for; the kernel grants at most ``net.core.rmem_max``. Its default holds some 90 requests, so that a
stranger's burst would push out a caller's INVITE; this holds about 1,800, a second and more of calls."""

_BATCH: Final = 64
"""Datagrams of one round of the loop; then others have their turn."""
_LARGEST: Final = 65_535
_TIMESTAMPNS: Final = 35
"""SO_TIMESTAMPNS (asm/socket.h): when the kernel has got a datagram. Python has no name for it."""
_TIMESPEC: Final = struct.Struct("@qq")
_STAMP_BYTES: Final = socket.CMSG_SPACE(_TIMESPEC.size)
_LONGEST_WAIT: Final = Nanos(60 * SECOND)
_RECVERR: Final = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
"""IP_RECVERR and IPV6_RECVERR (linux/in.h, linux/in6.h); Python has no names for them."""
_EXTENDED_ERROR: Final = struct.Struct("=IBBBBII")
"""struct sock_extended_err: errno, origin, ..."""
_ICMP_ORIGINS: Final = frozenset((2, 3))
_UNREACHABLE: Final = frozenset((errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EPERM))
"""RFC 3261 18.4: port, host and network unreachable, also where a firewall says so, are transport errors."""


class SipUdp:
    """One socket. It is watched through an epoll of its own: to a loop an error on the queue is the end of a socket,
    while an epoll is merely ready to be read."""

    def __init__(self, sock: socket.socket, receiver: Receiver) -> None:
        self._sock = sock
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        self.local: Address = sock.getsockname()[:2]
        self._refused: dict[Address, str] = {}
        self._poll = select.epoll(1)
        self._poll.register(sock, select.EPOLLIN)
        self._loop.add_reader(self._poll.fileno(), self._ready)

    # -- receiving -----------------------------------------------------------------------------------------------------

    def _ready(self) -> None:
        """The error of one datagram must not cost the others theirs: what a handler raises goes to the loop, which
        calls again as long as there is something to read."""
        receive, received, local = self._sock.recvmsg, self._receiver.received, self.local
        waited, banned = self._receiver.waited, self._receiver.banned
        for _ in range(_BATCH):
            try:
                data, ancillary, _, source = receive(_LARGEST, _STAMP_BYTES)
            except BlockingIOError:
                waited(None, local)
                break
            except OSError:
                continue  # what an earlier datagram has met; the queue says which
            if source[0] in banned:
                continue
            waited(_age(ancillary), local)
            received(data, _flow(local, source[0], source[1]))
        self._read_errors()

    def _read_errors(self) -> None:
        """Drains the error queue. Told in a round of its own: the endpoint may be in the middle of sending."""
        for _ in range(_BATCH):
            try:
                _, ancillary, _, peer = self._sock.recvmsg(0, 512, socket.MSG_ERRQUEUE)
            except OSError:
                break
            for _, _, data in ancillary:
                if len(data) >= _EXTENDED_ERROR.size:
                    number, origin, *_ = _EXTENDED_ERROR.unpack_from(data)
                    if origin in _ICMP_ORIGINS and number in _UNREACHABLE and peer:
                        self._note(peer[:2], os.strerror(number))

    def _note(self, peer: Address, why: str) -> None:
        if not self._refused:
            self._loop.call_soon(self._tell_refused)
        self._refused[peer] = why

    def _tell_refused(self) -> None:
        refused, self._refused = self._refused, {}
        if self._sock.fileno() >= 0:
            for peer, why in refused.items():
                self._receiver.unreachable(Flow("udp", self.local, peer), f"ICMP: {why}")

    # -- sending -------------------------------------------------------------------------------------------------------

    def send(self, datagram: Datagram) -> None:
        """What the kernel cannot take is a packet lost, and an address that the socket cannot reach too: it may come
        from a peer's Contact. With ``IP_RECVERR`` another datagram's error is raised here, once."""
        if self._try(datagram) == 0:
            return
        self._read_errors()
        if (number := self._try(datagram)) in _UNREACHABLE:
            self._note(datagram.flow.remote, os.strerror(number))

    def _try(self, datagram: Datagram) -> int:
        """0, or the number of the error."""
        try:
            self._sock.sendto(datagram.data, datagram.flow.remote)
        except BlockingIOError:
            return 0
        except OSError as error:
            return error.errno or errno.EIO  # a name instead of an address has none
        except (ValueError, OverflowError):
            return errno.EINVAL
        return 0

    async def close(self) -> None:
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._poll.fileno())
            self._poll.close()
            self._sock.close()


@lru_cache(maxsize=4096)
def _flow(local: Address, host: str, port: int) -> Flow:
    """A trunk's messages come from few addresses."""
    return Flow("udp", local, (host, port))


def _age(ancillary: list[tuple[int, int, bytes]]) -> Nanos:
    """Since the kernel has got the datagram. Its clock is the one that an administrator may set meanwhile."""
    for _, kind, data in ancillary:
        if kind == _TIMESTAMPNS and len(data) == _TIMESPEC.size:
            seconds, nanos = _TIMESPEC.unpack(data)
            age = time.time_ns() - seconds * SECOND - nanos
            return Nanos(age) if 0 < age < _LONGEST_WAIT else Nanos(0)
    return Nanos(0)


async def _open(listen: Listen, options: SignallingOptions, receiver: Receiver) -> SipUdp:
    sock = bind(listen, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    sock.setsockopt(*_RECVERR[sock.family], 1)
    sock.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)
    return SipUdp(sock, receiver)


SPEC: Final = TransportSpec("udp", default_port=5060, open=_open)
