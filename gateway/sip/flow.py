"""Where a message came from or goes to. The core opens no socket: it names a flow, and ``net/`` owns the socket."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Address", "Datagram", "Flow"]

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Flow:
    """One transport association, seen from us."""

    transport: str
    """``udp`` today; the name that a ``transport=`` parameter carries."""
    local: Address
    remote: Address

    @property
    def reliable(self) -> bool:
        """Whether the transport retransmits by itself: RFC 3261 17 sets several timers to zero on such a flow."""
        return self.transport != "udp"


@dataclass(frozen=True, slots=True)
class Datagram:
    """Bytes to send on a flow."""

    data: bytes
    flow: Flow
