"""Bodies and their parts: one body, or several in a multipart (RFC 2046 5.1, RFC 5621)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.errors import SipError
from gateway.sip.names import canonical
from gateway.sip.values import parse_parameters

__all__ = ["SDP", "Body", "open_body", "sdp_body"]

SDP: Final = "application/sdp"
_MAX_PARTS: Final = 16
_MAX_DEPTH: Final = 3


@dataclass(frozen=True, slots=True)
class Body:
    """One body, or one part of several."""

    content_type: str
    """As written, with parameters."""
    data: bytes
    disposition: str = ""
    """Content-Disposition as written."""

    @property
    def media_type(self) -> str:
        """In lower case, without parameters."""
        return self.content_type.partition(";")[0].strip().lower()

    @property
    def required(self) -> bool:
        """Whether the sender insists that we understand it. RFC 3261 20.11 makes that the default, but the senders of
        ISUP and of locations leave it out and mean nothing by it: only who writes it down means it."""
        _, semicolon, rest = self.disposition.partition(";")
        try:
            return parse_parameters(semicolon + rest).get("handling", "").lower() == "required"
        except SipError:
            return False

    def headers(self) -> list[tuple[str, str]]:
        return [("Content-Type", self.content_type)]


def sdp_body(data: bytes) -> Body | None:
    """A session description, if there is one."""
    return Body(SDP, data) if data else None


def open_body(body: Body) -> list[Body]:
    """What a body consists of; nested multiparts are opened. Raises ``SipError`` 400."""
    found: list[Body] = []
    for part in _open(body, 0):
        found.append(part)
        if len(found) > _MAX_PARTS:
            raise SipError(413, "Request Entity Too Large", "limit: parts of a multipart body")
    return found


def _open(body: Body, depth: int) -> Iterator[Body]:
    if not body.media_type.startswith("multipart/"):
        yield body
        return
    _, semicolon, rest = body.content_type.partition(";")
    boundary = parse_parameters(semicolon + rest).get("boundary", "").rstrip()
    if not boundary or len(boundary) > 70 or depth >= _MAX_DEPTH:
        raise SipError(400, "Bad Request", "RFC 2046 5.1.1: a multipart body without a usable boundary")
    mark = b"\r\n--" + boundary.encode("utf-8", "surrogateescape")
    # The preamble is no part, and neither is what follows the mark that closes; who forgot that is forgiven.
    pieces = (b"\r\n" + body.data).split(mark, _MAX_PARTS + 2)
    if len(pieces) < 2:
        raise SipError(400, "Bad Request", "RFC 2046 5.1.1: the boundary does not occur")
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            return
        yield from _open(_part(piece), depth + 1)


def _part(piece: bytes) -> Body:
    """A part begins after the rest of its mark's line; without headers it is text (RFC 2046 5.1)."""
    _, _, piece = piece.partition(b"\r\n")
    head, blank, data = (b"\r\n" + piece).partition(b"\r\n\r\n")
    if not blank:
        raise SipError(400, "Bad Request", "RFC 2046 5.1: a part without an empty line after its headers")
    fields: dict[str, str] = {}
    for line in head.decode("utf-8", "surrogateescape").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            fields[canonical(name)] = value.strip()
    return Body(fields.get("Content-Type", "text/plain"), data, fields.get("Content-Disposition", ""))
