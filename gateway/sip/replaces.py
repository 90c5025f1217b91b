"""Replaces (RFC 3891): an INVITE that takes the place of a call, or a transfer to a call that exists."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from gateway.errors import SipError
from gateway.sip.message import Request
from gateway.sip.values import parse_parameters

__all__ = ["Replaces", "parse_replaces", "replaces_of"]


@dataclass(frozen=True, slots=True)
class Replaces:
    """Names a dialog as whoever receives the header sees it."""

    call_id: str
    to_tag: str
    """The receiver's own tag."""
    from_tag: str
    early_only: bool = False

    def escaped(self) -> str:
        """As a header within a URI (RFC 3261 19.1.1)."""
        flag = ";early-only" if self.early_only else ""
        return quote(f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{flag}", safe="")


def parse_replaces(value: str) -> Replaces:
    """Raises ``SipError`` 400."""
    call_id, semicolon, rest = value.strip().partition(";")
    parameters = parse_parameters(semicolon + rest)
    to_tag, from_tag = parameters.get("to-tag", ""), parameters.get("from-tag", "")
    if not call_id.strip() or not to_tag or not from_tag:
        raise SipError(400, "Bad Request", "RFC 3891 6.1: Replaces has a Call-ID, a to-tag and a from-tag")
    return Replaces(call_id.strip(), to_tag, from_tag, "early-only" in parameters)


def replaces_of(request: Request) -> Replaces | None:
    """What an INVITE wants to replace. Raises ``SipError`` 400 (RFC 3891 3)."""
    values = [value for name, value in request.headers if name == "Replaces"]
    if not values:
        return None
    if len(values) > 1 or request.get("Join") is not None:
        raise SipError(400, "Bad Request", "RFC 3891 3: more than one Replaces, or Join beside it")
    return parse_replaces(values[0])
