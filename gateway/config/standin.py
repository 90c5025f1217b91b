"""Stand-ins until the rooms have their own; to be deleted."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from gateway.options import Duration, Options


class SipOptions(Options):
    """Where SIP is spoken."""

    listen: str = "udp://127.0.0.1:5060"
    """Transport, address and port to listen on."""
    advertise: str | None = None
    """Address in Contact and Via if it is not the one listened on."""

    @field_validator("listen")
    @classmethod
    def _listen(cls, value: str) -> str:
        if not re.fullmatch(r"udp://(\[[0-9a-fA-F:.]+\]|[0-9.]+):\d{1,5}", value):
            raise ValueError(f"{value!r} is not a listening address; write one like udp://192.0.2.10:5060")
        return value


class MediaOptions(Options):
    """Where RTP flows."""

    address: str = "127.0.0.1"
    """Address that RTP sockets are bound to."""
    advertise: str | None = None
    """Address in SDP if it is not ``address``."""
    ports: str = "20000-29999"
    """Port range."""
    shards: int = Field(default=1, ge=1, le=64)
    """Threads."""
    rtp_timeout: Duration = Field(default="30s", validate_default=True)
    """Silence of the far end after which a call ends."""
