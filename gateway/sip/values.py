"""Header values: name-addr, Via, CSeq, parameters, comma lists, quoted strings (RFC 3261 20 and 25.1).

Every parser here raises ``SipError`` 400 and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.errors import SipError
from gateway.sip.memo import memo
from gateway.sip.uri import Uri, host_port, parse_uri

__all__ = [
    "CSeq", "NameAddress", "Via", "parse_address", "parse_cseq", "parse_parameters", "parse_via", "plain", "quote",
    "split_list",
]  # fmt: skip

# Possessive throughout: linear in the length of what a peer sends.
_NAME_ADDR: Final = re.compile(r'\s*+(?:"((?:[^"\\]|\\.)*+)"\s*+|([^<"]*+))<([^<>]*+)>(.*+)', re.DOTALL)
_PARAMETER: Final = re.compile(r';\s*+([^\s;="]++)\s*+(?:=\s*+("(?:[^"\\]|\\.)*+"|[^\s;"]*+)\s*+)?+', re.DOTALL)
# What is never closed takes all the rest: were it looked for again at every mark, a list would cost its square.
_PIECE: Final = re.compile(r'[^,"<]++|"(?:[^"\\]|\\.)*+(?:"|\\?+\Z)|<[^>]*+>?+', re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class NameAddress:
    """``From``, ``To``, ``Contact``, ``Route`` ...: a display name, a URI, and the parameters of the header."""

    display: str
    uri_text: str
    """The URI as it was written: what goes into a Request-URI must not be rewritten."""
    parameters: Mapping[str, str]

    @property
    def uri(self) -> Uri:
        """Parsed when asked for; raises ``SipError`` 400 then."""
        return parse_uri(self.uri_text)

    @property
    def tag(self) -> str:
        """Empty if absent, as RFC 2543 peers leave it (RFC 3261 12.1.1)."""
        return self.parameters.get("tag", "")


@dataclass(frozen=True, slots=True)
class Via:
    """One Via value."""

    transport: str
    host: str
    port: int | None
    parameters: Mapping[str, str]

    @property
    def branch(self) -> str:
        return self.parameters.get("branch", "")

    @property
    def sent_by(self) -> tuple[str, int]:
        """Who built it: lower case, with the default port filled in, so that equal senders compare equal."""
        return self.host.lower(), self.port or (5061 if self.transport == "TLS" else 5060)


@dataclass(frozen=True, slots=True)
class CSeq:
    number: int
    method: str


def plain(text: str) -> str:
    """Text for people and logs: control characters and undecodable bytes become ``?``."""
    return _UNPRINTABLE.sub("?", text)


def quote(text: str) -> str:
    """A quoted-string that cannot break out of its header."""
    return '"' + plain(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def split_list(value: str) -> list[str]:
    """Splits a header at its commas, except those within quotes and angle brackets (RFC 3261 7.3.1)."""
    if "," not in value:
        return [value]
    if '"' not in value and "<" not in value:
        return [item.strip() for item in value.split(",")]
    items: list[str] = []
    current: list[str] = []
    position = 0
    while position < len(value):
        if value[position] == ",":
            items.append("".join(current).strip())
            current, position = [], position + 1
            continue
        match = _PIECE.match(value, position)
        end = match.end() if match else position + 1
        current.append(value[position:end])
        position = end
    items.append("".join(current).strip())
    return [item for item in items if item]


def parse_parameters(text: str) -> dict[str, str]:
    """``;a=b;c="d"`` to a dictionary with lower-case names; quotes are removed, a missing value is ``""``."""
    if not text or text.isspace():
        return {}
    if '"' not in text and " " not in text and "\t" not in text:
        if text[0] != ";":
            raise SipError(400, "Bad Request", "RFC 3261 25.1: malformed parameters")
        pairs = [item.partition("=") for item in text[1:].split(";") if item]
        return {name.lower(): value for name, _, value in pairs}
    result, position, text = {}, 0, text.strip()
    while position < len(text):
        match = _PARAMETER.match(text, position)
        if match is None:
            raise SipError(400, "Bad Request", "RFC 3261 25.1: malformed parameters")
        value = match[2] or ""
        result[match[1].lower()] = _ESCAPE.sub(r"\1", value[1:-1]) if value.startswith('"') else value
        position = match.end()
    return result


@memo
def parse_address(value: str) -> NameAddress:
    """Parses a name-addr or addr-spec with header parameters."""
    match = _NAME_ADDR.fullmatch(value)
    if match:
        quoted, token, uri, rest = match.groups()
        display = _ESCAPE.sub(r"\1", quoted) if quoted is not None else token.strip()
        return NameAddress(display, uri.strip(), parse_parameters(rest.strip()))
    if any(mark in value.partition(";")[0] for mark in '<>"'):
        raise SipError(400, "Bad Request", "RFC 3261 25.1: malformed name-addr")
    # Without brackets, what follows the first ";" belongs to the header, not to the URI (RFC 3261 20).
    uri, semicolon, rest = value.strip().partition(";")
    return NameAddress("", uri.strip(), parse_parameters(semicolon + rest))


def parse_via(value: str) -> Via:
    """Parses one Via value; whitespace around the slashes is legal (RFC 3261 25.1). Each has a branch of its own, so
    that none is worth remembering."""
    head, semicolon, rest = value.partition(";")
    protocol = head.split("/", 2)
    if len(protocol) != 3 or protocol[0].strip().upper() != "SIP":
        raise SipError(400, "Bad Request", "RFC 3261 20.42: malformed Via")
    words = protocol[2].split(None, 1)
    if len(words) != 2:
        raise SipError(400, "Bad Request", "RFC 3261 20.42: malformed Via")
    host, port = host_port(words[1])
    return Via(words[0].upper(), host, port, parse_parameters(semicolon + rest))


@memo
def parse_cseq(value: str) -> CSeq:
    """Parses CSeq; the number must fit 31 bits (RFC 3261 8.1.1.5)."""
    words = value.split()
    if len(words) != 2 or not (words[0].isascii() and words[0].isdecimal()):
        raise SipError(400, "Bad Request", "RFC 3261 20.16: malformed CSeq")
    # The length is looked at first: a number of thousands of digits is refused before it is converted.
    digits = words[0].lstrip("0") or "0"
    if len(digits) > 10 or int(digits) >= 1 << 31:
        raise SipError(400, "Bad Request", "RFC 3261 8.1.1.5: CSeq number is not below 2**31")
    return CSeq(int(digits), words[1])
