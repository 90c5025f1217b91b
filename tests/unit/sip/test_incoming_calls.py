"""Calls that come in, seen by the caller (RFC 3261 9.2, 13.3, 14.2, 15)."""

from __future__ import annotations

import pytest

from gateway.errors import MisuseError
from gateway.sip.events import Confirmed, Ended, Invited, Reconfirmed, Reoffered
from gateway.sip.flow import Flow
from gateway.sip.message import Request, Response
from tests.unit.sip.wire import SDP, THEM, US, Wire, reply, request, statuses


def test_an_invite_becomes_a_call_and_100_goes_out_at_once() -> None:
    wire = Wire()
    (trying,) = wire.invite(more="Timestamp: 54\r\nX-Customer: 7\r\n", uri="sip:%70izza%00;x=1@10.0.0.1;user=phone")
    assert isinstance(trying, Response)
    assert (trying.status, trying.to.tag, trying.get("Timestamp")) == (100, "", "54")
    (told,) = wire.events()
    assert isinstance(told, Invited)
    assert (told.call, told.call_id, told.caller, told.called, told.sdp) == (1, "abc", "alice", "pizza%00;x=1", SDP)
    assert told.request.get("x-customer") == "7"
    assert told.flow.remote == THEM


def test_ringing_then_answered() -> None:
    wire = Wire()
    wire.invite(more="Record-Route: <sip:p2;lr>,<sip:p1;lr>\r\nRecord-Route: <sip:p0;lr>\r\n")
    wire.endpoint.ring(1, wire.now)
    wire.endpoint.ring(1, wire.now, 183, b"early")
    wire.endpoint.answer(1, b"answer", wire.now)
    ringing, progress, ok = wire.sent()
    assert statuses([ringing, progress, ok]) == [180, 183, 200]
    assert (ringing.sdp, progress.sdp, ok.sdp) == (None, b"early", b"answer")
    assert ringing.to.tag == ok.to.tag != ""
    for response in (ringing, ok):
        assert response.all("Record-Route") == ["<sip:p2;lr>", "<sip:p1;lr>", "<sip:p0;lr>"]
        assert response.contact is not None
        assert response.contact.uri_text == "sip:pizza@10.0.0.1:5060"


def test_the_advertised_address_is_what_others_see() -> None:
    wire = Wire(advertise="gw.example.com:5080")
    wire.invite()
    wire.endpoint.answer(1, SDP, wire.now)
    assert wire.sent()[-1].get("Contact") == "<sip:pizza@gw.example.com:5080>"
    assert Wire(advertise="2001:db8::1").endpoint is not None


def test_a_repeated_invite_gets_the_last_response_again() -> None:
    wire = Wire()
    wire.invite()
    assert statuses(wire.invite()) == [100]
    wire.endpoint.ring(1, wire.now)
    wire.sent()
    assert statuses(wire.invite()) == [180]
    wire.endpoint.answer(1, SDP, wire.now)
    wire.sent()
    assert wire.invite() == []  # the 200 repeats itself (RFC 6026 7.1)


def test_the_200_repeats_until_its_ack() -> None:
    wire = Wire()
    wire.invite()
    wire.endpoint.answer(1, SDP, wire.now)
    (ok,) = wire.sent()[-1:]
    assert statuses(wire.later(4)) == [200, 200, 200]
    wire.send(request("ACK", to=ok.get("To") or "", branch="ack", cseq="2"))
    assert not [event for event in wire.events() if isinstance(event, Confirmed)]  # the ACK of something else
    wire.send(request("ACK", to=ok.get("To") or "", branch="ack"))
    assert wire.events() == [Confirmed(1)]
    assert wire.send(request("ACK", to=ok.get("To") or "", branch="ack")) == []
    assert wire.later(30) == []
    assert wire.events() == []


def test_the_late_offer_is_answered_in_the_ack() -> None:
    wire = Wire()
    wire.invite(sdp=b"")
    (told,) = wire.events()
    assert isinstance(told, Invited)
    assert told.sdp is None
    wire.endpoint.answer(1, b"our offer", wire.now)
    ok = wire.sent()[-1]
    assert ok.sdp == b"our offer"
    wire.send(request("ACK", to=ok.get("To") or "", branch="ack", body=b"their answer"))
    assert wire.events() == [Confirmed(1, b"their answer")]


