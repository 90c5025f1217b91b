"""Which trunk a call came in on, and which route its number takes. Pure: the first that fits, in the file's order."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address

from gateway.call.options import RouteOptions, TrunkOptions
from gateway.errors import SipError

__all__ = ["find_route", "find_trunk"]


def find_trunk(trunks: Sequence[TrunkOptions], host: str) -> TrunkOptions:
    """The trunk whose ranges hold the peer's address. Raises ``SipError`` 403."""
    address = ip_address(host)
    address = getattr(address, "ipv4_mapped", None) or address
    for trunk in trunks:
        if any(address in source for source in trunk.source):
            return trunk
    raise SipError(403, "Forbidden", f"no trunk takes calls from {host}")


def find_route(routes: Sequence[RouteOptions], called: str) -> RouteOptions:
    """Raises ``SipError`` 404."""
    for route in routes:
        if fnmatchcase(called, route.to):
            return route
    raise SipError(404, "Not Found", "no route fits the called number")
