"""Local ports: even ones of a range for RTP, the odd ones above them for RTCP (RFC 3550 11)."""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from gateway.errors import ResourceError

__all__ = ["PortPool"]

_TAKEN: Final = (errno.EADDRINUSE, errno.EACCES)


class PortPool:
    """Hands out bound sockets. It goes round the range, so that late packets of one call do not meet the next one."""

    def __init__(self, address: IPv4Address | IPv6Address, ports: tuple[int, int], dscp: int, *, rtcp: bool) -> None:
        self._rtcp = rtcp
        self._address = str(address)
        self._six = address.version == 6
        self._family = socket.AF_INET6 if self._six else socket.AF_INET
        self._tos = dscp << 2
        self._range = ports
        self._even = range(ports[0] + ports[0] % 2, ports[1] + 1, 2)
        self._next = 0

    def __len__(self) -> int:
        """Ports in the range."""
        return len(self._even)

    def bind(self) -> tuple[socket.socket, socket.socket | None]:
        """Bound, non-blocking UDP sockets for RTP and, on the odd port above, for RTCP.

        Raises ``ResourceError`` if no port or no descriptor is left.
        """
        for _ in range(len(self._even)):
            port = self._even[self._next]
            self._next = (self._next + 1) % len(self._even)
            rtp = self._bound(port)
            if rtp is None:
                continue
            try:
                rtcp = self._bound(port + 1) if self._rtcp else None
            except ResourceError:
                rtp.close()
                raise
            if rtcp is not None or not self._rtcp:
                return rtp, rtcp
            rtp.close()
        first, last = self._range
        raise ResourceError(f"no even port left on {self._address} in media.ports {first}-{last}")

    def _bound(self, port: int) -> socket.socket | None:
        """None if somebody has the port."""
        sock = self._socket()
        try:
            sock.bind((self._address, port))
        except OSError as error:
            sock.close()
            if error.errno in _TAKEN:
                return None
            raise ResourceError(f"media.address {self._address}: {error.strerror}") from error
        return sock

    def _socket(self) -> socket.socket:
        try:
            sock = socket.socket(self._family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            raise ResourceError(f"no socket for RTP: {error.strerror}; raise the limit of open files") from error
        if not self._tos:
            return sock
        if self._six:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, self._tos)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, self._tos)
        return sock
