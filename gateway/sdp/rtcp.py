"""RTCP in session descriptions: address (RFC 3605), one port with RTP (RFC 5761), extended reports (RFC 3611)."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from gateway.sdp.types import Media

__all__ = ["RtcpTerms", "rtcp_lines", "rtcp_terms", "unusable"]

Address = tuple[str, int]
_LONGEST = 64


class RtcpTerms(NamedTuple):
    """Where and how; the fields of ``Stream``."""

    address: Address | None
    mux: bool
    metrics: bool


def unusable(host: str, peer: str) -> str | None:
    """Why no packet can be sent from a socket of ``peer``'s IP version to ``host`` alone; None if it can."""
    why = _misfit(host) if len(host) <= _LONGEST else "not an IP address"
    return why or ("of another IP version than ours" if (":" in host) != (":" in peer) else None)


@lru_cache(maxsize=4096)
def _misfit(host: str) -> str | None:
    """A trunk's media come from few addresses."""
    try:
        address = ip_address(host)
    except ValueError:
        return "not an IP address"
    if "%" in host:
        return "of a link of the far end's"
    if address.is_multicast or host == "255.255.255.255":
        return "not that of one host"
    return None


def rtcp_lines(*, mux: bool, metrics: bool) -> list[str]:
    """Attributes of ours. ``a=rtcp-xr`` asks the other side for what it names (RFC 3611 5.2)."""
    return (["a=rtcp-mux"] if mux else []) + (["a=rtcp-xr:voip-metrics"] if metrics else [])


def rtcp_terms(theirs: Media, ours: Media | None = None) -> RtcpTerms:
    """What ``theirs`` says of RTCP. Answering, ``ours`` is None: what is offered is taken."""
    mux = _has(theirs, "rtcp-mux") and (ours is None or _has(ours, "rtcp-mux"))
    metrics = any(name == "rtcp-xr" and "voip-metrics" in value.lower().split() for name, value in theirs.attributes)
    return RtcpTerms(None if mux else _address(theirs), mux, metrics)


def _has(media: Media, name: str) -> bool:
    return any(name == found for found, _ in media.attributes)


def _address(media: Media) -> Address | None:
    """``a=rtcp:53020`` or ``a=rtcp:53020 IN IP4 192.0.2.4``; what cannot be read means the port above RTP's."""
    words = next((value.split() for name, value in media.attributes if name == "rtcp"), [])
    if len(words) not in (1, 4) or not (words[0].isascii() and words[0].isdecimal() and len(words[0]) <= 5):
        return None
    host = words[3] if len(words) == 4 else media.host
    if unusable(host, media.host) is not None:
        return None
    return (host, int(words[0])) if 0 < int(words[0]) <= 65_535 else None
