"""What becomes of an INVITE: which trunk, which route, taken or refused, and why. A pure function of the request, the
configuration and what is going on; ``gate.py`` serves calls with it, ``linecard explain`` tells of it.

The order is that of cost and of honesty: whose call it is, whether there is room for it, who calls, where it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import ip_address
from typing import Final, Protocol

from gateway.call.identity import Caller, caller_of
from gateway.call.numbers import canonical, subscriber
from gateway.call.occupancy import Direction
from gateway.call.options import LimitOptions, RouteOptions
from gateway.call.trunk_options import TrunkOptions
from gateway.sip.auth_server import Verdict
from gateway.sip.flow import Address
from gateway.sip.message import Header, Request
from gateway.sip.uri import parse_uri
from gateway.units import SECOND, Nanos

__all__ = ["Decision", "Inquiry", "Load", "Policy", "Step", "decide", "fits", "mismatch"]


_NOBODY: Final = Verdict()
_UNKNOWN: Final = Caller("")


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A request, and what is known of who sends it."""

    request: Request
    source: Address
    transport: str = "udp"
    names: frozenset[str] = frozenset()
    """What its TLS certificate proves."""
    login: Verdict = _NOBODY
    registered_at: frozenset[str] = frozenset()
    """Trunks whose registrar has one of its servers there, and knows us."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the file says."""

    trunks: Sequence[TrunkOptions]
    routes: Sequence[RouteOptions]
    limits: LimitOptions


class Load(Protocol):
    """What is going on; ``Occupancy`` knows."""

    @property
    def total(self) -> int: ...

    def calls(self, trunk: str, direction: Direction | None = None) -> int: ...

    @property
    def strain(self) -> Callable[[Nanos], str]: ...

    def wait(self, what: object, rate: float | None, now: Nanos) -> int: ...

    def wait_source(self, trunk: str, host: str, rate: float | None, now: Nanos) -> int: ...


@dataclass(frozen=True, slots=True)
class Decision:
    """What is answered, and by which rule."""

    status: int
    """200: the call is taken. 401: the peer is asked to log in."""
    reason: str
    rule: str
    headers: tuple[Header, ...] = ()
    trunk: TrunkOptions | None = None
    route: RouteOptions | None = None
    caller: Caller = _UNKNOWN
    called: str = ""
    """The called number as the house writes it."""
    source: str = ""
    stale: bool = False

    @property
    def advertise(self) -> str:
        """What the endpoint tells this peer of our address; ``""``: what it tells everybody."""
        return (self.trunk.advertise or "") if self.trunk is not None else ""

    @property
    def accepted(self) -> bool:
        return self.status == 200


@dataclass(frozen=True, slots=True)
class Step:
    """One question that was asked on the way, for ``explain``."""

    question: str
    answer: str
    passed: bool


Note = Callable[[Step], None]


@dataclass(slots=True)
class _Way:
    """How far the decision has come."""

    source: str
    note: Note | None
    trunk: TrunkOptions | None = None
    caller: Caller = _UNKNOWN
    called: str = ""

    def passed(self, question: str, answer: Callable[[], str]) -> None:
        """``answer`` is only put into words if somebody wants to read it: this is every call's way."""
        if self.note is not None:
            self.note(Step(question, answer(), passed=True))

    def refuse(self, status: int, reason: str, question: str, rule: str, headers: tuple[Header, ...] = ()) -> Decision:
        if self.note is not None:
            self.note(Step(question, rule, passed=False))
        return Decision(status, reason, rule, headers, self.trunk, None, self.caller, self.called, self.source)


def decide(inquiry: Inquiry, policy: Policy, load: Load, now: Nanos, note: Note | None = None) -> Decision:
    """``note`` hears of each step."""
    way = _Way(inquiry.source[0], note)
    refusal = (
        _find_trunk(inquiry, policy, way)
        or _find_room(inquiry, policy.limits, load, now, way)
        or _find_caller(inquiry.request, way)
    )
    if refusal is not None:
        return refusal
    return _find_route(inquiry.request, policy.routes, way)


# --- whose call it is -------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _address(host: str) -> object:
    address = ip_address(host)
    return getattr(address, "ipv4_mapped", None) or address


def mismatch(trunk: TrunkOptions, inquiry: Inquiry) -> str:
    """What speaks against this being the trunk's call: ``from``, ``tls_names``, ``login``; ``""``: nothing."""
    if not trunk.takes_calls or (trunk.known_by_registrar and trunk.name not in inquiry.registered_at):
        return "from"
    if trunk.source:
        address = _address(inquiry.source[0])
        if not any(address in source for source in trunk.source):
            return "from"
    if trunk.tls_names and inquiry.names.isdisjoint(name.lower() for name in trunk.tls_names):
        return "tls_names"
    if trunk.login is not None and inquiry.login.user != trunk.login.user:
        return "login"
    return ""


