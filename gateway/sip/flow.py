"""Where a message came from or goes to. The core opens no socket: it names a flow, and ``net/`` owns the socket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

__all__ = ["SECURE", "WEBSOCKETS", "Address", "Datagram", "Flow", "Hop", "Listener", "OurSide", "Remote", "flow_to"]

Address = tuple[str, int]
Listener = tuple[str, Address]
"""A transport and the address that we take its messages at."""
SECURE: Final = frozenset(("tls", "wss"))
"""Transports that ``sips:`` may use (RFC 3261 26.2, RFC 7118 5)."""


WEBSOCKETS: Final = frozenset(("ws", "wss"))


@dataclass(frozen=True, slots=True)
class Hop:
    """A server that a request may go to. A list of them has the order in which they are to be tried (RFC 3263 4.3)."""

    transport: str
    address: Address


Remote = Address | list[Hop] | None
"""Where a request goes whose target names a host: one address, or servers to try in order."""


@dataclass(frozen=True, slots=True)
class OurSide:
    """How we present ourselves to a peer."""

    advertise: str = ""
    """Host or ``host:port`` in Via and Contact; ``""``: what the endpoint says to everybody."""
    sips: bool = False
    """The dialog was made by a ``sips:`` URI: Contact has one, and nothing of it leaves TLS (RFC 5630)."""
    outbound: bool = False
    """Requests of the peer's come back by this flow: Contact carries ``ob`` (RFC 5626 4.3)."""


_ANYBODY: Final = OurSide()


@dataclass(frozen=True, slots=True)
class Flow:
    """One transport association, seen from us."""

    transport: str
    """``udp``, ``tcp``, ...: the name that a ``transport=`` parameter carries."""
    local: Address
    """Where we listen, also for a connection that we open from another port."""
    remote: Address
    listens_at: Address | None = None
    """Of a connection that the peer opened: where to connect to once that one is gone (RFC 3261 18.2.2)."""
    host: str = ""
    """The name that led to the address, which TLS asks the peer to prove; ``""`` if none did."""
    names: frozenset[str] = frozenset()
    """Of a connection that the peer opened over TLS, and of what is sent to that peer afterwards: the names that its
    certificate proves (RFC 5922 7.1)."""
    ours: OurSide = _ANYBODY

    @property
    def secure(self) -> bool:
        return self.transport in SECURE

    @property
    def reliable(self) -> bool:
        """Whether the transport retransmits by itself: RFC 3261 17 sets several timers to zero on such a flow."""
        return self.transport != "udp"


@dataclass(frozen=True, slots=True)
class Datagram:
    """Bytes to send on a flow."""

    data: bytes
    flow: Flow


def flow_to(
    listeners: Sequence[Listener], transport: str, remote: Address, host: str = "", like: Flow | None = None
) -> Flow | None:
    """A flow that starts at the first listener of that transport and IP version; ``None`` if there is none. It presents
    us as ``like`` does."""
    for name, local in listeners:
        if name == transport and (":" in local[0]) == (":" in remote[0]):
            flow = Flow(transport, local, remote, host=host)
            return replace(flow, ours=like.ours) if like is not None else flow
    return None
