"""The first trunk and the first route that fit are taken, in the file's order."""

from __future__ import annotations

import pytest

from gateway.call.options import RouteOptions, TrunkOptions
from gateway.call.routing import find_route, find_trunk
from gateway.errors import SipError

TRUNKS = [
    TrunkOptions.model_validate({"name": name, "from": ranges})
    for name, ranges in (("a", ["192.0.2.0/25"]), ("b", ["192.0.2.0/24", "2001:db8::/32"]))
]
ROUTES = [RouteOptions(to=to, plug=to) for to in ("+4930123", "+4930*", "pizza", "?")]


@pytest.mark.parametrize(
    ("host", "name"), [("192.0.2.1", "a"), ("192.0.2.200", "b"), ("2001:db8::7", "b"), ("::ffff:192.0.2.1", "a")]
)
def test_trunks(host: str, name: str) -> None:
    assert find_trunk(TRUNKS, host).name == name


def test_a_stranger_is_forbidden() -> None:
    with pytest.raises(SipError, match=r"203\.0\.113\.1") as refused:
        find_trunk(TRUNKS, "203.0.113.1")
    assert refused.value.status == 403


@pytest.mark.parametrize(
    ("called", "to"), [("+4930123", "+4930123"), ("+49301", "+4930*"), ("pizza", "pizza"), ("7", "?")]
)
def test_routes(called: str, to: str) -> None:
    assert find_route(ROUTES, called).to == to


@pytest.mark.parametrize("called", ["", "Pizza", "+4931", "77"])
def test_an_unknown_number_is_not_found(called: str) -> None:
    with pytest.raises(SipError) as refused:
        find_route(ROUTES, called)
    assert refused.value.status == 404
