"""From one server of a target to the next (RFC 3263 4.3, RFC 3261 21.5.4), seen by the servers, with time simulated."""

from __future__ import annotations

import pytest

from gateway.errors import MisuseError
from gateway.sip.auth import Credentials
from gateway.sip.events import Answered, Ended, Pinged, Registered, RegistrationFailed, Ringing
from gateway.sip.flow import Flow, Hop
from gateway.sip.message import Request
from gateway.sip.parser import parse
from tests.unit.sip.test_registration import account
from tests.unit.sip.wire import SDP, US, Wire, reply, statuses

FIRST, SECOND, THIRD = ("10.0.0.11", 5060), ("10.0.0.12", 5060), ("10.0.0.13", 5060)
TARGET = "sip:bob@carrier.example"
CONTACT = "Contact: <sip:desk@10.0.0.12>\r\n"
Sent = list[tuple[tuple[str, int], Request]]


class Servers(Wire):
    """Remembers which server each request went to."""

    def went(self) -> Sent:
        found = [(item.flow.remote, parse(item.data)) for item in self.endpoint.outgoing()]
        return [(remote, message) for remote, message in found if isinstance(message, Request)]

    def call(self, *servers: tuple[str, int], **more: object) -> Sent:
        hops = [Hop("udp", at) for at in servers or (FIRST, SECOND)]
        self.endpoint.invite(TARGET, SDP, self.now, caller="alice", remote=hops, **more)  # type: ignore[arg-type]
        return self.went()

    def says(self, server: tuple[str, int], request: Request, status: int, **more: object) -> Sent:
        data = reply(request, status, **more)  # type: ignore[arg-type]
        self.endpoint.receive(data, Flow("udp", US, server), self.now)
        return self.went()

    def wait(self, seconds: float) -> Sent:
        end = self.now + round(seconds * 1e9)
        found: Sent = []
        while (wake := self.endpoint.next_timer()) is not None and wake <= end:
            self.now = wake
            self.endpoint.handle_timer(wake)
            found += self.went()
        self.now = end  # type: ignore[assignment]
        return found


def only(sent: Sent) -> tuple[tuple[str, int], Request]:
    (one,) = sent
    return one


def test_after_503_the_same_call_goes_to_the_next_server_under_a_new_branch() -> None:
    wire = Servers()
    at, first = only(wire.call())
    assert at == FIRST
    (ack_at, ack), (next_at, second) = wire.says(FIRST, first, 503)
    assert (ack_at, ack.method) == (FIRST, "ACK")
    assert (next_at, second.method, second.uri) == (SECOND, "INVITE", first.uri)
    assert second.via.branch != first.via.branch
    for name in ("Call-ID", "CSeq", "From", "To", "Contact"):
        assert second.get(name) == first.get(name)
    assert second.body == SDP
    wire.says(SECOND, second, 200, more=CONTACT, body=SDP)
    assert wire.events() == [Answered(1, SDP)]


@pytest.mark.parametrize("status", [302, 404, 408, 480, 486, 500, 600, 603])
def test_any_other_answer_is_the_answer(status: int) -> None:
    wire = Servers()
    _, invite = only(wire.call())
    assert statuses([message for _, message in wire.says(FIRST, invite, status)]) == ["ACK"]
    (ended,) = wire.events()
    assert isinstance(ended, Ended)
    assert ended.status == status


def test_a_silent_server_is_left_after_a_while_and_tried_last_by_the_next_call() -> None:
    wire = Servers(failover={"after": "2s", "rest": "30s"})
    _, first = only(wire.call())
    sent = wire.wait(2)
    assert [at for at, _ in sent] == [FIRST, FIRST, SECOND]  # at 0.5 and 1.5 s again, at 2 s the next one
    second = sent[-1][1]
    assert second.via.branch != first.via.branch
    wire.says(SECOND, second, 486)
    wire.events()
    assert only(wire.call())[0] == SECOND
    wire.endpoint.hang_up(2, wire.now)
    wire.wait(31)
    assert only(wire.call())[0] == FIRST


