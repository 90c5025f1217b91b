"""What an operator may set about SIP."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field, field_validator

from gateway.errors import SipError
from gateway.options import Duration, Options, Secret
from gateway.sip.uri import parse_uri
from gateway.units import SECOND

__all__ = ["EndpointOptions", "FailoverOptions", "RegistrationOptions"]


class FailoverOptions(Options):
    """When a request goes to the next server of its target (RFC 3263 4.3). 503 and transport errors do that at once."""

    after: Duration = Field(default="4s", validate_default=True, ge=SECOND // 10)
    """How long a server may be silent, if there is another one; over UDP the request is repeated meanwhile. The last
    server has 64 times `t1`."""
    rest: Duration = Field(default="30s", validate_default=True)
    """For this long, a server that was silent or unreachable is tried after the others."""
    longest_rest: Duration = Field(default="5m", validate_default=True)
    """A server that asks to be left alone (503 with Retry-After) is, but for no longer than this."""


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
    failover: FailoverOptions = FailoverOptions()
    """From one server of a target to the next."""
    redirects: int = Field(default=0, ge=0, le=4)
    """How many redirects (3xx) a call that we place may follow; with 0 a redirect ends it. The contacts of one are
    tried in turn, until one answers or says 6xx."""
    redirect_to: list[str] = Field(default=[], max_length=64)
    """Hosts that a redirect may name, ``*`` and ``?`` are wildcards; empty: only the one that was called. A name is
    looked up like any other target."""
    transfer_limit: Duration = Field(default="180s", validate_default=True, ge=SECOND)
    """How long a transfer may take from REFER to the final NOTIFY before nobody waits for it any more."""
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


class RegistrationOptions(Options):
    """An account at a peer that must be told where calls may be sent (RFC 3261 10)."""

    registrar: str
    """The peer, like `sip:sip.example.net` or `sip:198.51.100.7:5070`."""
    user: str = Field(pattern=r"^[A-Za-z0-9_.!~*'()&=+$,;?/%-]+$")
    """Name or number of the account; also the user part of Contact, so calls come for it."""
    auth_user: str | None = None
    """Name to answer challenges with, if it is another than `user`."""
    password: Secret | None = None
    """Password of the account; without one no challenge is answered."""
    realm: str = ""
    """Answer only challenges of this realm; empty: any realm of this peer."""
    expires: Duration = Field(default="1h", validate_default=True, ge=60 * SECOND)
    """How long the registrar should remember us, at least 60s; it may say less, or ask for more."""
    retry: Duration = Field(default="30s", validate_default=True, ge=2 * SECOND)
    """Pause after a failure, at least 2s; it doubles with each further one, less up to a half at random."""
    retry_max: Duration = Field(default="30m", validate_default=True, ge=2 * SECOND)
    """Longest pause, at least 2s; also the pause after a refusal that only the operator can mend (403 and its like)."""

    keep_alive: Duration | None = Field(default="25s", validate_default=True, ge=SECOND)
    """Over UDP, an empty datagram this often keeps the binding of a NAT open; the registrar's Flow-Timer is obeyed.
    ``null``: none. Connections have `sip.streams.keep_alive`."""
    instance: UUID | None = None
    """A UUID of this gateway, made once and kept, asks for an outbound flow (RFC 5626): a registrar that supports it
    sends calls by the connection that registered, also through a NAT."""

    @field_validator("registrar")
    @classmethod
    def _registrar(cls, value: str) -> str:
        try:
            uri = parse_uri(value)
        except SipError:
            uri = None
        if uri is None or uri.scheme not in ("sip", "sips") or uri.user or "?" in uri.parameters:
            raise ValueError(f"{value!r} is not a registrar; write one like sip:sip.example.net")
        return value
