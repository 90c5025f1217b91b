"""What an operator may set about SIP transports, beside what the endpoint itself reads."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from gateway.options import Duration, Options
from gateway.sip.options import EndpointOptions
from gateway.units import SECOND

__all__ = [
    "CallerOptions", "DefenceOptions", "SignallingOptions", "StreamOptions", "TlsOptions", "TlsTrust", "TlsUnverified",
]  # fmt: skip


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
    max_handshakes: int = Field(default=200, ge=1)
    """Connections at once that have come in and are not through their TLS handshake."""
    max_handshakes_per_source: int = Field(default=20, ge=1)
    """As many of them may be of one address."""
    idle_timeout: Duration = Field(default="1h", validate_default=True)
    """A connection that carries nothing for this long is closed; a call that needs it again opens a new one."""
    keep_alive: Duration | None = Field(default="2m", validate_default=True, ge=SECOND // 10)
    """A ping this often, less up to a fifth at random, on each connection that we have opened (RFC 5626 4.4.1). A peer
    that has answered one and does not answer the next within 10s is gone: the connection is closed. ``null``: none."""
    max_unsent_bytes: int = Field(default=1_000_000, ge=65_536)
    """A peer that leaves more than this unread is cut off; as much may wait for a connection that is being opened."""


class DefenceOptions(Options):
    """Against those who are no trunk's: floods, scanners, guessers. Addresses of trunks, and those that we have sent a
    request to, are not limited here."""

    strangers: Literal["answer", "drop"] = "answer"
    """What a source of no trunk gets: one refusal for each request, or nothing at all, unread. ``drop`` shuts out
    trunks that are known by ``login`` or ``tls_names`` alone, too."""
    rate: float = Field(default=20, gt=0)
    """Messages a second that one stranger may send; those beyond are dropped unread."""
    burst: int = Field(default=60, ge=1)
    """As many may come at once."""
    total_rate: float = Field(default=1_000, gt=0)
    """Messages a second of all strangers together: many sources, or forged ones, must not add up."""
    strikes: int = Field(default=30, ge=1)
    """A stranger that is refused this often within a minute is banned: it guesses numbers or passwords, or sends
    garbage. A scanner that says so in User-Agent is banned at once."""
    ban: Duration = Field(default="10m", validate_default=True, ge=SECOND)
    """How long nothing of a banned source is read."""
    trust: Duration = Field(default="5m", validate_default=True, ge=SECOND)
    """How long an address that we have sent a request to, or that has placed a call, is no stranger."""
    max_sources: int = Field(default=10_000, ge=100)
    """Sources that are remembered; beyond it the oldest is forgotten."""


class TlsTrust(Options):
    """Whom we believe. By itself it is what a caller without a certificate has."""

    ca: Path | None = None
    """PEM file with the roots that peers' certificates must lead to; none means the system's."""
    wildcards: bool = False
    """Believe a server that we call whose certificate is for ``*.example.net``. RFC 5922 7.2 forbids it, because one
    stolen key then speaks for every host of the domain; some large carriers have nothing else."""
    verify_server: ClassVar[bool] = True
    """No option: a gateway that believes every server would hand its calls and passwords to anybody."""

    @property
    def identity(self) -> tuple[Path, Path] | None:
        """Files of our certificate and its key."""
        return None

    @property
    def asks_clients(self) -> bool:
        return False


class TlsUnverified(TlsTrust):
    """Believes every server: for a test call to a machine whose certificate nobody has signed."""

    verify_server: ClassVar[bool] = False


class TlsOptions(TlsTrust):
    """Certificates of SIP over TLS, 1.2 and newer. Changed files are read again at the next handshake; connections and
    calls that exist go on."""

    certificate: Path
    """PEM file with our certificate, and those between it and the root."""
    key: Path
    """PEM file with its private key."""
    verify_client: bool = False
    """Ask who calls for a certificate, and refuse those without a valid one (mutual TLS). Servers that we call are
    always verified, by the rules of RFC 5922."""

    @property
    def identity(self) -> tuple[Path, Path]:
        return self.certificate, self.key

    @property
    def asks_clients(self) -> bool:
        return self.verify_client


class SignallingOptions(EndpointOptions):
    """An endpoint and the transports that carry its messages."""

    streams: StreamOptions = StreamOptions()
    """Limits of connections."""
    defence: DefenceOptions = DefenceOptions()
    """Floods, scanners and guessers."""
    tls: TlsOptions | None = None
    """Certificates, needed for a ``tls://`` address."""

    @property
    def trust(self) -> TlsTrust | None:
        """What TLS goes by; ``None``: there is no TLS."""
        return self.tls


class CallerOptions(SignallingOptions):
    """Of an endpoint that only places calls: it needs no certificate."""

    believes: TlsTrust = TlsTrust()
    """Whom it believes where ``tls`` says nothing."""

    @property
    def trust(self) -> TlsTrust:
        return self.tls or self.believes
