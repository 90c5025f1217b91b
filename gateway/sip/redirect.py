"""Redirects (3xx, RFC 3261 8.1.3.4): which of the offered contacts a call may follow to, and in which order.

A redirect server often names several: the next one is tried when the last one fails, as long as nobody has said that no
other will do (6xx). What a later redirect offers comes before what still waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

from gateway.errors import SipError
from gateway.sip.flow import Flow
from gateway.sip.message import Response
from gateway.sip.uri import Uri
from gateway.sip.values import NameAddress, parse_address

__all__ = ["Redirects"]

_MAX_CONTACTS: Final = 16
"""Of one redirect, and of those that wait at once."""


class Redirects:
    """The targets of one call. ``most`` is how many redirects it may follow, ``allowed`` which hosts they may name;
    without any, only the one that was called."""

    __slots__ = ("_allowed", "_followed", "_home", "_most", "_tried", "_waiting")

    def __init__(self, target: str, most: int, allowed: Sequence[str]) -> None:
        self._most = most
        self._allowed = [pattern.lower() for pattern in allowed]
        self._tried = {target}
        self._waiting: list[tuple[str, Uri]] = []
        self._followed = 0
        self._home: tuple[str, str] | None = None

    def learn(self, response: Response, flow: Flow) -> None:
        """The contacts of a redirect by ``flow``, as far as the operator allows."""
        self._home = self._home or (flow.host.lower(), flow.remote[0])
        if self._followed < self._most:
            self._followed += 1
            found = [(one.uri_text, one.uri) for one in _by_preference(response) if self._may_be(one.uri)]
            self._waiting = (found + self._waiting)[:_MAX_CONTACTS]

    def next(self) -> tuple[str, Uri] | None:
        """The target to try now, if there is one; none is tried twice."""
        while self._waiting:
            target, uri = self._waiting.pop(0)
            if target not in self._tried:
                self._tried.add(target)
                return target, uri
        return None

    def _may_be(self, uri: Uri) -> bool:
        host = uri.host.strip("[]").rstrip(".").lower()
        if uri.scheme != "sip" or not host or "?" in uri.parameters:
            return False
        if self._allowed:
            return any(fnmatchcase(host, pattern) for pattern in self._allowed)
        return self._home is not None and host in self._home


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
