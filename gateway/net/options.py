"""What an operator may set about SIP transports, beside what the endpoint itself reads."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from gateway.options import Duration, Options
from gateway.sip.options import EndpointOptions
from gateway.units import SECOND

__all__ = ["SignallingOptions", "StreamOptions", "TlsOptions"]


class StreamOptions(Options):
    """Limits of SIP connections (TCP, TLS), for each listener."""

    max_connections: int = Field(default=2_000, ge=1)
    """Connections at once, those that we open included; one more is closed at once."""
    max_per_source: int = Field(default=200, ge=1)
    """Connections that one address may have opened; one more is closed at once, so that nobody takes all of them."""
    connect_timeout: Duration = Field(default="3s", validate_default=True)
    """How long a connection that we open, its TLS handshake included, may take."""
    message_timeout: Duration = Field(default="10s", validate_default=True)
    """How long a new connection may take to its first message, and a message from its first byte to its last."""
    idle_timeout: Duration = Field(default="1h", validate_default=True)
    """A connection that carries nothing for this long is closed; a call that needs it again opens a new one."""
    keep_alive: Duration | None = Field(default="2m", validate_default=True, ge=SECOND // 10)
    """A ping this often, less up to a fifth at random, on each connection that we have opened (RFC 5626 4.4.1). A peer
    that has answered one and does not answer the next within 10s is gone: the connection is closed. ``null``: none."""
    max_unsent_bytes: int = Field(default=1_000_000, ge=65_536)
    """A peer that leaves more than this unread is cut off; as much may wait for a connection that is being opened."""


class TlsOptions(Options):
    """Certificates of SIP over TLS, 1.2 and newer. Changed files are read again at the next handshake; connections and
    calls that exist go on."""

    certificate: Path
    """PEM file with our certificate, and those between it and the root."""
    key: Path
    """PEM file with its private key."""
    ca: Path | None = None
    """PEM file with the roots that peers' certificates must lead to; none means the system's."""
    verify_client: bool = False
    """Ask who calls for a certificate, and refuse those without a valid one (mutual TLS). Servers that we call are
    always verified, by the rules of RFC 5922."""


class SignallingOptions(EndpointOptions):
    """An endpoint and the transports that carry its messages."""

    streams: StreamOptions = StreamOptions()
    """Limits of connections."""
    tls: TlsOptions | None = None
    """Certificates, needed for a ``tls://`` address."""
