"""What a call has been through before it came here: who was called first (Diversion, RFC 5806; History-Info, RFC 7044),
and what its caller's application has sent along (User-to-User, RFC 7433). Pure; what cannot be read is left out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final
from urllib.parse import parse_qsl

from gateway.call.numbers import canonical, subscriber
from gateway.call.trunk_options import TrunkOptions
from gateway.errors import SipError
from gateway.plugs.contract import Diversion, UserToUser
from gateway.sip.message import Request
from gateway.sip.values import NameAddress, parse_address, parse_parameters, plain

__all__ = ["ROUTING", "diversions_of", "user_to_user_of"]

ROUTING: Final = ("Diversion", "History-Info")
"""Not to be read as they came by anybody, if something in them is withheld."""
_MOST: Final = 16
_HIDDEN: Final = frozenset({"history", "header", "session", "id", "user"})
_REASONS: Final = {
    "302": "unconditional", "404": "unknown", "408": "no-answer", "480": "deflection", "486": "user-busy",
    "487": "deflection", "503": "unavailable",
}  # fmt: skip
"""Causes of RFC 4458 in the words of RFC 5806 (RFC 7544 5)."""


def diversions_of(request: Request, trunk: TrunkOptions) -> tuple[Diversion, ...]:
    """The last one first. Of a peer that tells it in both ways, Diversion is read."""
    told = [_diverted(address, trunk) for address in _addresses(request, "Diversion")]
    return tuple(told or _of_history(request, trunk))


def _addresses(request: Request, name: str) -> Iterator[NameAddress]:
    for value in request.all(name)[:_MOST]:
        try:
            address = parse_address(value)
            address.uri  # noqa: B018 - raises for what is none
        except SipError:
            continue
        yield address


def _diverted(address: NameAddress, trunk: TrunkOptions) -> Diversion:
    parameters = address.parameters
    private = parameters.get("privacy", "off").lower() in ("full", "uri")
    return _diversion(address, trunk, parameters.get("reason", ""), private=private)


def _diversion(address: NameAddress, trunk: TrunkOptions, reason: str, *, private: bool) -> Diversion:
    user = subscriber(address.uri)
    number = "" if private else canonical(user, trunk.numbers) or user
    return Diversion(number, plain(reason).lower() or "unknown", private)


def _of_history(request: Request, trunk: TrunkOptions) -> list[Diversion]:
    """An entry was diverted if the one after it says that its target was put in its place: ``mp``, ``rc`` (RFC 7044
    5), or, by those who write RFC 4244, only a cause."""
    entries = list(_addresses(request, "History-Info"))
    hidden = _hides(request.get("Privacy") or "")
    found = []
    for before, after in pairwise(entries):
        cause = after.uri.parameter("cause") or _escaped(before, "reason").get("cause", "")
        if cause in _REASONS or not after.parameters.keys().isdisjoint(("mp", "rc")):
            private = hidden or _hides(_header(before, "privacy"))
            found.append(_diversion(before, trunk, _REASONS.get(cause, ""), private=private))
    return found[::-1]


def _hides(privacy: str) -> bool:
    return not _HIDDEN.isdisjoint(item.strip().lower() for item in privacy.split(";"))


def _header(address: NameAddress, name: str) -> str:
    """A header that is escaped into a URI (RFC 3261 19.1.1)."""
    query = address.uri_text.partition("?")[2]
    try:
        pairs = parse_qsl(query, max_num_fields=_MOST)
    except ValueError:
        return ""
    return next((value for key, value in pairs if key.lower() == name), "")


def _escaped(address: NameAddress, name: str) -> dict[str, str]:
    """Its parameters."""
    _, semicolon, rest = _header(address, name).partition(";")
    try:
        return parse_parameters(semicolon + rest)
    except SipError:
        return {}


def user_to_user_of(request: Request) -> tuple[UserToUser, ...]:
    """In the order of the message. Hexadecimal is decoded; other encodings are the application's business."""
    found = []
    for value in request.all("User-to-User")[:_MOST]:
        text, semicolon, rest = value.partition(";")
        try:
            parameters = parse_parameters(semicolon + rest)
        except SipError:
            parameters = {}
        text, encoding = text.strip().strip('"'), parameters.get("encoding", "").lower()
        found.append(
            UserToUser(_decoded(text, encoding), encoding, parameters.get("purpose", ""), parameters.get("content", ""))
        )
    return tuple(found)


def _decoded(text: str, encoding: str) -> bytes:
    if encoding == "hex":
        try:
            return bytes.fromhex(text)
        except ValueError:
            pass
    return text.encode("utf-8", "replace")
