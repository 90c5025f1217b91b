"""Bytes to ``SessionDescription`` (RFC 8866 5). Tolerates LF-only lines and everything unknown; raises ``SdpError``."""

from __future__ import annotations

from typing import Final

from gateway.errors import SdpError
from gateway.sdp.types import Codec, Media, SessionDescription

__all__ = ["parse"]

_STATIC: Final = {0: ("PCMU", 8000), 3: ("GSM", 8000), 8: ("PCMA", 8000), 9: ("G722", 8000), 18: ("G729", 8000)}
_INHERITED: Final = frozenset(("fingerprint", "setup", "tls-id"))
"""Attributes of the session that hold for every line without its own (RFC 4145 4, RFC 8122 5, RFC 8842 4)."""
_DIRECTIONS: Final = frozenset(("sendrecv", "sendonly", "recvonly", "inactive"))

Lines = list[tuple[str, str]]


def parse(data: bytes, *, max_bytes: int = 20_000, max_media: int = 16, max_formats: int = 64) -> SessionDescription:
    """Parses a description."""
    if len(data) > max_bytes:
        raise SdpError("session description is too large")
    session, sections = _cut(data.decode("utf-8", "replace"))
    if len(sections) > max_media:
        raise SdpError("too many media lines")
    if not session or session[0] != ("v", "0"):
        raise SdpError("RFC 8866 5.1: v=0 is missing")
    origin = next((value.split() for kind, value in session if kind == "o"), [])
    if len(origin) != 6:
        raise SdpError("RFC 8866 5.2: malformed o= line")
    return SessionDescription(origin[1], origin[2], tuple(_media(session, lines, max_formats) for lines in sections))


def _cut(text: str) -> tuple[Lines, list[Lines]]:
    """Session-level lines, and the lines of each media section."""
    session: Lines = []
    sections: list[Lines] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        kind, equals, value = line.partition("=")
        if not line.strip():
            continue
        if not equals or len(kind) != 1:
            raise SdpError("RFC 8866 5: malformed line")
        if kind == "m":
            sections.append([])
        (sections[-1] if sections else session).append((kind, value.strip()))
    return session, sections


def _media(session: Lines, lines: Lines, max_formats: int) -> Media:
    words = lines[0][1].split()
    if len(words) < 4:
        raise SdpError("RFC 8866 5.14: malformed m= line")
    kind, port, protocol, *formats = words
    if len(formats) > max_formats:
        raise SdpError("too many formats in a media line")
    own, inherited = _attributes(lines), _attributes(session)
    directions = [name for name, _ in own if name in _DIRECTIONS] or [
        name for name, _ in inherited if name in _DIRECTIONS
    ]
    ptimes = [_number(value.partition(".")[0]) for name, value in own if name == "ptime"]
    return Media(
        kind=kind.lower(),
        port=_port(port),
        protocol=protocol.upper(),
        formats=tuple(formats),
        host=_connection(lines) or _connection(session),
        codecs=_codecs(formats, own),
        direction=directions[0] if directions else "sendrecv",
        ptime_ms=ptimes[0] if ptimes else None,
        attributes=(*own, *_handed_down(own, inherited)),
    )


def _handed_down(own: Lines, inherited: Lines) -> Lines:
    missing = _INHERITED - {name for name, _ in own}
    return [(name, value) for name, value in inherited if name in missing]


def _attributes(lines: Lines) -> Lines:
    result: Lines = []
    for kind, value in lines:
        if kind == "a":
            name, _, rest = value.partition(":")
            result.append((name.strip().lower(), rest.strip()))
    return result


def _port(text: str) -> int:
    number = _number(text.partition("/")[0])  # "49170/2" counts ports (RFC 8866 5.14)
    if number is None or number > 65_535:
        raise SdpError("RFC 8866 5.14: malformed port")
    return number


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else None


def _connection(lines: Lines) -> str:
    for kind, value in lines:
        if kind == "c":
            words = value.split()
            if len(words) != 3 or words[0] != "IN":
                raise SdpError("RFC 8866 5.7: malformed c= line")
            return words[2].partition("/")[0]
    return ""


def _codecs(formats: list[str], attributes: Lines) -> tuple[Codec, ...]:
    """Payload types in the order of preference; ``a=rtpmap`` wins over the static table (RFC 3551 6)."""
    maps: dict[str, str] = {}
    fmtps: dict[str, str] = {}
    for name, value in attributes:
        if name in ("rtpmap", "fmtp"):
            payload, _, rest = value.partition(" ")
            (maps if name == "rtpmap" else fmtps).setdefault(payload, rest.strip())
    codecs = []
    for payload in formats:
        number = _number(payload)
        if number is not None and number <= 127:
            codecs.append(_codec(number, maps.get(payload), fmtps.get(payload, "")))
    return tuple(codecs)


def _codec(payload_type: int, rtpmap: str | None, fmtp: str) -> Codec:
    if rtpmap is None:
        name, rate = _STATIC.get(payload_type, ("", 0))
        return Codec(payload_type, name, rate, fmtp=fmtp)
    name, _, rest = rtpmap.partition("/")
    rate_text, _, channels = rest.partition("/")
    return Codec(
        payload_type, name.strip().upper(), _number(rate_text.strip()) or 0, _number(channels.strip()) or 1, fmtp
    )