def test_a_server_that_is_at_work_is_not_left() -> None:
    wire = Servers(failover={"after": "2s"})
    _, invite = only(wire.call())
    wire.says(FIRST, invite, 100, tag="")
    assert wire.wait(60) == []


def test_the_last_server_has_all_the_time_of_timer_b() -> None:
    wire = Servers(failover={"after": "2s"})
    wire.call()
    sent = wire.wait(33.9)
    assert [at for at, _ in sent].count(SECOND) == 7
    assert wire.events() == []
    wire.wait(0.1)
    assert wire.events() == [Ended(1, "network", 408, "no answer to INVITE")]


@pytest.mark.parametrize("answer", [180, 200])
def test_a_server_that_wakes_up_late_neither_rings_nor_answers(answer: int) -> None:
    wire = Servers(failover={"after": "2s"})
    _, first = only(wire.call())
    second = wire.wait(2)[-1][1]
    sent = wire.says(FIRST, first, answer, more=CONTACT)
    if answer == 180:
        at, cancel = only(sent)
        assert (at, cancel.method, cancel.via.branch) == (FIRST, "CANCEL", first.via.branch)
        assert wire.says(FIRST, first, 183) == []  # once is enough
        assert statuses([message for _, message in wire.says(FIRST, first, 487)]) == ["ACK"]
    else:
        assert statuses([message for _, message in sent]) == ["ACK", "BYE"]
        assert statuses([message for _, message in wire.says(FIRST, first, 200, more=CONTACT)]) == ["ACK"]
    assert wire.events() == []
    wire.says(SECOND, second, 180, tag="second")
    wire.says(SECOND, second, 200, tag="second", more=CONTACT, body=SDP)
    assert wire.events() == [Ringing(1, 180, None), Answered(1, SDP)]
    wire.endpoint.hang_up(1, wire.now)
    _, bye = only(wire.went())
    wire.says(SECOND, bye, 200)
    wire.wait(70)
    assert (wire.endpoint.calls, wire.endpoint.transactions) == (0, 0)


def test_a_call_that_is_given_up_is_offered_to_nobody_else() -> None:
    wire = Servers(failover={"after": "2s"})
    _, invite = only(wire.call())
    wire.endpoint.hang_up(1, wire.now, "changed my mind")
    assert {at for at, _ in wire.wait(3)} == {FIRST}
    assert statuses([message for _, message in wire.says(FIRST, invite, 503)]) == ["ACK"]


def test_cancel_waits_for_the_server_that_is_being_asked() -> None:
    wire = Servers()
    _, first = only(wire.call())
    wire.says(FIRST, first, 100, tag="")
    second = wire.says(FIRST, first, 503)[-1][1]
    wire.endpoint.hang_up(1, wire.now)
    assert wire.went() == []
    at, cancel = only(wire.says(SECOND, second, 100, tag=""))
    assert (at, cancel.method, cancel.via.branch) == (SECOND, "CANCEL", second.via.branch)


def test_retry_after_keeps_every_call_away() -> None:
    wire = Servers()
    _, first = only(wire.call())
    wire.says(FIRST, first, 503, more="Retry-After: 20 (maintenance)\r\n")
    wire.events()
    for _ in range(2):
        at, invite = only(wire.call())
        assert at == SECOND
        wire.says(SECOND, invite, 486)
    wire.wait(21)
    assert only(wire.call())[0] == FIRST


def test_when_every_server_asked_to_be_left_alone_nothing_is_sent() -> None:
    wire = Servers()
    _, invite = only(wire.call(FIRST))
    wire.says(FIRST, invite, 503, more="Retry-After: 20\r\n")
    wire.events()
    assert wire.call(FIRST) == []
    assert wire.events() == []  # told after the verb has returned: its caller has the handle then
    assert wire.wait(0) == []
    (ended,) = wire.events()
    assert isinstance(ended, Ended)
    assert (ended.call, ended.status) == (2, 503)
    wire.wait(21)
    assert only(wire.call(FIRST))[0] == FIRST


