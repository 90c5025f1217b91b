"""The addresses that the far end is told: Contact and Via in SIP, ``c=`` in SDP.

One place decides, and both ``linecard check`` and the daemon ask it, so that what was printed is what is sent.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import ip_address

from gateway.config.model import Config
from gateway.config.sip_block import SipOptions, parse_host_port
from gateway.errors import ConfigError

__all__ = ["Advertised", "advertised", "endpoint_options", "rtp_pairs", "warnings"]


@dataclass(frozen=True, slots=True)
class Advertised:
    """What is written into messages."""

    sip_host: str
    sip_port: int
    media_host: str

    @property
    def contact(self) -> str:
        """``host:port`` as Contact and Via carry it."""
        host = f"[{self.sip_host}]" if ":" in self.sip_host else self.sip_host
        return f"{host}:{self.sip_port}"


def advertised(config: Config) -> Advertised:
    """What the configuration will put into SIP and SDP.

    Raises ``ConfigError`` if a block listens on every address and none can be told to the far end.
    """
    sip, media = config.sip, config.media
    host, port = parse_host_port(sip.advertise) if sip.advertise else (_concrete(_told_by(sip), "sip"), None)
    media_host = str(media.advertise or _concrete(str(media.address), "media"))
    return Advertised(host, sip.first.port if port is None else port, media_host)


def _told_by(sip: SipOptions) -> str:
    """The listener's host that others are told: the first wildcard, which needs a stand-in, else the first."""
    hosts = [one.host for one in sip.listen]
    return next((host for host in hosts if ip_address(host).is_unspecified), hosts[0])


def endpoint_options(config: Config) -> SipOptions:
    """The block ``sip`` with ``advertise`` filled in where a wildcard is listened on: nobody can send to 0.0.0.0."""
    if config.sip.advertise or not ip_address(_told_by(config.sip)).is_unspecified:
        return config.sip
    host = advertised(config).sip_host
    return config.sip.model_copy(update={"advertise": f"[{host}]" if ":" in host else host})


def warnings(config: Config) -> list[str]:
    """What is allowed, but seldom meant."""
    found = []
    told = advertised(config)
    loopback = _is_loopback(told.media_host)
    if loopback != _is_loopback(told.sip_host):
        found.append(
            f"SIP says {told.sip_host} and SDP says {told.media_host}: one is loopback, so the caller will hear "
            "nothing; set media.address or sip.listen"
        )
    if not config.routes:
        found.append("there are no routes: every call will be refused with 404")
    if not config.trunks:
        found.append("there are no trunks: every call will be refused with 403")
    low, high = config.media.ports
    if (room := rtp_pairs(low, high)) < config.limits.concurrent_calls:
        found.append(
            f"media.ports {low}-{high} has room for {room} calls, "
            f"and limits.concurrent_calls allows {config.limits.concurrent_calls}"
        )
    taken: set[str] = set()
    for index, route in enumerate(config.routes, 1):
        if route.to in taken or "*" in taken:
            found.append(f"routes[{index}] ({route.to!r}) is never reached: a route above takes its calls")
        taken.add(route.to)
    return found


def rtp_pairs(low: int, high: int) -> int:
    """Pairs of an even port for RTP and the odd one above it for RTCP (RFC 3550 11)."""
    first = low + low % 2
    return max(0, (high - first + 1) // 2)


def _concrete(host: str, block: str) -> str:
    """The address itself; for a wildcard, the one that the machine's default route leaves from."""
    if not ip_address(host).is_unspecified:
        return host
    family, target = (socket.AF_INET6, "2001:db8::1") if ":" in host else (socket.AF_INET, "192.0.2.1")
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((target, 9))  # asks the routing table; a datagram socket sends nothing here
        except OSError:
            problem = (
                f"{block}: {host} is every address, and none leads out; set {block}.advertise to the one callers reach"
            )
            raise ConfigError([problem]) from None
        return str(probe.getsockname()[0])


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"
