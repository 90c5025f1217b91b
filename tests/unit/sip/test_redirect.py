"""Redirects of calls that we place (RFC 3261 8.1.3.4), and forked answers (13.2.2.4)."""

from __future__ import annotations

import pytest

from gateway.sip.auth import Credentials
from gateway.sip.events import Answered, Ended, Redirected, Ringing
from gateway.sip.flow import Hop
from gateway.sip.message import Message, Request
from gateway.units import SECOND, Nanos
from tests.unit.sip.wire import SDP, Wire, reply, statuses


def placed(**options: object) -> tuple[Wire, Request]:
    wire = Wire(**options)
    login = Credentials("alice", "secret")
    wire.endpoint.invite("sip:bob@10.0.0.2:5070", SDP, wire.now, caller="alice", credentials=login)
    (invite,) = wire.sent()
    assert isinstance(invite, Request)
    return wire, invite


def redirected(wire: Wire, invite: Message, *contacts: str, status: int = 302) -> list[Message]:
    return wire.send(reply(invite, status, more="".join(f"Contact: {one}\r\n" for one in contacts)))


def test_without_leave_a_redirect_ends_the_call_and_says_where_it_pointed() -> None:
    wire, invite = placed()
    assert statuses(redirected(wire, invite, "<sip:desk@10.0.0.2>")) == ["ACK"]
    (ended,) = wire.events()
    assert isinstance(ended, Ended)
    assert (ended.by, ended.status) == ("remote", 302)
    assert ended.message is not None
    assert ended.message.contact is not None
    assert ended.message.contact.uri_text == "sip:desk@10.0.0.2"


def test_the_best_contact_is_followed_with_the_same_call_id() -> None:
    wire, invite = placed(redirects=1)
    ack, again = redirected(wire, invite, "<sip:a@10.0.0.2:5071>;q=0.3, <sip:b@10.0.0.2:5072>;q=0.9")
    assert statuses([ack, again]) == ["ACK", "INVITE"]
    assert isinstance(again, Request)
    assert again.uri == "sip:b@10.0.0.2:5072"
    assert (again.call_id, again.get("To"), again.cseq.number) == (invite.call_id, invite.get("To"), 2)
    (acknowledged,) = wire.send(reply(again, 200, more="Contact: <sip:b@10.0.0.2:5072>\r\n", body=SDP))
    assert acknowledged.get("CSeq") == "2 ACK"
    assert wire.events() == [Redirected(1, "sip:b@10.0.0.2:5072", "udp", named=False), Answered(1, SDP)]


@pytest.mark.parametrize(
    ("contact", "allowed", "followed"),
    [
        ("<sip:b@10.0.0.2>", [], True),
        ("<sip:b@192.0.2.7>", [], False),
        ("<sip:b@192.0.2.7>", ["192.0.2.*"], True),
        ("<sip:b@192.0.2.7>", ["203.0.113.*"], False),
        ("<sip:b@a.name.example>", [], False),
        ("<sips:b@10.0.0.2>", ["*"], False),
        ("<tel:+491234>", ["*"], False),
        ("<sip:b@10.0.0.2?Replaces=x>", ["*"], False),
        ("<sip:b@10.0.0.2;transport=tcp>", ["*"], False),
        ("<sip:bob@10.0.0.2:5070>", [], False),
        ("*", ["*"], False),
    ],
)
def test_where_it_may_go(contact: str, allowed: list[str], followed: bool) -> None:
    wire, invite = placed(redirects=1, redirect_to=allowed)
    assert statuses(redirected(wire, invite, contact)) == (["ACK", "INVITE"] if followed else ["ACK"])


def test_it_is_followed_so_often_and_never_in_a_circle() -> None:
    wire, invite = placed(redirects=2)
    sent = redirected(wire, invite, "<sip:a@10.0.0.2:5071>")
    sent = redirected(wire, sent[1], "<sip:bob@10.0.0.2:5070>, <sip:b@10.0.0.2:5072>")
    assert isinstance(sent[1], Request)
    assert sent[1].uri == "sip:b@10.0.0.2:5072"
    assert statuses(redirected(wire, sent[1], "<sip:c@10.0.0.2:5073>")) == ["ACK"]
    assert [type(event) for event in wire.events()] == [Redirected, Redirected, Ended]


@pytest.mark.parametrize(("status", "goes_on"), [(503, True), (404, True), (486, True), (603, False)])
def test_the_next_contact_is_tried_when_one_fails(status: int, goes_on: bool) -> None:
    """As servers want it that route by price. 6xx says that nobody else will do (RFC 3261 21.6)."""
    wire, invite = placed(redirects=1)
    (_, first) = redirected(wire, invite, "<sip:a@10.0.0.2:5071>;q=0.9, <sip:b@10.0.0.2:5072>;q=0.5")
    sent = wire.send(reply(first, status, tag="8"))
    assert statuses(sent) == (["ACK", "INVITE"] if goes_on else ["ACK"])
    if goes_on:
        assert isinstance(sent[1], Request)
        assert (sent[1].uri, sent[1].cseq.number) == ("sip:b@10.0.0.2:5072", 3)
        assert statuses(wire.send(reply(sent[1], 480))) == ["ACK"]
    ended = wire.events()[-1]
    assert isinstance(ended, Ended)
    assert ended.status == (480 if goes_on else 603)


