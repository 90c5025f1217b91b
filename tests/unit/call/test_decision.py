"""Which call is taken, which is refused, and with which status and rule."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.call.decision import Decision, Inquiry, Policy, Step, decide
from gateway.call.occupancy import Occupancy
from gateway.sip.auth_server import Verdict
from gateway.sip.message import Request
from gateway.units import SECOND, Nanos
from tests.unit.call.inquiries import invite, policy, trunk

NOW = Nanos(1000 * SECOND)
LOGIN = {"login": {"user": "pbx", "password": "secret"}}


def decided(
    rules: Policy, request: Request | None = None, host: str = "10.0.0.2", load: Occupancy | None = None, **known: Any
) -> Decision:
    return decide(Inquiry(request or invite(), (host, 5060), **known), rules, load or Occupancy(), NOW)


def name(decision: Decision) -> str | None:
    return decision.trunk and decision.trunk.name


class TestTrunk:
    @pytest.mark.parametrize(
        ("host", "found"), [("192.0.2.1", "a"), ("192.0.2.200", "b"), ("2001:db8::7", "b"), ("::ffff:192.0.2.1", "a")]
    )
    def test_the_first_whose_range_holds_the_address(self, host: str, found: str) -> None:
        rules = policy(
            trunk("a", **{"from": ["192.0.2.0/25"]}), trunk("b", **{"from": ["192.0.2.0/24", "2001:db8::/32"]})
        )
        assert name(decided(rules, host=host)) == found

    def test_a_stranger_is_forbidden(self) -> None:
        decision = decided(policy(), host="203.0.113.1")
        assert (decision.status, decision.rule) == (403, "no trunk takes calls from 203.0.113.1")

    def test_a_certificate_may_be_what_tells_a_peer(self) -> None:
        rules = policy(trunk("sbc", **{"from": [], "tls_names": ["SBC.example.com"]}))
        assert name(decided(rules, names=frozenset({"sbc.example.com"}))) == "sbc"
        assert decided(rules, names=frozenset({"evil.example.com"})).status == 403
        assert decided(rules).status == 403

    def test_everything_that_is_asked_for_must_hold(self) -> None:
        rules = policy(trunk("sbc", tls_names=["a.example"], **LOGIN))
        known = {"names": frozenset({"a.example"}), "login": Verdict("pbx")}
        assert name(decided(rules, **known)) == "sbc"
        assert decided(rules, host="10.9.9.9", **known).status == 403
        assert decided(rules, names=frozenset({"a.example"})).status == 401
        assert decided(rules, login=Verdict("pbx")).status == 403

    def test_a_login_is_asked_for_only_where_nothing_else_is_missing(self) -> None:
        rules = policy(trunk("phones", **LOGIN, **{"from": []}), trunk("carrier"))
        assert name(decided(rules)) == "carrier"
        asked = decided(rules, host="203.0.113.1")
        assert (asked.status, asked.stale) == (401, False)
        assert decided(rules, host="203.0.113.1", login=Verdict(stale=True)).stale
        assert name(decided(rules, login=Verdict("pbx"))) == "phones"


class TestRoute:
    ROUTES = ({"to": "+4930123", "plug": "one"}, {"to": "+4930*", "plug": "all"}, {"to": "?", "plug": "short"})

    @pytest.mark.parametrize(
        ("called", "plug"),
        [
            ("+4930123", "one"),
            ("03012345678", "all"),
            ("0049 30 9999999", "all"),
            ("493012345678", "all"),
            ("7", "short"),
            ("+4930123;npdi;rn=+49308", "one"),  # RFC 4694: a number that was ported
        ],
    )
    def test_the_first_that_fits_the_number_however_it_was_written(self, called: str, plug: str) -> None:
        rules = policy(trunk(numbers={"region": "DE"}), routes=[*self.ROUTES])
        decision = decided(rules, invite(f"sip:{called.replace(' ', '%20')}@192.0.2.1"))
        assert decision.accepted
        assert decision.route
        assert decision.route.plug == plug

    @pytest.mark.parametrize("called", ["", "Pizza", "+4931", "77"])
    def test_an_unknown_number_is_not_found(self, called: str) -> None:
        decision = decided(policy(routes=[*self.ROUTES]), invite(f"sip:{called}@h" if called else "sip:h"))
        assert (decision.status, decision.rule) == (404, "no route fits the called number")

    def test_a_route_may_be_for_some_trunks_only(self) -> None:
        rules = policy(trunk("a"), routes=[{"to": "*", "plug": "other", "trunks": ["b"]}, {"to": "*", "plug": "ours"}])
        route = decided(rules).route
        assert route
        assert route.plug == "ours"

    def test_a_number_that_was_rewritten_may_still_be_called_by_what_was_dialled(self) -> None:
        rules = policy(trunk(numbers={"region": "DE"}), routes=[{"to": "030*", "plug": "p"}])
        assert decided(rules, invite("sip:03012345678@h")).called == "+493012345678"


class TestRoom:
    def test_the_gateway_is_full(self) -> None:
        load = Occupancy()
        for _ in range(2):
            load.enter("another", "out")
        decision = decided(policy(concurrent_calls=2, retry_after="7s"), load=load)
        assert (decision.status, dict(decision.headers)) == (503, {"Retry-After": "7"})
        load.leave("another", "out")
        assert decided(policy(concurrent_calls=2), load=load).accepted

    @pytest.mark.parametrize(
        ("limits", "rule"), [({"calls": 2}, "limits.calls "), ({"calls_in": 1}, "limits.calls_in ")]
    )
    def test_all_lines_of_a_trunk_are_busy(self, limits: dict[str, int], rule: str) -> None:
        load = Occupancy()
        load.enter("t", "in")
        load.enter("t", "out")
        decision = decided(policy(trunk(limits=limits)), load=load)
        assert decision.status == 486
        assert rule in decision.rule
        assert decided(policy(trunk("another", limits=limits)), load=load).accepted

    @pytest.mark.parametrize(
        ("trunk_limits", "limits", "rule"),
        [
            ({"rate_in": 2}, {}, "limits.rate_in"),
            ({"rate_per_source": 2}, {}, "limits.rate_per_source"),
            ({}, {"calls_per_second": 2}, "limits.calls_per_second"),
        ],
    )
    def test_too_many_calls_a_second(self, trunk_limits: dict[str, float], limits: dict[str, float], rule: str) -> None:
        load, rules = Occupancy(), policy(trunk(limits=trunk_limits), **limits)
        for _ in range(2):
            assert decided(rules, load=load).accepted
            load.take("gateway", rules.limits.calls_per_second, NOW)
            load.take(("t", "in"), rules.trunks[0].limits.rate_in, NOW)
            load.take_source("t", "10.0.0.2", rules.trunks[0].limits.rate_per_source, NOW)
        decision = decided(rules, load=load)
        assert (decision.status, dict(decision.headers)) == (503, {"Retry-After": "1"})
        assert rule in decision.rule
        other = decided(rules, host="10.0.0.3", load=load)
        assert other.accepted == ("source" in rule)


class TestCaller:
    ASSERTED = 'P-Asserted-Identity: "Alice" <sip:+4930111@x>, <tel:+49-30-222;phone-context=x>'

    def test_from_is_the_caller(self) -> None:
        assert decided(policy(), invite("sip:echo@h", self.ASSERTED)).caller.shown == "alice"

    def test_a_trusted_peer_may_assert_another(self) -> None:
        caller = decided(policy(trunk(caller_id={"trusted": True})), invite("sip:echo@h", self.ASSERTED)).caller
        assert (caller.shown, caller.asserted) == ("+4930222", True)

    @pytest.mark.parametrize("value", ["<<>>", "", "tel:", '"'])
    def test_an_assertion_that_cannot_be_read_is_none(self, value: str) -> None:
        request = invite("sip:echo@h", f"P-Asserted-Identity: {value}")
        assert decided(policy(trunk(caller_id={"trusted": True})), request).caller.shown == "alice"

    @pytest.mark.parametrize(
        ("headers", "caller"),
        [
            (["Privacy: id"], "<sip:alice@x>"),
            (["Privacy: header; ID;critical"], "<sip:alice@x>"),
            ([], '"Anonymous" <sip:anonymous@anonymous.invalid>'),
        ],
    )
    def test_a_number_that_is_withheld_goes_no_further(self, headers: list[str], caller: str) -> None:
        request = invite("sip:echo@h", *headers, caller=caller)
        taken = decided(policy(), request)
        assert (taken.accepted, taken.caller.shown) == (True, "anonymous")
        refused = decided(policy(trunk(caller_id={"anonymous": "refuse"})), request)
        assert (refused.status, refused.reason) == (433, "Anonymity Disallowed")

    def test_privacy_none_is_none(self) -> None:
        assert decided(policy(), invite("sip:echo@h", "Privacy: none")).caller.shown == "alice"


def test_whoever_asks_hears_of_each_step() -> None:
    steps: list[Step] = []
    decide(Inquiry(invite("sip:nobody@h"), ("10.0.0.2", 5060)), policy(), Occupancy(), NOW, steps.append)
    assert [(step.question, step.passed) for step in steps] == [
        ("trunk", True), ("calls at once", True), ("caller", True), ("route", False),
    ]  # fmt: skip
    assert steps[0].answer == "t: 10.0.0.2 is in 10.0.0.0/24"
