"""RTCP in session descriptions: address (RFC 3605), one port with RTP (RFC 5761), extended reports (RFC 3611)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from gateway.sdp.types import Media, Stream

__all__ = ["rtcp_lines", "unusable", "with_rtcp"]

Address = tuple[str, int]


def unusable(host: str, peer: str) -> str | None:
    """Why no packet can be sent from a socket of ``peer``'s IP version to ``host`` alone; None if it can."""
    try:
        address = ip_address(host)
    except ValueError:
        return "not an IP address"
    if "%" in host:
        return "of a link of the far end's"
    if address.is_multicast or host == "255.255.255.255":
        return "not that of one host"
    return "of another IP version than ours" if (":" in host) != (":" in peer) else None


def rtcp_lines(*, mux: bool, metrics: bool) -> list[str]:
    """Attributes of ours. ``a=rtcp-xr`` asks the other side for what it names (RFC 3611 5.2)."""
    return (["a=rtcp-mux"] if mux else []) + (["a=rtcp-xr:voip-metrics"] if metrics else [])


def with_rtcp(stream: Stream, theirs: Media, ours: Media | None = None) -> Stream:
    """The stream with what ``theirs`` says of RTCP. Answering, ``ours`` is None: what is offered is taken."""
    mux = _has(theirs, "rtcp-mux") and (ours is None or _has(ours, "rtcp-mux"))
    metrics = any(name == "rtcp-xr" and "voip-metrics" in value.lower().split() for name, value in theirs.attributes)
    return replace(stream, rtcp=None if mux else _address(theirs), rtcp_mux=mux, rtcp_metrics=metrics)


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
