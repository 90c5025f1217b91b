"""Requests and responses: read-only, header values parsed only when somebody asks for them.

Names are canonical (``Via``, also when ``v`` or ``VIA`` was received). Text that is not UTF-8 survives a round trip,
because it is decoded with ``surrogateescape``; ``values.plain`` makes it fit for logs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from gateway.errors import SipError
from gateway.sip.bodies import SDP, Body, open_body
from gateway.sip.names import KNOWN, canonical
from gateway.sip.values import CSeq, NameAddress, Via, parse_address, parse_cseq, parse_via, split_list

__all__ = ["Header", "Message", "Request", "Response"]

Header = tuple[str, str]

_BREAK: Final = re.compile(r"[\r\n]+")


class Message:
    """What requests and responses share. Build one with a list of ``(canonical name, value)``; never change it."""

    __slots__ = ("_cseq", "_first", "_from", "_to", "_via", "body", "headers")

    def __init__(self, headers: list[Header], body: bytes = b"") -> None:
        self.headers = headers
        self.body = body
        self._first = dict(reversed(headers))  # the last assignment wins, so the first header of a name stays
        self._via: Via | None = None
        self._cseq: CSeq | None = None
        self._from: NameAddress | None = None
        self._to: NameAddress | None = None

    def get(self, name: str) -> str | None:
        """Value of the first header of that name, unparsed."""
        value = self._first.get(name)
        return value if value is not None or name in KNOWN else self._first.get(canonical(name))

    def all(self, name: str) -> list[str]:
        """Values of every header of that name in order, comma lists split (RFC 3261 7.3.1)."""
        name = KNOWN.get(name) or canonical(name)
        if name not in self._first:
            return []
        return [item for header, value in self.headers if header == name for item in split_list(value) if item]

    @property
    def repeats(self) -> bool:
        """Whether any header comes more than once."""
        return len(self._first) != len(self.headers)

    def _required(self, name: str) -> str:
        value = self._first.get(name)
        if not value:
            raise SipError(400, "Bad Request", f"RFC 3261 8.1.1: {name} is missing")
        return value

    @property
    def via(self) -> Via:
        """The topmost Via."""
        if self._via is None:
            self._via = parse_via(split_list(self._required("Via"))[0])
        return self._via

    @property
    def cseq(self) -> CSeq:
        if self._cseq is None:
            self._cseq = parse_cseq(self._required("CSeq"))
        return self._cseq

    @property
    def from_(self) -> NameAddress:
        if self._from is None:
            self._from = parse_address(self._required("From"))
        return self._from

    @property
    def to(self) -> NameAddress:
        if self._to is None:
            self._to = parse_address(self._required("To"))
        return self._to

    @property
    def call_id(self) -> str:
        return self._required("Call-ID")

    @property
    def contact(self) -> NameAddress | None:
        """The first Contact, or ``None``."""
        value = self._first.get("Contact")
        return parse_address(split_list(value)[0]) if value else None

    def options(self, name: str) -> list[str]:
        """Option tags of Require, Supported and their like in lower case: tokens ignore it (RFC 3261 7.3.1)."""
        return [tag.lower() for tag in self.all(name)] if name in self._first else []

    @property
    def content_type(self) -> str:
        """Media type in lower case without parameters; ``""`` if absent."""
        return (self._first.get("Content-Type") or "").partition(";")[0].strip().lower()

    @property
    def parts(self) -> list[Body]:
        """The body, or those that a multipart consists of. Raises ``SipError`` 400."""
        kind = self._first.get("Content-Type") or SDP  # some peers forget it, and mean SDP
        return open_body(Body(kind, self.body, self._first.get("Content-Disposition", ""))) if self.body else []

    @property
    def sdp(self) -> bytes | None:
        """The first session description; ``None`` if there is none, or the body cannot be read."""
        if not self.body or self.content_type in (SDP, ""):
            return self.body or None
        if not self.content_type.startswith("multipart/"):
            return None
        try:
            return next((part.data for part in self.parts if part.media_type == SDP and part.data), None)
        except SipError:
            return None

    @property
    def start_line(self) -> str:
        raise NotImplementedError

    @property
    def size(self) -> int:
        """About how many bytes ``encode`` gives: exact for ASCII, and quicker."""
        return sum(len(name) + len(value) + 4 for name, value in self.headers) + len(self.start_line) + len(self.body)

    def encode(self) -> bytes:
        """The message as bytes; Content-Length is always the body's own. No value can add a line, whoever made it: a
        caller's name, a model's words, what a malformed request had and its refusal copies."""
        lines = [self.start_line]
        lines += [f"{name}: {value}" for name, value in self.headers if name != "Content-Length"]
        lines.append(f"Content-Length: {len(self.body)}")
        text = "\r\n".join(lines)
        if text.count("\r") + text.count("\n") != 2 * (len(lines) - 1):
            text = "\r\n".join(_BREAK.sub(" ", line) for line in lines)
        try:
            head = text.encode("utf-8", "surrogateescape")  # octets of a peer's that are no UTF-8 go back as they came
        except UnicodeEncodeError:
            head = text.encode("utf-8", "replace")
        return head + b"\r\n\r\n" + self.body


class Request(Message):
    """A request. ``uri`` is the Request-URI as written."""

    __slots__ = ("method", "uri", "version")

    def __init__(
        self, method: str, uri: str, headers: list[Header], body: bytes = b"", version: str = "SIP/2.0"
    ) -> None:
        super().__init__(headers, body)
        self.method = method
        self.uri = uri
        self.version = version

    @property
    def start_line(self) -> str:
        return f"{self.method} {self.uri} {self.version}"

    def with_top_via(self, value: str) -> Request:
        """The same request with its topmost Via value replaced (RFC 3261 18.2.1, RFC 3581 4)."""
        headers: list[Header] = []
        rest: Iterable[Header] = iter(self.headers)
        for name, old in rest:
            if name == "Via":
                headers.extend(("Via", item) for item in [value, *split_list(old)[1:]])
                break
            headers.append((name, old))
        headers.extend(rest)
        copy = Request(self.method, self.uri, headers, self.body, self.version)
        copy._cseq, copy._from, copy._to = self._cseq, self._from, self._to
        return copy

    def over(self, transport: str, sent_by: str) -> Request:
        """The same request, of ours, by another transport: only the topmost Via tells (RFC 3261 18.1.1)."""
        _, semicolon, parameters = self.headers[0][1].partition(";")
        return self.with_top_via(f"SIP/2.0/{transport.upper()} {sent_by}{semicolon}{parameters}")

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri}>"


class Response(Message):
    """A response."""

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str, headers: list[Header], body: bytes = b"") -> None:
        super().__init__(headers, body)
        self.status = status
        self.reason = reason

    @property
    def start_line(self) -> str:
        return f"SIP/2.0 {self.status} {self.reason}"

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason}>"
