"""What an operator may set about SIP."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.options import Duration, Options
from gateway.units import SECOND

__all__ = ["EndpointOptions"]


class EndpointOptions(Options):
    """Limits, timers and identity of a SIP endpoint. Defaults are those of RFC 3261, and safe for a small machine."""

    advertise: str | None = None
    """Host or ``host:port`` that Via and Contact carry; by default the address that the request came to."""
    user_agent: str = "Linecard"
    """Server and User-Agent header; empty for none."""
    t1: Duration = Field(default="500ms", validate_default=True)
    """Estimate of the round trip (RFC 3261 17.1.1.1)."""
    t2: Duration = Field(default="4s", validate_default=True)
    """Longest pause between retransmissions of requests other than INVITE, and of final responses."""
    t4: Duration = Field(default="5s", validate_default=True)
    """Longest time that a message stays in the network."""
    session_expires: Duration | None = Field(default="30m", validate_default=True)
    """A call that is not refreshed within this time is over (session timer, RFC 4028). Peers that do not know session
    timers get none. ``null`` turns them off."""
    min_session_expires: Duration = Field(default="90s", validate_default=True, ge=90 * SECOND)
    """A shorter session interval is refused with 422; at least 90s."""
    session_refresher: Literal["us", "them"] = "us"
    """Who refreshes, where the peer does not care."""
    reliable_provisional: bool = True
    """Reliable provisional responses (100rel, RFC 3262): used for early media where the peer knows them, for every
    ringing where it requires them."""
    ring_limit: Duration = Field(default="180s", validate_default=True)
    """How long a call that we place may ring before it is cancelled."""
    udp_limit: int = Field(default=1_300, ge=500)
    """A request of more bytes goes by TCP, if a ``tcp://`` address is listened on and the peer takes the connection
    (RFC 3261 18.1.1)."""
    max_message_bytes: int = Field(default=65_535, ge=1_000)
    """A larger message is dropped; on a stream it is refused with 513, and the connection is closed."""
    max_headers: int = Field(default=128, ge=16)
    """A request with more header lines is refused with 513."""
    max_calls: int = Field(default=1_000, ge=1)
    """Calls at once; one more is refused with 503."""
    max_transactions: int = Field(default=20_000, ge=1)
    """Transactions at once, the finished ones that still absorb retransmissions included; a request beyond it gets a
    503 without a transaction."""
