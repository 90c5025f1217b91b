"""Bytes to messages. Lazy: lines are cut and names made canonical here, values are parsed when they are asked for.

A datagram either becomes a message, or raises ``SipError``. ``Malformed`` is the kind that still holds a request, so
that it can be answered with 400 (RFC 3261 8.2, 18.3); anything else deserves no answer.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.errors import SipError
from gateway.sip.message import Header, Message, Request, Response
from gateway.sip.names import KNOWN, canonical

__all__ = ["CONTROL", "Malformed", "parse"]

# The lookbehind keeps a run of blanks from being read again at each of its own characters.
_FOLD: Final = re.compile(r"(?:(?<![ \t])[ \t]++)?+\r\n[ \t]++")
# Legal only in a quoted-pair (RFC 3261 25.1); anywhere else they are meant for whoever reads the log.
CONTROL: Final = re.compile(r"(?<!\\)[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_VERSION: Final = re.compile(r"SIP/\d{1,4}\.\d{1,4}", re.IGNORECASE)
_METHOD: Final = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")
# Headers that must not come twice (RFC 3261 7.3.1 with 20): two of them would let two readers see two calls.
_SINGLE: Final = frozenset(("Call-ID", "CSeq", "From", "To", "Content-Length", "Content-Type", "Max-Forwards"))


class Malformed(SipError):
    """A request that cannot be accepted, but whose sender may be told so."""

    def __init__(self, fault: SipError, request: Request) -> None:
        super().__init__(fault.status, fault.reason, fault.rule)
        self.request = request


def parse(data: bytes, *, max_bytes: int = 65_535, max_headers: int = 128, max_header_chars: int = 8_192) -> Message:
    """Parses one datagram. Octets after Content-Length are ignored; without one the body is the rest (18.3)."""
    if len(data) > max_bytes:
        raise _bad("18.1.1: message is too large", 513, "Message Too Large")
    head, blank, rest = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not blank:
        raise _bad("7: no empty line after the headers")
    text = head.decode("utf-8", "surrogateescape")
    if "\r\n " in text or "\r\n\t" in text:
        text = _FOLD.sub(" ", text)
    start_line, *lines = text.split("\r\n")
    fault = _bad("25.1: bare CR or LF") if text.count("\n") + text.count("\r") != 2 * len(lines) else None
    if len(lines) > max_headers:
        fault, lines = fault or _bad("7.3: too many headers", 513, "Message Too Large"), lines[:max_headers]
    if len(text) > max_header_chars and any(len(line) > max_header_chars for line in (start_line, *lines)):
        fault = fault or _bad("7.3: a header is too long", 513, "Message Too Large")
    if CONTROL.search(text):
        fault = fault or _bad("25.1: control character")
    headers, wrong_line = _headers(lines)
    return _message(start_line, headers, rest, fault or wrong_line)


def _bad(rule: str, status: int = 400, reason: str = "Bad Request") -> SipError:
    return SipError(status, reason, f"RFC 3261 {rule}")


def _headers(lines: list[str]) -> tuple[list[Header], SipError | None]:
    headers: list[Header] = []
    fault: SipError | None = None
    known = KNOWN.get
    for line in lines:
        name, colon, value = line.partition(":")
        full = known(name)
        if full is None or not colon:
            try:
                full = canonical(name if colon else "")
            except SipError as error:
                fault = fault or error
                continue
        headers.append((full, value.strip(" \t")))
    return headers, fault


def _frame(message: Message, rest: bytes) -> SipError | None:
    """Gives the message its body, and says what is wrong with its framing."""
    if message.repeats and (twice := _repeated(message)):
        return _bad(f"7.3.1: {twice} comes twice")
    length = message.get("Content-Length")
    if length is None:
        message.body = rest
        return None
    if not (length.isascii() and length.isdecimal() and len(length) <= 9):
        return _bad("20.14: malformed Content-Length")
    if int(length) > len(rest):
        return _bad("18.3: Content-Length is larger than the datagram")
    message.body = rest[: int(length)]
    return None


def _repeated(message: Message) -> str | None:
    seen: set[str] = set()
    for name, _ in message.headers:
        if name in seen and name in _SINGLE:
            return name
        seen.add(name)
    return None


def _message(start_line: str, headers: list[Header], rest: bytes, fault: SipError | None) -> Message:
    words = start_line.rstrip(" ").split(" ")
    if start_line.endswith(" ") and not _VERSION.fullmatch(words[0]):
        fault = fault or _bad("7.1: whitespace after the request line")
    if _VERSION.fullmatch(words[0]):
        response = _response(start_line, headers)
        if fault := fault or _frame(response, rest):
            raise fault
        return response
    if len(words) < 3 or not _VERSION.fullmatch(words[-1]) or not _METHOD.fullmatch(words[0]):
        raise fault or _bad("7: neither a request line nor a status line")
    uri = " ".join(words[1:-1])
    request = Request(words[0], uri, headers, b"", words[-1].upper())
    if not uri or " " in uri or "\t" in uri or uri[0] == "<":
        fault = fault or _bad("7.1: malformed Request-URI")
    if fault := fault or _frame(request, rest):
        raise Malformed(fault, request)
    return request


def _response(start_line: str, headers: list[Header]) -> Response:
    version, _, text = start_line.partition(" ")
    status, _, reason = text.partition(" ")
    if version.upper() != "SIP/2.0" or len(status) != 3 or not (status.isascii() and status.isdecimal()):
        raise _bad("7.2: malformed status line")
    if not 100 <= int(status) <= 699:
        raise _bad("7.2: status out of range")
    return Response(int(status), reason, headers)
