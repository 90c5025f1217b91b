"""The blocks ``routes``, ``limits``, ``authentication``: whom callers reach, and how many of them.
``trunks`` has a file of its own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.media.recording.options import CaptureOptions, RecordingOptions
from gateway.options import Duration, Options

__all__ = ["AuthenticationOptions", "LimitOptions", "RouteOptions"]


class RouteOptions(Options):
    """What a called number is connected to. The first route that fits is taken."""

    to: str
    """The called number, in E.164 where the trunk's ``numbers`` can tell it, or as it was written; ``*`` and ``?`` are
    wildcards, like ``+4930*``."""
    plug: str
    """Name of a block under ``plugs``."""
    trunks: list[str] | None = None
    """Only for calls that came in on these trunks; none means all."""
    ring_for: Duration = Field(default="0s", validate_default=True)
    """Send 180 Ringing for this long before answering."""
    early_media: bool = False
    """Open the media path while ringing (183 with SDP), so that the caller hears the plug before the answer."""
    hangup_after: Duration | None = None
    """End the call this long after the answer."""
    recording: RecordingOptions | None = None
    """Record the calls of this route."""
    capture: CaptureOptions | None = None
    """Capture the packets of this route's calls, if they fail or always."""


class LimitOptions(Options):
    """Limits of the whole gateway."""

    concurrent_calls: int = Field(default=500, ge=1)
    """Calls at once; the next one gets 503 with Retry-After."""
    calls_per_second: float | None = Field(default=None, gt=0)
    """New calls a second, all trunks together; those beyond get 503 with Retry-After."""
    burst: Duration = Field(default="1s", validate_default=True, gt=0)
    """As many calls as a rate allows in this time may come at once, here and on each trunk."""
    retry_after: Duration = Field(default="5s", validate_default=True, gt=0)
    """When a caller that is refused for want of room may try again: the Retry-After of 503."""
    max_delay: Duration = Field(default="1s", validate_default=True, gt=0)
    """A call whose INVITE has waited for longer than this before it could be read is shed with 503, so that the next
    ones need not wait as long. A burst of as many calls as are set up in this time is taken."""
    delay_target: Duration = Field(default="50ms", validate_default=True, gt=0)
    """As long may it wait once messages have queued up for good: without a moment in `delay_interval` in which none
    waited. More comes then than the gateway can do."""
    delay_interval: Duration = Field(default="1s", validate_default=True, gt=0)
    """For as long may messages queue up before the gateway takes it for overload."""
    spare_descriptors: int = Field(default=100, ge=1)
    """Fewer free descriptors than this shed new calls."""
    call_length: Duration = Field(default="2h", validate_default=True)
    """No call lasts longer."""


class AuthenticationOptions(Options):
    """How peers of trunks with a ``login`` are asked for it (RFC 3261 22, RFC 7616, RFC 8760)."""

    realm: str = Field(default="linecard", pattern=r'^[^"\\\x00-\x1f]+$')
    """What their password is for."""
    algorithms: list[Literal["SHA-512-256", "SHA-256", "MD5"]] = Field(default=["SHA-256", "MD5"], min_length=1)
    """Hashes to offer, the preferred first. Many peers know nothing but MD5."""
    nonce_lifetime: Duration = Field(default="5m", validate_default=True, gt=0)
    """How long a challenge may be answered; afterwards a new one is given, without asking for the password again."""
    max_nonces: int = Field(default=10_000, ge=16)
    """Challenges whose use is remembered, so that no answer is taken twice; beyond it the oldest must be renewed."""