def test_bye_from_the_caller() -> None:
    wire = Wire()
    ok = wire.established()
    bye = request(
        "BYE", to=ok.get("To") or "", cseq="2", branch="bye", more='Reason: Q.850;cause=16;text="bye, now"\r\n'
    )
    assert statuses(wire.send(bye)) == [200]
    assert wire.events() == [Ended(1, "remote", None, "bye, now")]
    assert statuses(wire.send(bye)) == [200]  # lost, and asked for again
    assert statuses(wire.send(request("BYE", to=ok.get("To") or "", cseq="3", branch="c"))) == [481]
    wire.later(64)
    assert (wire.endpoint.calls, wire.endpoint.transactions, wire.endpoint.next_timer()) == (0, 0, None)


@pytest.mark.parametrize(
    ("contact", "source", "goes_to"),
    [
        ("10.0.0.2:5070", ("203.0.113.7", 31000), ("203.0.113.7", 31000)),  # a telephone behind a NAT
        ("192.168.1.20", ("203.0.113.7", 31000), ("203.0.113.7", 31000)),
        ("198.51.100.9:5070", ("203.0.113.7", 31000), ("198.51.100.9", 5070)),
        ("10.0.0.2:5070", ("10.9.9.9", 31000), ("10.0.0.2", 5070)),  # both within one network
    ],
)
def test_a_contact_that_is_somewhere_inside_is_reached_where_its_call_came_from(
    contact: str, source: tuple[str, int], goes_to: tuple[str, int]
) -> None:
    wire = Wire()
    flow = Flow("udp", US, source)
    wire.send(request(body=SDP, contact=f"Contact: <sip:a@{contact}>\r\n", params=";rport"), flow)
    wire.endpoint.answer(1, SDP, wire.now)
    ok = wire.sent()[-1]
    wire.send(request("ACK", to=ok.get("To") or "", branch="ack"), flow)
    wire.endpoint.hang_up(1, wire.now, "enough")
    (bye,) = wire.endpoint.outgoing()
    assert bye.flow.remote == goes_to


@pytest.mark.parametrize(("asks", "told"), [("P-Early-Media: supported\r\n", "sendrecv"), ("", None)])
def test_a_network_that_gates_early_media_is_told_of_ours(asks: str, told: str | None) -> None:
    """RFC 5009: mobile networks let nothing through before the answer that was not asked for."""
    wire = Wire()
    wire.invite(more=asks)
    wire.endpoint.ring(1, wire.now)
    wire.endpoint.ring(1, wire.now, 183, SDP)
    assert [one.get("P-Early-Media") for one in wire.sent()] == [None, told]


def test_we_hang_up() -> None:
    wire = Wire()
    ok = wire.established()
    wire.endpoint.hang_up(1, wire.now, "closing time")
    (bye,) = wire.sent()
    assert isinstance(bye, Request)
    assert (bye.method, bye.uri) == ("BYE", "sip:alice@10.0.0.2:5070")
    assert (bye.from_.tag, bye.to.tag) == (ok.to.tag, "9")
    assert bye.get("Reason") == 'Q.850;cause=16;text="closing time"'
    assert wire.events() == [Ended(1, "local", None, "closing time")]
    assert statuses(wire.later(3.6)) == ["BYE"] * 3
    wire.send(reply(bye, 200))
    assert wire.endpoint.calls == 0
    assert wire.later(40) == []
    assert wire.endpoint.transactions == 0


def test_bye_waits_for_the_ack() -> None:
    """RFC 3261 15: the called side must not send BYE before the ACK of its 200."""
    wire = Wire()
    wire.invite()
    wire.endpoint.answer(1, SDP, wire.now)
    ok = wire.sent()[-1]
    wire.endpoint.hang_up(1, wire.now)
    assert wire.sent() == []
    assert statuses(wire.send(request("ACK", to=ok.get("To") or "", branch="ack"))) == ["BYE"]
    assert [type(event) for event in wire.events()] == [Invited, Ended]


def test_cancel() -> None:
    wire = Wire()
    wire.invite()
    wire.endpoint.ring(1, wire.now)
    ringing = wire.sent()[-1]
    ok, terminated = wire.send(request("CANCEL", more='Reason: SIP;cause=200;text="elsewhere"\r\n'))
    assert statuses([ok, terminated]) == [200, 487]
    assert ok.get("CSeq") == "1 CANCEL"
    assert ok.to.tag == terminated.to.tag == ringing.to.tag
    assert wire.events()[1:] == [Ended(1, "remote", 487, "elsewhere")]
    assert statuses(wire.later(1.6)) == [487, 487]
    assert wire.send(request("ACK", to=terminated.get("To") or "")) == []
    assert wire.later(40) == []
    wire.endpoint.answer(1, SDP, wire.now)  # decided too late: no error, no effect
    assert wire.sent() == []
    assert (wire.endpoint.calls, wire.endpoint.transactions) == (0, 0)


