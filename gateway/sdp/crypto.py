"""Keys of SRTP in session descriptions (``a=crypto``, RFC 4568), of plain and of secure lines.

A line that breaks the grammar, or a key that does not fit its suite, refuses the whole description: who cannot write a
key must not be talked to in the belief that it is secret. A line that only asks for what we do not have (another suite,
MKI, a short lifetime, a session parameter) is passed over, as RFC 4568 5.1.2 has it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from gateway.errors import SdpError
from gateway.sdp.types import Media, SrtpKeys

__all__ = [
    "PLAIN",
    "SUITES",
    "SrtpTerms",
    "chosen_crypto",
    "crypto_line",
    "is_secure",
    "keys_answered",
    "offered_crypto",
]

SUITES: Final[Mapping[str, int]] = {
    "AEAD_AES_128_GCM": 28,
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
}
"""Octets of master key and salt (RFC 4568 6.2, RFC 7714 14.2), in the order of our preference."""

_MAX_LINES: Final = 16
_LEAST_LIFETIME: Final = 1 << 20
"""Packets, 5.8 hours of 20 ms: we never rekey on our own."""
_TAG: Final = re.compile(r"[0-9]{1,9}")
_LIFETIME: Final = re.compile(r"2\^(?P<power>[0-9]{1,2})|(?P<count>[0-9]{1,16})")
_MKI: Final = re.compile(r"[0-9]{1,20}:[0-9]{1,3}")
_PARAMETER: Final = re.compile(r"-?[A-Z0-9_]+(=[!-~]+)?")


@dataclass(frozen=True, slots=True)
class SrtpTerms:
    """What we want, and our keys: one per suite, the same for the whole call, so that no key serves two suites."""

    mode: Literal["off", "prefer", "require"] = "off"
    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    ways: tuple[Literal["sdes", "dtls"], ...] = ("sdes",)
    """Where keys come from, in the order of preference: the description, or a handshake (``gateway.sdp.dtls``)."""
    fingerprint: str = ""
    """Of our certificate, as ``a=fingerprint`` writes it; DTLS needs it."""
    role: Literal["active", "passive", ""] = ""
    """Ours in the DTLS association that stands already."""


PLAIN: Final = SrtpTerms()


@dataclass(frozen=True, slots=True)
class Crypto:
    """One ``a=crypto`` line that we could accept."""

    tag: str
    suite: str
    key: bytes = field(repr=False)


def is_secure(media: Media) -> bool:
    """The profile demands SRTP (RFC 3711 12, RFC 5124)."""
    return media.protocol in ("RTP/SAVP", "RTP/SAVPF")


def crypto_line(tag: str, suite: str, key: bytes) -> str:
    return f"a=crypto:{tag} {suite} inline:{base64.b64encode(key).decode()}"


def offered_crypto(terms: SrtpTerms) -> list[str]:
    """The lines of our offer, tags from 1."""
    return [crypto_line(str(tag), suite, terms.keys[suite]) for tag, suite in enumerate(SUITES, 1)]


def chosen_crypto(media: Media, terms: SrtpTerms) -> tuple[str, SrtpKeys] | None:
    """The tag that we answer, and the keys: the offerer's first line with a suite of ours. None if there is none."""
    for crypto in _read(media):
        return crypto.tag, SrtpKeys(crypto.suite, receive=crypto.key, send=terms.keys[crypto.suite])
    return None


def keys_answered(theirs: Media, ours: Media) -> SrtpKeys | None:
    """What the answer makes of our lines: exactly one, with the tag and the suite of ours (RFC 4568 5.1.3)."""
    offered = {crypto.tag: crypto for crypto in _read(ours)}
    lines = [value for name, value in theirs.attributes if name == "crypto"]
    if not lines or not offered:
        if is_secure(theirs):
            raise SdpError("RFC 4568 5.1.3: the answer is RTP/SAVP without a key")
        return None
    answered = _read(theirs)
    if len(lines) != 1 or len(answered) != 1:
        raise SdpError("RFC 4568 5.1.3: an answer has exactly one crypto line, of an offered suite")
    match = offered.get(answered[0].tag)
    if match is None or match.suite != answered[0].suite:
        raise SdpError("RFC 4568 5.1.3: the answer's crypto line has another tag or suite than any that was offered")
    return SrtpKeys(match.suite, receive=answered[0].key, send=match.key)


def _read(media: Media) -> list[Crypto]:
    """All lines that we could accept, in order. Raises ``SdpError`` for one that is malformed."""
    lines = [value for name, value in media.attributes if name == "crypto"]
    if len(lines) > _MAX_LINES:
        raise SdpError("too many crypto lines")
    seen: set[str] = set()
    accepted = []
    for line in lines:
        tag, suite, keys, *parameters = [*line.split(), "", "", ""]
        if not _TAG.fullmatch(tag) or tag in seen:
            raise SdpError("RFC 4568 9.1: malformed or repeated tag in a crypto line")
        seen.add(tag)
        if not suite or not keys:
            raise SdpError("RFC 4568 9.1: a crypto line has a tag, a suite and a key")
        if suite in SUITES:
            key = _key(keys, SUITES[suite])
            if key is not None and all(_harmless(parameter) for parameter in parameters if parameter):
                accepted.append(Crypto(tag, suite, key))
    return accepted


def _key(text: str, size: int) -> bytes | None:
    """``inline:BASE64|2^31|1:4``. None for what is well-formed and not served: several keys, MKI, a short lifetime."""
    method, colon, info = text.partition(";")[0].partition(":")
    encoded, *rest = info.split("|")
    if method != "inline" or not colon or len(rest) > 2:
        raise SdpError("RFC 4568 9.2: malformed key in a crypto line")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)  # some leave the padding out
    except (binascii.Error, ValueError):
        raise SdpError("RFC 4568 6.1: the key of a crypto line is not base64") from None
    if len(key) != size:
        raise SdpError(f"RFC 4568 6.1: a key of {len(key)} octets for a suite of {size}")
    served = ";" not in text
    for position, part in enumerate(rest):
        lifetime = _LIFETIME.fullmatch(part)
        if lifetime and position == 0:
            packets = 1 << int(lifetime["power"]) if lifetime["power"] else int(lifetime["count"])
            served = served and packets >= _LEAST_LIFETIME
        elif _MKI.fullmatch(part):
            served = False
        else:
            raise SdpError("RFC 4568 9.2: malformed lifetime or MKI in a crypto line")
    return key if served else None


def _harmless(parameter: str) -> bool:
    """A hint on the window, or what the describer marks as dispensable (RFC 4568 6.3.7)."""
    if not _PARAMETER.fullmatch(parameter):
        raise SdpError("RFC 4568 9.1: malformed session parameter in a crypto line")
    return parameter.startswith(("-", "WSH="))
