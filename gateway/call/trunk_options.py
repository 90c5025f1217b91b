"""The block ``trunks``: who a peer is, what it may do, and how it wants its calls."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated, Final, Literal

import phonenumbers
from pydantic import AfterValidator, Field, field_validator, model_validator

from gateway.errors import SipError
from gateway.options import Duration, Options, Secret
from gateway.sip.options import RegistrationOptions
from gateway.sip.uri import host_port, parse_uri
from gateway.units import SECOND

__all__ = [
    "CallerIdOptions",
    "HealthOptions",
    "InboundLogin",
    "NumberOptions",
    "OutboundCredentials",
    "TargetOptions",
    "TrunkLimits",
    "TrunkOptions",
]

_HEADER: Final = re.compile(r"[A-Za-z0-9!%*_+`'~.-]{1,64}")
_OURS: Final = frozenset(
    {"via", "from", "to", "call-id", "cseq", "contact", "max-forwards", "content-length", "content-type", "route",
     "v", "f", "t", "i", "m", "l", "c"}
)  # fmt: skip
_USER: Final = r"^[A-Za-z0-9_.!~*'()&=+$,;?/%@-]+$"


def _known_region(value: str) -> str:
    if value.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"{value!r} is no region; write two letters of ISO 3166, like DE or US")
    return value.upper()


class InboundLogin(Options):
    """What a peer without a fixed address must know (digest authentication, RFC 7616 and 8760)."""

    user: str = Field(pattern=_USER)
    """Its user name; each trunk has one of its own."""
    password: Secret
    """Its password."""


class NumberOptions(Options):
    """How numbers are written on this trunk. Inside they are E.164 with a plus, like ``+493012345``, wherever that can
    be told; emergency numbers, short codes and names are left as they are."""

    region: Annotated[str, AfterValidator(_known_region)] | None = None
    """Country (ISO 3166, two letters) whose dialling rules numbers without a plus follow; without one they are left
    as they are."""
    strip: list[str] = Field(default_factory=list, max_length=32)
    """Prefixes taken off called numbers that come in: the longest that fits, like a carrier's routing code."""
    prefix: str = Field(default="", pattern=r"^[0-9*#+]*$")
    """Put before called numbers that go out, after they were written in ``format``."""
    format: Literal["e164", "plain", "national", "international"] = "e164"
    """How numbers go out: ``+493012345``, ``493012345``, ``03012345``, or as dialled abroad from ``region``
    (``00493012345``)."""


class CallerIdOptions(Options):
    """Who calls, as the peer tells us and as we tell it."""

    trusted: bool = False
    """Believe P-Asserted-Identity of this peer, which then counts more than From, and tell it ours (RFC 3325)."""
    anonymous: Literal["accept", "refuse"] = "accept"
    """Calls that withhold their number: ``refuse`` answers 433 (RFC 5079)."""
    allowed: list[str] = Field(default_factory=list, max_length=1_000)
    """Numbers that our calls may show, wildcards included, like ``+4930123*``; none: any."""
    default: str | None = None
    """Number that our calls show where none was asked for."""
    host: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.-]+$")
    """Host of From and P-Asserted-Identity in our calls, where the peer wants a domain of its own; by default ours."""


class TrunkLimits(Options):
    """What one peer may ask of us, and we of it. ``null`` is no limit but the gateway's own."""

    calls: int | None = Field(default=None, ge=1)
    """Calls at once, both ways together; one more that comes in gets 486."""
    calls_in: int | None = Field(default=None, ge=0)
    """Calls at once that came in; one more gets 486."""
    calls_out: int | None = Field(default=None, ge=0)
    """Calls at once that we have placed."""
    rate_in: float | None = Field(default=None, gt=0)
    """New calls a second that come in; those beyond get 503 with Retry-After."""
    rate_out: float | None = Field(default=None, gt=0)
    """New calls a second that we place."""
    rate_per_source: float | None = Field(default=None, gt=0)
    """New calls a second from each address of the peer; those beyond get 503 with Retry-After."""


class TargetOptions(Options):
    """Where calls of a trunk go."""

    uri: str
    """SIP URI without a user, like ``sip:sip.example.net`` or ``sip:198.51.100.7:5061;transport=tls``. A name is looked
    up by NAPTR, SRV and A (RFC 3263), and may lead to several servers."""
    priority: int = Field(default=1, ge=0)
    """The lowest is tried first; the others are its backup."""
    weight: int = Field(default=1, ge=1)
    """Share of the calls among targets of one priority."""

    @field_validator("uri")
    @classmethod
    def _uri(cls, value: str) -> str:
        try:
            uri = parse_uri(value)
        except SipError:
            uri = None
        if uri is None or uri.scheme not in ("sip", "sips") or uri.user or "?" in uri.parameters:
            raise ValueError(f"{value!r} is no target; write one like sip:sip.example.net")
        return value


class HealthOptions(Options):
    """Whether the targets of a trunk are there, found out by OPTIONS. One that is down is tried last."""

    interval: Duration | None = None
    """Pause between two pings, a fifth more or less at random, like ``30s``; none: no pings."""
    timeout: Duration = Field(default="4s", validate_default=True, gt=0)
    """A ping that is not answered in this time has failed; so has one that is answered by 408 or 503."""
    down_after: int = Field(default=2, ge=1)
    """So many failures in a row, of pings or calls, make a target down."""
    up_after: int = Field(default=1, ge=1)
    """So many successes in a row make it up again."""


