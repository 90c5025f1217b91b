"""Redirects of calls that we place (RFC 3261 8.1.3.4), and forked answers (13.2.2.4)."""

from __future__ import annotations

import pytest

from gateway.sip.auth import Credentials
from gateway.sip.events import Answered, Ended, Ringing
from gateway.sip.message import Message, Request
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
    assert wire.events() == [Answered(1, SDP)]


@pytest.mark.parametrize(
    ("contact", "allowed", "followed"),
    [
        ("<sip:b@10.0.0.2>", [], True),
        ("<sip:b@192.0.2.7>", [], False),
        ("<sip:b@192.0.2.7>", ["192.0.2.*"], True),
        ("<sip:b@192.0.2.7>", ["203.0.113.*"], False),
        ("<sip:b@a.name.example>", ["*"], False),
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
    assert [type(event) for event in wire.events()] == [Ended]


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