def test_cancel_after_the_200_has_no_effect() -> None:
    wire = Wire()
    wire.invite()
    wire.endpoint.answer(1, SDP, wire.now)
    wire.sent()
    assert statuses(wire.send(request("CANCEL"))) == [200]
    assert not [event for event in wire.events() if isinstance(event, Ended)]
    assert wire.endpoint.calls == 1


@pytest.mark.parametrize("verb", ["reject", "hang_up"])
def test_we_refuse(verb: str) -> None:
    wire = Wire()
    wire.invite()
    wire.events()
    if verb == "reject":
        wire.endpoint.reject(1, 486, "nobody is free", wire.now)
    else:
        wire.endpoint.hang_up(1, wire.now, "nobody is free")
    status = 486 if verb == "reject" else 487
    assert statuses(wire.sent()) == [status]
    assert wire.events() == [Ended(1, "local", status, "nobody is free")]
    assert wire.endpoint.calls == 0


def test_misuse_is_said() -> None:
    wire = Wire()
    wire.established()
    with pytest.raises(MisuseError):
        wire.endpoint.reject(1, 200, "", wire.now)
    with pytest.raises(MisuseError):
        wire.endpoint.invite("sip:host.example.com", SDP, wire.now, caller="a")
    with pytest.raises(MisuseError):
        wire.endpoint.invite("sip:10.0.0.2", SDP, wire.now, caller="a", headers=[("X", "a\r\nb")])
    with pytest.raises(MisuseError):
        wire.endpoint.invite("sip:10.0.0.2", SDP, wire.now, caller="a> b")
    wire.endpoint.hang_up(99, wire.now)
    assert wire.sent() == []


@pytest.mark.parametrize("host", ["gw.example.com", "[2001:db8::1]", "[fe80::1%eth0]:5062"])
def test_a_contact_that_our_socket_cannot_reach(host: str) -> None:
    """BYE goes where the INVITE came from."""
    wire = Wire()
    wire.invite(contact=f"Contact: <sip:alice@{host}>\r\n")
    wire.endpoint.answer(1, SDP, wire.now)
    ok = wire.sent()[-1]
    wire.send(request("ACK", to=ok.get("To") or "", branch="ack"))
    wire.endpoint.hang_up(1, wire.now)
    (bye,) = wire.endpoint.outgoing()
    assert bye.flow.remote == THEM
    assert bye.data.startswith(f"BYE sip:alice@{host} SIP/2.0".encode())


class TestReinvite:
    def test_is_honoured(self) -> None:
        wire = Wire()
        ok = wire.established()
        to = ok.get("To") or ""
        again = {"to": to, "cseq": "2", "branch": "re", "contact": "Contact: <sip:moved@10.0.0.3>\r\n"}
        assert statuses(wire.invite(**again)) == [100]
        assert wire.events() == [Reoffered(1, SDP)]
        wire.endpoint.answer(1, b"second answer", wire.now)
        (second,) = wire.sent()
        assert (second.sdp, second.to.tag) == (b"second answer", ok.to.tag)
        assert statuses(wire.later(0.6)) == [200]
        wire.send(request("ACK", to=to, cseq="2", branch="ack2"))
        assert wire.events() == [Reconfirmed(1)]
        wire.endpoint.hang_up(1, wire.now)
        (bye,) = wire.sent()
        assert isinstance(bye, Request)
        assert bye.uri == "sip:moved@10.0.0.3"

    def test_refused_leaves_the_call(self) -> None:
        wire = Wire()
        to = wire.established().get("To") or ""
        wire.invite(to=to, cseq="2", branch="re")
        wire.endpoint.reject(1, 488, "not now", wire.now, warning=305)
        assert statuses(wire.sent()) == [488]
        wire.send(request("ACK", to=to, cseq="2", branch="re"))
        assert wire.endpoint.calls == 1
        assert not [event for event in wire.events() if isinstance(event, Ended)]

    def test_cancelled_leaves_the_call(self) -> None:
        wire = Wire()
        to = wire.established().get("To") or ""
        wire.invite(to=to, cseq="2", branch="re")
        assert statuses(wire.send(request("CANCEL", to=to, cseq="2", branch="re"))) == [200, 487]
        assert wire.endpoint.calls == 1

    def test_waits_its_turn(self) -> None:
        """RFC 3261 14.2: 500 while the last one is open, with Retry-After."""
        wire = Wire()
        to = wire.established().get("To") or ""
        wire.invite(to=to, cseq="2", branch="re")
        (early,) = wire.invite(to=to, cseq="3", branch="re2")
        assert statuses([early]) == [500]
        assert 0 <= int(early.get("Retry-After") or "") <= 10
        wire.endpoint.answer(1, SDP, wire.now)
        wire.sent()
        assert statuses(wire.invite(to=to, cseq="4", branch="re3")) == [491]
        assert statuses(wire.send(request("BYE", to=to, cseq="5", branch="bye"))) == [200]

    def test_old_sequence_number(self) -> None:
        wire = Wire()
        to = wire.established().get("To") or ""
        assert statuses(wire.invite(to=to, cseq="0", branch="re")) == [500]

    def test_bye_ends_it_too(self) -> None:
        """RFC 3261 15.1.2: the pending INVITE gets 487."""
        wire = Wire()
        to = wire.established().get("To") or ""
        wire.invite(to=to, cseq="2", branch="re")
        assert statuses(wire.send(request("BYE", to=to, cseq="3", branch="bye"))) == [200, 487]


