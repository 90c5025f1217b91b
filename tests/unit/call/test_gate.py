"""Whom the gate lets in, and what the others are answered."""

from __future__ import annotations

import pytest

from gateway.call.explain import Explanation
from gateway.call.gate import Gate
from gateway.call.options import AuthenticationOptions
from gateway.errors import SipError
from gateway.sip.auth import Credentials, Login
from gateway.sip.flow import Flow
from gateway.sip.message import Request, Response
from gateway.units import SECOND, Nanos
from tests.unit.call.inquiries import invite, policy, trunk

US = ("192.0.2.1", 5060)
PEER, STRANGER = Flow("udp", US, ("10.0.0.2", 5060)), Flow("udp", US, ("203.0.113.9", 5060))
NOW = Nanos(1000 * SECOND)
PHONES = trunk("phones", **{"from": [], "login": {"user": "pbx", "password": "secret"}})


def gate(*trunks: object, **limits: object) -> Gate:
    return Gate(policy(*trunks, **limits), AuthenticationOptions(), key=b"k" * 32)  # type: ignore[arg-type]


def refusal(one: Gate, request: Request, flow: Flow) -> SipError:
    with pytest.raises(SipError) as refused:
        one.admit(request, flow, NOW)
    return refused.value


def test_a_call_is_let_in_with_its_decision() -> None:
    decision = gate().admit(invite(), PEER, NOW)
    assert decision is not None
    assert (decision.trunk and decision.trunk.name, decision.called) == ("t", "echo")


def test_a_login_is_asked_for_and_believed_once() -> None:
    one = gate(PHONES)
    challenged = refusal(one, invite(), STRANGER)
    assert (challenged.status, len(challenged.headers)) == (401, 2)
    login = Login(Credentials("pbx", "secret"), lambda: "c")
    login.learn(Response(401, "", list(challenged.headers)), invite())
    request = login.sign(invite())
    assert one.admit(request, STRANGER, NOW)
    again = refusal(one, request, STRANGER)
    assert again.status == 401
    assert "stale=true" in again.headers[0][1]


@pytest.mark.parametrize("method", ["CANCEL", "ACK"])
def test_what_cannot_log_in_is_not_asked_to(method: str) -> None:
    assert gate(PHONES).admit(invite(method=method), STRANGER, NOW) is None


def test_whoever_may_call_may_ask() -> None:
    assert gate().admit(invite(method="OPTIONS"), PEER, NOW) is None
    assert refusal(gate(), invite(method="OPTIONS"), STRANGER).status == 403
    assert refusal(gate(PHONES), invite(method="OPTIONS"), STRANGER).status == 401


def test_calls_that_were_let_in_use_up_the_rates() -> None:
    one = gate(trunk(limits={"rate_in": 3}))
    for _ in range(3):
        assert one.admit(invite(), PEER, NOW)
    assert refusal(one, invite(), PEER).status == 503
    assert one.admit(invite(), PEER, Nanos(NOW + SECOND))


def test_sources_are_forgotten_before_they_fill_the_memory() -> None:
    one = gate(trunk(limits={"rate_per_source": 1}, **{"from": ["10.0.0.0/8"]}))
    for number in range(12_000):
        host = f"10.1.{number // 256}.{number % 256}"
        assert one.admit(invite(), Flow("udp", US, (host, 5060)), NOW)
    assert len(one.occupancy._sources) == 10_000


def test_full_media_threads_refuse_a_call_and_nothing_else() -> None:
    full = Gate(
        policy(), AuthenticationOptions(), key=b"k" * 32, overload=lambda: "media threads are full", retry_after_s=7
    )
    refused = refusal(full, invite(), PEER)
    assert (refused.status, refused.rule) == (503, "media threads are full")
    assert dict(refused.headers)["Retry-After"] == "7"
    assert dict(refusal(gate(), invite("sip:nobody@h"), PEER).headers) == {"Reason": "Q.850;cause=1"}
    assert full.occupancy.total == 0
    assert full.admit(invite(method="OPTIONS"), PEER, NOW) is None
    assert refusal(full, invite(), STRANGER).status == 403


@pytest.mark.parametrize(("uri", "passed"), [("sip:echo@192.0.2.1", True), ("sip:nobody@192.0.2.1", False)])
def test_whoever_wants_to_know_hears_each_step(uri: str, passed: bool) -> None:
    """The same that ``linecard explain`` says, for the log."""
    heard: list[Explanation] = []
    tell = lambda request, explanation: heard.append(explanation)  # noqa: E731
    one = Gate(policy(), AuthenticationOptions(), key=b"k" * 32, tell=tell)
    if passed:
        assert one.admit(invite(uri), PEER, NOW)
    else:
        refusal(one, invite(uri), PEER)
    (told,) = heard
    assert told.lines()[0] == "yes, trunk: t: 10.0.0.2 is in 10.0.0.0/24"
    last = "yes, route: echo fits 'echo': plug p" if passed else "no, route: no route fits the called number"
    assert told.lines()[-1] == last


ACCOUNT = {"from": [], "register": {"registrar": "sip:sip.example.net", "user": "alice"}}


def test_calls_of_a_registrar_are_its_trunks() -> None:
    """Where an account is all that a trunk has: they come from one of the servers that know us."""
    one = gate(trunk("account", **ACCOUNT))
    assert refusal(one, invite(), PEER).status == 403
    assert not one.knows(PEER.remote[0])
    one.registered_at = lambda host: frozenset({"account"}) if host == PEER.remote[0] else frozenset()
    decision = one.admit(invite(), PEER, NOW)
    assert decision is not None
    assert decision.trunk is not None
    assert decision.trunk.name == "account"
    assert one.knows(PEER.remote[0])
    assert refusal(one, invite(), STRANGER).status == 403
    (missed,) = one.not_taken(invite(), STRANGER, NOW)
    assert missed == (
        "trunk account: takes calls of its registrar sip:sip.example.net, and we are not registered at 203.0.113.9"
    )


def test_who_has_an_address_of_its_own_is_not_known_by_its_registrar() -> None:
    one = gate(trunk("account", **{**ACCOUNT, "from": ["10.9.0.0/24"]}))
    one.registered_at = lambda host: frozenset({"account"})
    assert refusal(one, invite(), PEER).status == 403


@pytest.mark.parametrize(
    ("uri", "calls", "status"),
    [
        ("sip:echo@192.0.2.1", 0, None),
        ("sip:192.0.2.1", 0, None),  # who names nobody asks for nobody
        ("sip:nobody@192.0.2.1", 0, 404),
        ("sip:echo@192.0.2.1", 1, 486),
        ("sip:192.0.2.1", 1, 486),
    ],
)
def test_an_options_gets_what_a_call_would_where_the_peer_wants_that(uri: str, calls: int, status: int | None) -> None:
    """RFC 3261 11.2."""
    for answer_options in ("as-calls", "alive"):
        one = gate(trunk(answer_options=answer_options, limits={"calls": 1}))
        for _ in range(calls):
            one.occupancy.enter("t", "in")
        request = invite(uri, method="OPTIONS")
        if status is None or answer_options == "alive":
            assert one.admit(request, PEER, NOW) is None
        else:
            assert refusal(one, request, PEER).status == status
        assert one.occupancy.total == calls
