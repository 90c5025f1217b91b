"""Who is calling (RFC 3261 20.20, RFC 3325, RFC 3323), read by what the trunk is trusted with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.call.numbers import canonical, subscriber
from gateway.call.trunk_options import TrunkOptions
from gateway.errors import SipError
from gateway.sip.message import Header, Request
from gateway.sip.values import NameAddress, parse_address, plain

__all__ = ["ANONYMOUS", "Caller", "caller_of", "identity_headers"]

ANONYMOUS: Final = "anonymous"
"""What is told of a caller who withholds the number (RFC 3323 4.1)."""
_WITHHELD: Final = frozenset({"id", "user", "critical"})
_MOST: Final = 2
"""P-Asserted-Identity holds one sip and one tel URI at most (RFC 3325 9.1)."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The calling party."""

    number: str
    """As the house writes it, printable; ``""`` if there is none."""
    display: str = ""
    private: bool = False
    """The number is withheld: it may be known to us, but goes no further."""
    asserted: bool = False
    """The peer vouches for it, and we believe the peer."""

    @property
    def shown(self) -> str:
        """What plugs, models and records are told."""
        return ANONYMOUS if self.private else self.number


def caller_of(request: Request, trunk: TrunkOptions) -> Caller:
    """P-Asserted-Identity where the trunk is trusted with it, else From."""
    policy = trunk.caller_id
    asserted = _asserted(request) if policy.trusted else None
    source = asserted or request.from_
    user = subscriber(source.uri)
    from_host = request.from_.uri.host.lower()
    hidden = from_host == "anonymous.invalid" or request.from_.uri.user.lower() == ANONYMOUS
    private = _wants_privacy(request) or hidden
    number = canonical(user, trunk.numbers, called=False) if user else ""
    return Caller(number, plain(source.display), private, asserted is not None)


def _asserted(request: Request) -> NameAddress | None:
    """Of a sip and a tel URI the tel one is the number for certain; what cannot be read is not believed."""
    found: list[NameAddress] = []
    for value in request.all("P-Asserted-Identity")[:_MOST]:
        try:
            address = parse_address(value)
            if address.uri.user:
                found.append(address)
        except SipError:
            continue
    return next((one for one in found if one.uri.scheme == "tel"), found[0] if found else None)


def _wants_privacy(request: Request) -> bool:
    value = request.get("Privacy")
    return value is not None and not _WITHHELD.isdisjoint(item.strip().lower() for item in value.split(";"))


def identity_headers(uri: str, trunk: TrunkOptions, *, private: bool) -> list[Header]:
    """What a call of ours says of its caller besides From: the truth to those we trust (RFC 3325 7), and nothing to
    others where it is withheld."""
    headers: list[Header] = []
    if trunk.caller_id.trusted and uri:
        headers.append(("P-Asserted-Identity", f"<{uri}>"))
    if private:
        headers.append(("Privacy", "id"))
    return headers