def test_a_contact_that_does_not_answer_is_left_for_the_next() -> None:
    wire, invite = placed(redirects=1)
    redirected(wire, invite, "<sip:a@10.0.0.2:5071>, <sip:b@10.0.0.2:5072>")
    asked = [one.uri for one in wire.later(33) if isinstance(one, Request)]
    assert asked[0] == "sip:a@10.0.0.2:5071"
    assert asked[-1] == "sip:b@10.0.0.2:5072"


def to_a_name(**options: object) -> tuple[Wire, Message]:
    wire, invite = placed(redirects=1, redirect_to=["*.example"], **options)
    assert statuses(redirected(wire, invite, "<sip:b@sip.name.example>, <sip:c@10.0.0.2>")) == ["ACK"]
    assert wire.events() == [Redirected(1, "sip:b@sip.name.example", "udp", named=True)]
    return wire, invite


def test_a_name_is_followed_when_its_servers_are_known() -> None:
    wire, _ = to_a_name()
    hops = [Hop("udp", ("10.0.0.7", 5070)), Hop("udp", ("10.0.0.8", 5070))]
    wire.endpoint.redirect(1, "sip:b@sip.name.example", hops, wire.now)
    (datagram,) = wire.endpoint.outgoing()
    assert (datagram.flow.remote, datagram.flow.host) == (("10.0.0.7", 5070), "sip.name.example")
    wire.endpoint.handle_timer(Nanos(wire.now + 5 * SECOND))
    assert wire.endpoint.outgoing()[-1].flow.remote == ("10.0.0.8", 5070)


def test_a_name_without_servers_ends_the_call_with_what_the_redirect_said() -> None:
    wire, _ = to_a_name()
    wire.endpoint.redirect(1, "sip:b@sip.name.example", [], wire.now)
    (ended,) = wire.events()
    assert isinstance(ended, Ended)
    assert (ended.status, wire.endpoint.calls) == (302, 0)


def test_a_call_may_be_given_up_while_its_name_is_looked_up() -> None:
    wire, _ = to_a_name()
    wire.endpoint.hang_up(1, wire.now, "enough")
    assert (wire.sent(), wire.endpoint.calls) == ([], 0)
    wire.endpoint.redirect(1, "sip:b@sip.name.example", [Hop("udp", ("10.0.0.7", 5070))], wire.now)
    assert wire.sent() == []
    assert [type(event) for event in wire.events()] == [Ended]
    wire.later(70)
    assert (wire.endpoint.transactions, wire.endpoint.next_timer()) == (0, None)


def test_nobody_who_looks_a_name_up_forever_keeps_the_call() -> None:
    wire, _ = to_a_name(ring_limit="20s")
    wire.later(21)
    assert wire.endpoint.calls == 0
    (ended,) = wire.events()
    assert isinstance(ended, Ended)
    assert ended.status == 408


def test_our_password_does_not_follow() -> None:
    wire, invite = placed(redirects=1)
    (_, again) = redirected(wire, invite, "<sip:a@10.0.0.2:5071>")
    challenge = 'WWW-Authenticate: Digest realm="x", nonce="1"\r\n'
    assert statuses(wire.send(reply(again, 401, more=challenge))) == ["ACK"]


def test_a_call_that_is_given_up_is_not_redirected() -> None:
    wire, invite = placed(redirects=1)
    wire.send(reply(invite, 100, tag=""))
    wire.endpoint.hang_up(1, wire.now)
    wire.sent()
    assert statuses(redirected(wire, invite, "<sip:a@10.0.0.2:5071>")) == ["ACK"]
    wire.later(70)
    assert wire.endpoint.calls == 0


def test_of_a_forked_call_one_answer_is_kept() -> None:
    wire, invite = placed()
    contact = "Contact: <sip:desk@10.0.0.2:5070>\r\n"
    assert statuses(wire.send(reply(invite, 200, tag="one", more=contact, body=SDP))) == ["ACK"]
    ack, bye = wire.send(reply(invite, 200, tag="two", more=contact, body=SDP))
    assert statuses([ack, bye]) == ["ACK", "BYE"]
    assert {message.to.tag for message in (ack, bye)} == {"two"}
    assert [type(event) for event in wire.events()] == [Answered]


def test_each_phone_that_rings_is_told_apart() -> None:
    wire, invite = placed()
    assert "199" in invite.all("Supported")
    for tag, status in (("one", 180), ("two", 183), ("two", 199)):
        wire.send(reply(invite, status, tag=tag))
    told = [(event.phone, event.status) for event in wire.events() if isinstance(event, Ringing)]
    assert told == [("one", 180), ("two", 183), ("two", 199)]
    wire.send(reply(invite, 200, tag="one", more="Contact: <sip:desk@10.0.0.2:5070>\r\n", body=SDP))
    (answered,) = wire.events()
    assert isinstance(answered, Answered)
    assert answered.phone == "one"