def test_options_within_a_dialog_and_a_dialog_of_others() -> None:
    wire = Wire()
    to = wire.established().get("To") or ""
    assert statuses(wire.send(request("OPTIONS", to=to, cseq="2", branch="o"))) == [200]
    assert statuses(wire.send(request("OPTIONS", to=to, cseq="3", branch="p", from_tag="other"))) == [481]
    assert statuses(wire.send(request("MESSAGE", to=to, cseq="4", branch="q"))) == [405]


def test_simultaneous_bye() -> None:
    wire = Wire()
    to = wire.established().get("To") or ""
    wire.endpoint.hang_up(1, wire.now)
    assert statuses(wire.sent()) == ["BYE"]
    assert statuses(wire.send(request("BYE", to=to, cseq="2", branch="b"))) == [200]
    assert len([event for event in wire.events() if isinstance(event, Ended)]) == 1


def test_a_peer_of_rfc_2543() -> None:
    """No branch cookie, no From tag: matched by the old fields (RFC 3261 17.2.3)."""
    wire = Wire()
    old = request(branch="", from_tag="").replace(b";branch=z9hG4bK", b"").replace(b";tag=", b"")
    assert statuses(wire.send(old)) == [100]
    assert statuses(wire.send(old)) == [100]
    wire.endpoint.answer(1, SDP, wire.now)
    ok = wire.sent()[-1]
    ack = old.replace(b"INVITE", b"ACK").replace(b"<sip:pizza@10.0.0.1>", (ok.get("To") or "").encode())
    wire.send(ack)
    assert [type(event) for event in wire.events()] == [Invited, Confirmed]


@pytest.mark.parametrize(
    ("call_id", "told"), [(b"a\xffb", "a?b"), (b"a\\\x1b[2Jb", "a\\?[2Jb"), (b"a\xc2\x9bb", "a?b")]
)
def test_a_call_id_is_told_printable(call_id: bytes, told: str) -> None:
    wire = Wire()
    wire.send(request(body=SDP).replace(b"Call-ID: abc", b"Call-ID: " + call_id))
    (invited,) = wire.events()
    assert isinstance(invited, Invited)
    assert (invited.call_id, wire.endpoint.call_id(1)) == (told, told)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_refused_offer_does_not_move_the_target(method: str) -> None:
    """RFC 6141 3.4."""
    wire = Wire()
    ok = wire.established()
    moved = "Contact: <sip:elsewhere@10.0.0.3>\r\n"
    wire.send(request(method, to=ok.get("To") or "", cseq="2", branch="two", body=SDP, contact=moved))
    wire.endpoint.reject(1, 488, "no codec", wire.now)
    wire.endpoint.hang_up(1, wire.now)
    bye = wire.sent()[-1]
    assert isinstance(bye, Request)
    assert (bye.method, bye.uri) == ("BYE", "sip:alice@10.0.0.2:5070")


def test_what_rings_when_the_endpoint_closes_gets_503() -> None:
    wire = Wire()
    wire.invite()
    wire.endpoint.close(wire.now)
    assert statuses(wire.sent()) == [503]
    assert isinstance(wire.events()[-1], Ended)
