"""DTLS-SRTP in session descriptions: who opens the handshake (``a=setup``, RFC 4145, 5763) and by which certificate
each side is known (``a=fingerprint``, RFC 8122).

The descriptions carry no key, only what the certificate must hash to: who can change them on their way can listen, who
can only read them cannot. One handshake keys both RTP and RTCP, because we ask for one port (``a=rtcp-mux``): a line
without it is not taken. An association lives as long as the roles and the far end's fingerprints and ``a=tls-id`` stay
what they were (RFC 8842 3.1).
"""

from __future__ import annotations

import re
from typing import Final, Literal

from gateway.errors import SdpError
from gateway.sdp.types import DtlsPeer, Media

__all__ = ["DTLS_PROFILES", "answered_dtls", "chosen_dtls", "dtls_answered", "is_dtls", "offered_dtls"]

Role = Literal["active", "passive", ""]

DTLS_PROFILES: Final = ("UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF")
_HASHES: Final = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
"""Octets. Of what else there is, SHA-1 is broken, and RFC 8122 5 forbids the older ones."""
_HEX: Final = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2})*")
_TLS_ID: Final = re.compile(r"[A-Za-z0-9+/_-]{20,255}")
_MOST: Final = 16


def is_dtls(media: Media) -> bool:
    """The profile demands DTLS-SRTP (RFC 5764 8)."""
    return media.protocol in DTLS_PROFILES


def offered_dtls(fingerprint: str) -> list[str]:
    """The lines of our offer, first or later (RFC 8842 5.2): either side may open the handshake."""
    return ["a=setup:actpass", f"a=fingerprint:{fingerprint}"]


def answered_dtls(peer: DtlsPeer, fingerprint: str) -> list[str]:
    """The lines of our answer."""
    return [f"a=setup:{peer.role}", f"a=fingerprint:{fingerprint}"]


def chosen_dtls(media: Media, standing: Role) -> DtlsPeer | None:
    """How an offered line is taken. ``standing`` is our role in the association that there is, which an offer of
    ``actpass`` leaves as it is (RFC 8842 5.3). None if the line has no DTLS, or none that we can do."""
    if not _values(media, "fingerprint") or not _values(media, "rtcp-mux"):
        return None
    setup = _setup(media)
    if setup == "actpass":
        return _peer(media, standing or "active")
    if setup not in ("active", "passive"):
        return None
    return _peer(media, "passive" if setup == "active" else "active")


def dtls_answered(theirs: Media, ours: Media) -> DtlsPeer | None:
    """What the answer makes of our lines; None if it takes no DTLS, which our profile may allow."""
    if not _values(ours, "fingerprint"):
        return None
    if not _values(theirs, "fingerprint"):
        if is_dtls(ours):
            raise SdpError("RFC 5763 5: the answer is UDP/TLS/RTP/SAVP without a fingerprint")
        return None
    if not _values(theirs, "rtcp-mux"):
        raise SdpError("DTLS-SRTP is spoken on one port with RTCP (RFC 8858), and the answer has no a=rtcp-mux")
    setup = _setup(theirs)
    if setup not in ("active", "passive"):
        raise SdpError("RFC 5763 5: the answer's a=setup is neither active nor passive")
    peer = _peer(theirs, "passive" if setup == "active" else "active")
    if peer is None:
        raise SdpError("RFC 8122 5: the answer has no fingerprint of a hash that we trust")
    return peer


def _values(media: Media, name: str) -> list[str]:
    return [value for found, value in media.attributes if found == name]


def _setup(media: Media) -> str:
    """Without it the connection is the offerer's to open (RFC 4145 4); DTLS-SRTP has it always (RFC 5763 5)."""
    values = _values(media, "setup")
    if len(values) != 1 or values[0].lower() not in ("active", "passive", "actpass", "holdconn"):
        raise SdpError("RFC 5763 5: a line with DTLS has one a=setup, active, passive or actpass")
    return values[0].lower()


def _peer(media: Media, role: Literal["active", "passive"]) -> DtlsPeer | None:
    """None if there is no fingerprint of a hash that we trust."""
    lines = _values(media, "fingerprint")
    if len(lines) > _MOST:
        raise SdpError("too many fingerprints")
    found = tuple(sorted({known for line in lines if (known := _fingerprint(line)) is not None}))
    ids = _values(media, "tls-id")
    if len(ids) > 1 or not all(_TLS_ID.fullmatch(one) for one in ids):
        raise SdpError("RFC 8842 4: malformed a=tls-id")
    return DtlsPeer(role, found, ids[0] if ids else "") if found else None


def _fingerprint(line: str) -> tuple[str, bytes] | None:
    """``sha-256 12:DF:...``. None for a hash that is unknown (RFC 8122 5)."""
    name, _, digits = line.partition(" ")
    digits = digits.strip()
    if not name or not _HEX.fullmatch(digits):
        raise SdpError("RFC 8122 5: malformed fingerprint")
    size = _HASHES.get(name.lower())
    if size is None:
        return None
    value = bytes.fromhex(digits.replace(":", ""))
    if len(value) != size:
        raise SdpError(f"RFC 8122 5: a fingerprint of {len(value)} octets for {name}")
    return name.lower(), value
