"""Calls that we place, seen by the called side (RFC 3261 9.1, 13.2, 17.1.1)."""

from __future__ import annotations

import pytest

from gateway.errors import ResourceError
from gateway.sip.events import Answered, ByeFailed, Ended, Pinged, Ringing
from gateway.sip.message import Request
from tests.unit.sip.wire import SDP, Wire, reply, request, statuses

CONTACT = "Contact: <sip:desk@10.0.0.2:5070>\r\n"


def placed(wire: Wire, **options: object) -> Request:
    wire.endpoint.invite("sip:bob@10.0.0.2:5070", SDP, wire.now, caller="alice", **options)  # type: ignore[arg-type]
    (invite,) = wire.sent()
    assert isinstance(invite, Request)
    return invite


def test_the_invite() -> None:
    invite = placed(Wire(), headers=[("X-Campaign", "9")])
    assert (invite.uri, invite.cseq.number, invite.sdp) == ("sip:bob@10.0.0.2:5070", 1, SDP)
    assert invite.via.branch.startswith("z9hG4bK")
    assert "rport" in invite.via.parameters
    assert invite.from_.uri_text == "sip:alice@10.0.0.1"
    assert invite.contact is not None
    assert invite.contact.uri_text == "sip:alice@10.0.0.1:5060"
    assert invite.get("X-Campaign") == "9"
    assert invite.get("Max-Forwards") == "70"


def test_ringing_answered_and_hung_up_through_proxies() -> None:
    wire = Wire()
    invite = placed(wire)
    wire.send(reply(invite, 100, tag=""))
    wire.send(reply(invite, 183, body=b"early", more=CONTACT))
    routes = "Record-Route: <sip:10.0.0.8;lr>, <sip:10.0.0.9:5090;lr>\r\n"
    wire.endpoint.receive(reply(invite, 200, body=b"answer", more=CONTACT + routes), wire.flow, wire.now)
    (datagram,) = wire.endpoint.outgoing()
    assert datagram.flow.remote == ("10.0.0.9", 5090)
    assert datagram.data.startswith(b"ACK sip:desk@10.0.0.2:5070 SIP/2.0\r\n")
    assert b"Route: <sip:10.0.0.9:5090;lr>\r\nRoute: <sip:10.0.0.8;lr>\r\n" in datagram.data
    assert b"CSeq: 1 ACK\r\n" in datagram.data
    assert wire.events() == [Ringing(1, 183, b"early"), Answered(1, b"answer")]
    wire.endpoint.hang_up(1, wire.now)
    (bye,) = wire.sent()
    assert bye.get("CSeq") == "2 BYE"


def test_a_strict_router() -> None:
    """RFC 3261 12.2.1.1: it stands in the Request-URI, the target at the end of Route."""
    wire = Wire()
    invite = placed(wire)
    (ack,) = wire.send(reply(invite, 200, more=CONTACT + "Record-Route: <sip:10.0.0.9>\r\n"))
    assert isinstance(ack, Request)
    assert ack.uri == "sip:10.0.0.9"
    assert ack.all("Route") == ["<sip:desk@10.0.0.2:5070>"]


def test_every_200_is_acknowledged() -> None:
    wire = Wire()
    invite = placed(wire)
    ok = reply(invite, 200, more=CONTACT)
    assert statuses(wire.send(ok)) == ["ACK"]
    assert statuses(wire.send(ok)) == ["ACK"]
    assert wire.events() == [Answered(1, None)]


def test_a_second_phone_that_answers_is_dismissed() -> None:
    """RFC 3261 13.2.2.4: ACK, then BYE."""
    wire = Wire()
    invite = placed(wire)
    wire.send(reply(invite, 200, more=CONTACT, tag="one"))
    ack, bye = wire.send(reply(invite, 200, more=CONTACT, tag="two"))
    assert statuses([ack, bye]) == ["ACK", "BYE"]
    assert ack.to.tag == bye.to.tag == "two"
    assert wire.events() == [Answered(1, None)]


def test_refused() -> None:
    wire = Wire()
    invite = placed(wire)
    (ack,) = wire.send(reply(invite, 486))
    assert isinstance(ack, Request)
    assert ack.uri == invite.uri
    assert ack.get("Via") == invite.get("Via")
    assert (ack.to.tag, ack.get("CSeq")) == ("7", "1 ACK")
    assert wire.events() == [Ended(1, "remote", 486, "Whatever")]
    assert statuses(wire.send(reply(invite, 486))) == ["ACK"]
    wire.later(33)
    assert (wire.endpoint.calls, wire.endpoint.transactions) == (0, 0)


def test_cancel_waits_for_a_provisional_response() -> None:
    wire = Wire()
    invite = placed(wire)
    wire.endpoint.hang_up(1, wire.now, "changed my mind")
    assert wire.sent() == []
    assert wire.events() == [Ended(1, "local", None, "changed my mind")]
    (cancel,) = wire.send(reply(invite, 180))
    assert isinstance(cancel, Request)
    assert (cancel.method, cancel.uri) == ("CANCEL", invite.uri)
    for name in ("Via", "From", "To", "Call-ID"):
        assert cancel.get(name) == invite.get(name)
    assert cancel.get("CSeq") == "1 CANCEL"
    wire.send(reply(cancel, 200))
    assert statuses(wire.send(reply(invite, 487))) == ["ACK"]
    assert wire.endpoint.calls == 0