class OutboundCredentials(Options):
    """What answers the peer's challenges (401 and 407)."""

    user: str = Field(min_length=1)
    """User name."""
    password: Secret
    """Password."""
    realm: str = ""
    """Answer only challenges of this realm; empty: any realm of this peer."""


class TrunkOptions(Options):
    """A peer. It is who it says if all of ``from``, ``tls_names`` and ``login`` that are given hold; a request that no
    trunk knows is refused with 403, or asked for a login if a trunk wants one."""

    name: str
    """Name in logs and call records."""
    source: list[IPv4Network | IPv6Network] = Field(alias="from", default_factory=list)
    """Address ranges of the peer's signalling, like ``[203.0.113.0/24]``."""
    tls_names: list[str] = Field(default_factory=list, max_length=64)
    """Names that the peer's certificate may carry, like ``[sbc.example.com]`` (RFC 5922). Needs
    ``sip.tls.verify_client``."""
    login: InboundLogin | None = None
    """Credentials that the peer must show in each call it sends."""
    codecs: list[str] | None = Field(default=None, min_length=1, max_length=16)
    """Codecs of this trunk, those that we like most first; a selection of ``media.codecs``, which is the default."""
    codec_choice: Literal["theirs", "ours"] = "theirs"
    """Whose order decides which common codec a call takes (RFC 3264 6.1 recommends theirs)."""
    srtp: Literal["off", "prefer", "require"] = "off"
    """Encrypted media (SRTP): ``off`` refuses offers that insist on it, ``prefer`` takes it where offered, ``require``
    refuses calls without it."""
    srtp_keys: tuple[Literal["sdes", "dtls"], ...] = Field(default=("sdes",), min_length=1, max_length=2)
    """Where its keys come from, the best way first. ``sdes``: SDP carries them (RFC 4568), so they are as secret
    as the signalling. ``dtls``: a handshake on the port of the media makes them (RFC 5763; needs ``linecard[dtls]``),
    and SDP carries the fingerprints of the certificates; only with RTCP on the same port (``a=rtcp-mux``). Offers of
    all that are listed are answered; our own offer has them all where SRTP is preferred, the first where it is
    required."""
    numbers: NumberOptions = NumberOptions()
    """How telephone numbers are written."""
    caller_id: CallerIdOptions = CallerIdOptions()
    """Who calls."""
    limits: TrunkLimits = TrunkLimits()
    """How much the peer may ask of us, and we of it."""
    targets: list[TargetOptions] = Field(default_factory=list, max_length=32)
    """Where calls that we place go; the registrar of ``register``, if there is one, is the default."""
    health: HealthOptions = HealthOptions()
    """Whether the targets are there."""
    credentials: OutboundCredentials | None = None
    """For the peer's challenges; the account of ``register`` is the default."""
    patience: Duration = Field(default="4s", validate_default=True, ge=SECOND // 10)
    """A target that says nothing for this long, not even 100, is given up: the next one is tried."""
    headers: dict[str, str] = Field(default_factory=dict, max_length=32)
    """Header fields put into each INVITE that we send, like ``{X-Account: "42"}``."""
    advertise: str | None = None
    """Host or ``host:port`` that Via and Contact tell this peer; none means ``sip.advertise``."""
    media_advertise: IPv4Address | IPv6Address | None = None
    """Address that SDP tells this peer; none means ``media.advertise``."""
    registration: RegistrationOptions | None = Field(default=None, alias="register")
    """An account to register at the peer, for those that do not send calls to a fixed address. Where neither ``from``,
    ``tls_names`` nor ``login`` is given, the peer's calls are those that come from the servers of its registrar, while
    we are registered."""
    answer_options: Literal["alive", "as-calls"] = "alive"
    """What an OPTIONS of this peer gets. ``alive``: 200 until the gateway stops. ``as-calls``: what a call to the same
    number would get now, 404, 486 or 503 included (RFC 3261 11.2); some peers take that for a dead trunk."""

    @field_validator("advertise")
    @classmethod
    def _advertise(cls, value: str | None) -> str | None:
        try:
            return value and (host_port(value) and value)
        except SipError:
            raise ValueError(f"{value!r} is no address; write one like 203.0.113.7 or 203.0.113.7:5060") from None

    @model_validator(mode="after")
    def _is_reachable(self) -> TrunkOptions:
        if not (self.takes_calls or self.reached_at):
            raise ValueError("nothing tells whose calls these are: give 'from', 'tls_names' or 'login', or 'targets'")
        uris = [target.uri for target in self.targets]
        if len(set(uris)) < len(uris):
            raise ValueError("targets: one is there twice; give it more weight instead")
        return self

    @field_validator("headers")
    @classmethod
    def _headers(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not _HEADER.fullmatch(name) or not text.isprintable():
                raise ValueError(f"{name!r} is no header field, or its value has a line break")
            if name.lower() in _OURS:
                raise ValueError(f"{name!r} is ours to write")
        return value

    @property
    def reached_at(self) -> list[TargetOptions]:
        """Where calls to this peer go; empty: none can be placed."""
        if self.targets or self.registration is None:
            return self.targets
        return [TargetOptions(uri=self.registration.registrar)]

    @property
    def takes_calls(self) -> bool:
        """Whether calls may come in by it."""
        return bool(self.source or self.tls_names or self.login or self.registration)

    @property
    def known_by_registrar(self) -> bool:
        """Whether its registrar is all that tells whose calls these are."""
        return self.registration is not None and not (self.source or self.tls_names or self.login)
