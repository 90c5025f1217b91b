"""The blocks ``trunks``, ``routes``, ``limits``, ``records``: who may call, whom they reach, what is written down."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

from pydantic import Field

from gateway.options import Duration, Options
from gateway.sip.options import RegistrationOptions

__all__ = ["LimitOptions", "RecordOptions", "RouteOptions", "TrunkOptions"]


class TrunkOptions(Options):
    """A peer that may send calls. A request from an address of no trunk is refused with 403."""

    name: str
    """Name in logs and call records."""
    source: list[IPv4Network | IPv6Network] = Field(alias="from", min_length=1)
    """Address ranges of the peer's signalling, like ``[203.0.113.0/24]``."""
    srtp: Literal["off", "prefer", "require"] = "off"
    """Encrypted media with keys in SDP (RFC 4568): ``off`` refuses offers that insist on it, ``prefer`` takes it where
    offered, ``require`` refuses calls without it. The keys are as secret as the signalling that carries them."""
    registration: RegistrationOptions | None = Field(default=None, alias="register")
    """An account to register at the peer, for those that do not send calls to a fixed address."""


class RouteOptions(Options):
    """What a called number is connected to. The first route that fits is taken."""

    to: str
    """User part of the Request-URI; ``*`` and ``?`` are wildcards, like ``+4930*``."""
    plug: str
    """Name of a block under ``plugs``."""
    ring_for: Duration = Field(default="0s", validate_default=True)
    """Send 180 Ringing for this long before answering."""
    early_media: bool = False
    """Open the media path while ringing (183 with SDP), so that the caller hears the plug before the answer."""
    hangup_after: Duration | None = None
    """End the call this long after the answer."""


class LimitOptions(Options):
    """Limits of the whole gateway."""

    concurrent_calls: int = Field(default=500, ge=1)
    """Calls at once; the next one gets 503 with Retry-After."""
    call_length: Duration = Field(default="2h", validate_default=True)
    """No call lasts longer."""


class RecordOptions(Options):
    """Call records: one JSON line per turn and per call."""

    file: Path | None = None
    """Where to append them; none writes them to the log alone."""