def _find_trunk(inquiry: Inquiry, policy: Policy, way: _Way) -> Decision | None:
    """The first that nothing speaks against. If a login alone is missing, it is asked for."""
    wanted = ""
    for trunk in policy.trunks:
        against = mismatch(trunk, inquiry)
        if not against:
            way.trunk = trunk
            break
        wanted = wanted or (trunk.name if against == "login" else "")
    if (found := way.trunk) is not None:
        way.passed("trunk", lambda: f"{found.name}: {_recognised_by(found, inquiry)}")
        return None
    if wanted:
        refusal = way.refuse(401, "Unauthorized", "trunk", f"trunk {wanted} wants a login: {inquiry.login.why}")
        return replace(refusal, stale=inquiry.login.stale)
    return way.refuse(403, "Forbidden", "trunk", f"no trunk takes calls from {inquiry.source[0]}")


def _recognised_by(trunk: TrunkOptions, inquiry: Inquiry) -> str:
    """For ``explain``."""
    found = [f"we are registered at {inquiry.source[0]}"] if trunk.known_by_registrar else []
    if trunk.source:
        address = _address(inquiry.source[0])
        found.append(f"{inquiry.source[0]} is in {next(one for one in trunk.source if address in one)}")
    if trunk.tls_names:
        proved = inquiry.names & {name.lower() for name in trunk.tls_names}
        found.append(f"its certificate proves {', '.join(sorted(proved))}")
    if trunk.login is not None:
        found.append(f"it has logged in as {trunk.login.user}")
    return ", ".join(found)


# --- whether there is room --------------------------------------------------------------------------------------------

_CALLS: Final = "calls at once"
_RATES: Final = "calls a second"


def _find_room(inquiry: Inquiry, limits: LimitOptions, load: Load, now: Nanos, way: _Way) -> Decision | None:
    if load.total >= limits.concurrent_calls:
        rule = f"limits.concurrent_calls is met: {load.total} calls"
        return _later(way, _CALLS, rule, limits.retry_after // SECOND)
    if why := load.strain(now):
        return _later(way, _RATES, why, limits.retry_after // SECOND)
    if wait := load.wait("gateway", limits.calls_per_second, now):
        return _later(way, _RATES, f"limits.calls_per_second is met: {limits.calls_per_second:g}", wait)
    trunk = way.trunk
    if trunk is not None:
        return _room_of_trunk(trunk, inquiry.source[0], load, now, way)
    return None


def _room_of_trunk(trunk: TrunkOptions, host: str, load: Load, now: Nanos, way: _Way) -> Decision | None:
    """486 is for lines that are all in use, 503 for what will have passed in a moment."""
    own, name = trunk.limits, trunk.name
    for key, most, direction in (("calls", own.calls, None), ("calls_in", own.calls_in, "in")):
        if most is not None and (busy := load.calls(name, direction)) >= most:  # type: ignore[arg-type]
            return way.refuse(486, "Busy Here", _CALLS, f"trunk {name}: limits.{key} is met: {busy} of {most} calls")
    if wait := load.wait((name, "in"), own.rate_in, now):
        return _later(way, _RATES, f"trunk {name}: limits.rate_in is met: {own.rate_in:g}", wait)
    if wait := load.wait_source(name, host, own.rate_per_source, now):
        return _later(way, _RATES, f"trunk {name}: limits.rate_per_source is met: {own.rate_per_source:g}", wait)
    way.passed(_CALLS, lambda: f"{load.calls(name)} on trunk {name}, {load.total} in all: there is room")
    return None


def _later(way: _Way, question: str, rule: str, wait: int) -> Decision:
    return way.refuse(503, "Service Unavailable", question, rule, (("Retry-After", str(max(1, wait))),))


# --- who calls, and whom ----------------------------------------------------------------------------------------------


def _find_caller(request: Request, way: _Way) -> Decision | None:
    trunk = way.trunk
    if trunk is None:
        return None
    written = subscriber(parse_uri(request.uri))
    way.called = canonical(written, trunk.numbers)
    way.caller = caller = caller_of(request, trunk)
    if caller.private and trunk.caller_id.anonymous == "refuse":
        rule = f"trunk {trunk.name}: caller_id.anonymous is refuse"
        return way.refuse(433, "Anonymity Disallowed", "caller", rule)
    way.passed("caller", lambda: _who(request, caller))
    return None


def _who(request: Request, caller: Caller) -> str:
    by = "P-Asserted-Identity" if caller.asserted else "From"
    return f"{caller.shown or 'nobody'} (by {by}{', withheld' if caller.private else ''})"


def fits(route: RouteOptions, called: str, trunk: TrunkOptions | None) -> bool:
    """Whether a route is for this number, on this trunk."""
    if route.trunks is not None and (trunk is None or trunk.name not in route.trunks):
        return False
    return fnmatchcase(called, route.to)


def _find_route(request: Request, routes: Sequence[RouteOptions], way: _Way) -> Decision:
    written = subscriber(parse_uri(request.uri))
    # The number as it was written is tried too: a route may be for what a peer calls 100, or for a name.
    route = next((one for one in routes if any(fits(one, text, way.trunk) for text in (way.called, written))), None)
    if route is None:
        return way.refuse(404, "Not Found", "route", "no route fits the called number")
    called = way.called or written
    way.passed("route", lambda: f"{called or 'no number'} fits {route.to!r}: plug {route.plug}")
    return Decision(200, "OK", "", (), way.trunk, route, way.caller, called, way.source)