def test_a_call_that_nobody_has_answered_holds_nothing_that_could_be_refused() -> None:
    wire = Wire()
    placed(wire)
    wire.endpoint.reject(1, 486, "busy", wire.now)
    assert (wire.sent(), wire.events(), wire.endpoint.calls) == ([], [], 1)


def test_cancel_and_200_cross() -> None:
    wire = Wire()
    invite = placed(wire)
    wire.send(reply(invite, 180))
    wire.endpoint.hang_up(1, wire.now)
    assert statuses(wire.sent()) == ["CANCEL"]
    ack, bye = wire.send(reply(invite, 200, more=CONTACT))
    assert statuses([ack, bye]) == ["ACK", "BYE"]
    wire.send(reply(bye, 200))
    assert wire.endpoint.calls == 0
    assert [type(event) for event in wire.events()] == [Ringing, Ended]


def test_cancel_is_answered_but_the_invite_never_is() -> None:
    """RFC 3261 9.1: given up after 64*T1."""
    wire = Wire()
    invite = placed(wire)
    wire.send(reply(invite, 180))
    wire.endpoint.hang_up(1, wire.now)
    (cancel,) = wire.sent()
    wire.send(reply(cancel, 200))
    assert wire.endpoint.calls == 1
    wire.later(32)
    assert (wire.endpoint.calls, wire.endpoint.transactions, wire.endpoint.next_timer()) == (0, 0, None)
    assert wire.send(reply(invite, 200, more=CONTACT)) == []


def test_nobody_picks_up() -> None:
    wire = Wire(ring_limit="20s")
    invite = placed(wire)
    wire.send(reply(invite, 180))
    assert statuses(wire.later(20)) == ["CANCEL"]
    assert wire.events()[-1] == Ended(1, "local", 408, "not answered in time")


def test_the_called_side_hangs_up() -> None:
    wire = Wire()
    invite = placed(wire)
    wire.send(reply(invite, 200, more=CONTACT))
    to = invite.get("From") or ""
    bye = request("BYE", to=to, from_tag="7", call_id=invite.call_id, branch="x")
    assert statuses(wire.send(bye)) == [200]
    assert wire.events()[-1] == Ended(1, "remote", None, "")


def test_responses_that_are_not_ours_are_ignored() -> None:
    wire = Wire()
    invite = placed(wire)
    two_vias = reply(invite, 200, more="Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKx\r\n" + CONTACT)
    assert wire.send(two_vias) == []
    other = reply(invite, 200, more=CONTACT).replace(invite.via.branch.encode(), b"z9hG4bKother")
    assert wire.send(other) == []
    assert wire.send(reply(invite, 200, cseq="1 BYE", more=CONTACT)) == []


@pytest.mark.parametrize("status", [200, 404, None])
def test_options_ping(status: int | None) -> None:
    wire = Wire()
    wire.endpoint.options_ping("sip:10.0.0.2", wire.now)
    (ping,) = wire.sent()
    if status is None:
        assert statuses(wire.later(32)) == ["OPTIONS"] * 10
    else:
        wire.send(reply(ping, status))
    assert wire.events() == [Pinged("sip:10.0.0.2", status)]


def test_no_call_beyond_the_limit_or_while_closing() -> None:
    wire = Wire(max_calls=1)
    placed(wire)
    with pytest.raises(ResourceError):
        wire.endpoint.invite("sip:10.0.0.2", SDP, wire.now, caller="a")
    closing = Wire()
    closing.endpoint.close(closing.now)
    with pytest.raises(ResourceError):
        closing.endpoint.invite("sip:10.0.0.2", SDP, closing.now, caller="a")


def test_an_answer_that_does_not_say_what_its_body_is() -> None:
    """As a large vendor has sent it: what can it be but a session description?"""
    wire = Wire()
    invite = placed(wire)
    ok = reply(invite, 200, more=CONTACT, body=SDP).replace(b"Content-Type: application/sdp\r\n", b"")
    assert statuses(wire.send(ok)) == ["ACK"]
    (answered,) = wire.events()
    assert isinstance(answered, Answered)
    assert answered.sdp == SDP


def test_there_is_nothing_to_refuse_in_a_call_that_we_place() -> None:
    wire = Wire()
    placed(wire)
    wire.endpoint.reject(1, 486, "busy", wire.now)
    assert wire.sent() == wire.events() == []


@pytest.mark.parametrize(("status", "told"), [(200, None), (481, None), (500, 500), (None, None)])
def test_a_bye_that_is_not_taken_is_told_and_ends_the_call_nevertheless(status: int | None, told: int | None) -> None:
    wire = Wire()
    invite = placed(wire)
    wire.send(reply(invite, 200, body=SDP, more=CONTACT))
    wire.endpoint.hang_up(1, wire.now)
    (bye,) = wire.sent()
    wire.events()
    if status is None:
        wire.later(32)
    else:
        wire.send(reply(bye, status))
    failed = [event for event in wire.events() if isinstance(event, ByeFailed)]
    expected = status in (500, None)
    assert [(one.call_id, one.peer, one.status) for one in failed] == (
        [(invite.call_id, ("10.0.0.2", 5070), told)] if expected else []
    )
    assert wire.endpoint.calls == 0
