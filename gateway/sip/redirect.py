"""Redirects (3xx, RFC 3261 8.1.3.4): which of the offered contacts a call may follow to, and where that is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

from gateway.errors import SipError
from gateway.sip.dialog import next_hop
from gateway.sip.flow import Flow, Listener, flow_to
from gateway.sip.message import Response
from gateway.sip.values import NameAddress, parse_address

__all__ = ["follow"]

_MAX_CONTACTS = 16


def follow(
    response: Response, tried: Collection[str], allowed: Sequence[str], flow: Flow, listeners: Sequence[Listener]
) -> tuple[str, Flow] | None:
    """The best contact that has not been tried, is allowed, and can be reached without asking anybody: an IP address,
    or the name that we have called. ``None``: the redirect is not followed."""
    for contact in _by_preference(response):
        uri = contact.uri
        host = uri.host.strip("[]").lower()
        if uri.scheme != "sip" or contact.uri_text in tried or "?" in uri.parameters:
            continue
        here = host in (flow.host.lower(), flow.remote[0])
        if not (any(fnmatchcase(host, pattern.lower()) for pattern in allowed) or (here and not allowed)):
            continue
        address = next_hop(uri) or (flow.remote if here else None)
        transport = (uri.parameter("transport") or flow.transport).lower()
        found = flow_to(listeners, transport, address, flow.host if here else "") if address else None
        if found is not None:
            return contact.uri_text, found
    return None


def _by_preference(response: Response) -> list[NameAddress]:
    """By ``q``, the order otherwise kept; what cannot be read is left out."""
    contacts: list[tuple[float, NameAddress]] = []
    for value in response.all("Contact")[:_MAX_CONTACTS]:
        try:
            contact = parse_address(value)
            contact.uri  # noqa: B018  parsed here, so that it cannot fail later
        except SipError:
            continue
        contacts.append((_quality(contact.parameters.get("q", "")), contact))
    return [contact for _, contact in sorted(contacts, key=lambda one: -one[0])]


def _quality(text: str) -> float:
    digits = text.replace(".", "", 1)
    return min(float(text), 1.0) if digits.isascii() and digits.isdecimal() and len(text) <= 5 else 1.0
