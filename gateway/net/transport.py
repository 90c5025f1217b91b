"""What a SIP transport is. A transport is one file that ends in a ``TransportSpec``, and one entry-point line in the
group ``linecard.transports``; its name is the scheme in ``sip.listen`` and the ``transport=`` parameter of URIs.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass
from typing import Final, Protocol

from gateway import registry
from gateway.errors import MisuseError, ResourceError, SipError
from gateway.net.options import SignallingOptions
from gateway.sip.flow import Address, Datagram, Flow
from gateway.units import Nanos

__all__ = ["Listen", "Receiver", "Transport", "TransportSpec", "bind", "transport_spec"]


@dataclass(frozen=True, slots=True)
class Listen:
    """A transport and a local address. Port 0 lets the kernel choose (tests)."""

    transport: str
    host: str
    port: int

    @property
    def address(self) -> Address:
        return self.host, self.port

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}://{host}:{self.port}"


class Receiver(Protocol):
    """Who a transport works for. Everything is called on the event loop, and may call ``send``."""

    @property
    def banned(self) -> Container[str]:
        """Addresses that nothing is read from: the first thing that a transport looks at."""

    def received(self, data: bytes, flow: Flow, fault: SipError | None = None) -> None:
        """One message; with a fault, what could be framed of it (see ``sip.framing``)."""

    def waited(self, delay: Nanos | None, local: Address) -> None:
        """What comes next to this address has waited for so long; ``None``: nothing waits there. Told where the kernel
        says it: of UDP."""

    def undelivered(self, datagram: Datagram, why: str) -> None:
        """What ``send`` took cannot be sent. Never called from within ``send``."""

    def unreachable(self, flow: Flow, why: str) -> None:
        """The network says that nobody is there (ICMP). Never called from within ``send``."""

    def lost(self, flow: Flow) -> None:
        """A connection that we had opened has ended."""

    def turned_away(self, flow: Flow, rule: str) -> None:
        """A peer met a limit, and its connection was closed."""


class Transport(Protocol):
    """Listens on one address. ``local`` is where it is bound: its port is real, also if 0 was asked for."""

    @property
    def local(self) -> Address: ...

    def send(self, datagram: Datagram) -> None:
        """Sends, or tells ``Receiver.undelivered`` later, or, without any connection, loses it. Raises nothing."""

    async def close(self) -> None:
        """Closes everything; what is still to be written has a moment to leave."""


@dataclass(frozen=True, slots=True)
class TransportSpec:
    """The constant that a transport registers."""

    name: str
    default_port: int
    open: Callable[[Listen, SignallingOptions, Receiver], Awaitable[Transport]]
    """Binds. Raises ``ResourceError`` with one line for the operator."""


def transport_spec(name: str) -> TransportSpec:
    """What is registered under that name. Raises ``MisuseError``: configuration checks names before."""
    spec = registry.load(registry.TRANSPORTS, name)
    if not isinstance(spec, TransportSpec):
        raise MisuseError(f"transport {name!r} is registered with a {type(spec).__name__}, not a TransportSpec")
    return spec


_BIND_ERRORS: Final = {
    errno.EADDRINUSE: "the port is in use; stop the other program or choose another port",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EACCES: "no permission; ports below 1024 need CAP_NET_BIND_SERVICE",
}


def bind(listen: Listen, kind: socket.SocketKind) -> socket.socket:
    """A bound socket. Bound here and not by the loop, because uvloop's error no longer says why."""
    sock = socket.socket(socket.AF_INET6 if ":" in listen.host else socket.AF_INET, kind)
    try:
        sock.setblocking(False)
        if kind is socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of the last run linger
        if sock.family is socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # so that [::] and 0.0.0.0 can stand together
        sock.bind(listen.address)
    except OSError as error:
        sock.close()
        why = _BIND_ERRORS.get(error.errno or 0, error.strerror or str(error))
        raise ResourceError(f"cannot listen on {listen}: {why}") from None
    return sock