def test_retry_after_is_believed_up_to_a_limit() -> None:
    wire = Servers(failover={"longest_rest": "60s"})
    _, invite = only(wire.call(FIRST))
    wire.says(FIRST, invite, 503, more="Retry-After: 99999\r\n")
    wire.wait(61)
    assert only(wire.call(FIRST))[0] == FIRST


def test_nobody_is_there_says_the_network() -> None:
    """RFC 3261 18.4: an ICMP error is a transport error."""
    wire = Servers()
    wire.call(FIRST, SECOND, THIRD)
    for at, following in ((FIRST, SECOND), (SECOND, THIRD)):
        wire.endpoint.unreachable(Flow("udp", US, at), "ICMP: Connection refused", wire.now)
        assert only(wire.went())[0] == following
    wire.endpoint.unreachable(Flow("udp", US, THIRD), "ICMP: Connection refused", wire.now)
    assert wire.events() == [Ended(1, "remote", 503, "ICMP: Connection refused")]


def test_credentials_go_with_the_call() -> None:
    wire = Servers()
    _, first = only(wire.call(credentials=Credentials("alice", "secret")))
    challenge = 'WWW-Authenticate: Digest realm="carrier", nonce="n1", qop="auth"\r\n'
    signed = wire.says(FIRST, first, 401, more=challenge)[-1][1]
    at, second = wire.says(FIRST, signed, 503)[-1]
    assert at == SECOND
    assert signed.get("Authorization")
    assert second.get("Authorization") is None  # nobody has asked for it there
    at, third = wire.says(SECOND, second, 401, more=challenge.replace("n1", "n2"))[-1]
    assert at == SECOND
    assert 'nonce="n2"' in (third.get("Authorization") or "")


def test_within_a_dialog_there_is_one_way_only() -> None:
    """Whoever asked for rest still gets the BYE of the call that it has."""
    wire = Servers()
    _, invite = only(wire.call(SECOND))
    wire.says(SECOND, invite, 200, more=CONTACT, body=SDP)
    _, other = only(wire.call(SECOND))
    wire.says(SECOND, other, 503, more="Retry-After: 60\r\n")
    wire.endpoint.hang_up(1, wire.now)
    assert statuses([message for _, message in wire.went()]) == ["BYE"]


def test_options_too() -> None:
    wire = Servers(failover={"after": "1s"})
    wire.endpoint.options_ping(TARGET, wire.now, remote=[Hop("udp", FIRST), Hop("udp", SECOND)])
    assert only(wire.went())[0] == FIRST
    at, ping = wire.wait(1)[-1]
    assert at == SECOND
    wire.says(SECOND, ping, 200)
    assert wire.events() == [Pinged(TARGET, 200)]


def test_a_registration_moves_to_the_next_registrar_and_stays_there() -> None:
    wire = Servers(failover={"after": "1s"})
    hops = [Hop("udp", FIRST), Hop("udp", SECOND)]
    wire.endpoint.register(account(registrar="sip:carrier.example"), wire.now, remote=hops)
    at, first = only(wire.went())
    assert at == FIRST
    at, second = wire.wait(1)[-1]
    assert (at, second.get("CSeq"), second.call_id) == (SECOND, "1 REGISTER", first.call_id)
    wire.says(SECOND, second, 200, more="Contact: <sip:alice@10.0.0.1:5060>;expires=600\r\n")
    assert wire.events() == [Registered(1, 600, ())]
    at, renewal = only(wire.wait(530))
    assert (at, renewal.get("CSeq")) == (SECOND, "2 REGISTER")
    at, back = only(wire.says(SECOND, renewal, 503))
    assert at == FIRST
    wire.says(FIRST, back, 503)
    (failed,) = wire.events()
    assert isinstance(failed, RegistrationFailed)
    wire.endpoint.relocate(1, [Hop("udp", THIRD)], wire.now)
    assert {at for at, _ in wire.wait(31)} == {THIRD}


def test_a_request_without_a_server_is_a_mistake() -> None:
    with pytest.raises(MisuseError):
        Servers().endpoint.invite(TARGET, SDP, Servers().now, caller="alice", remote=[])
