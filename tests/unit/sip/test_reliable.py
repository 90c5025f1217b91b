"""Reliable provisional responses (RFC 3262): the called side first, then the calling side."""

from __future__ import annotations

import pytest

from gateway.sip.events import Answered, Confirmed, Ended, Reconfirmed, Reoffered, Ringing
from gateway.sip.message import Message, Request
from tests.unit.sip.wire import SDP, Wire, reply, request, statuses

KNOWS, REQUIRES = "Supported: 100rel\r\n", "Require: 100rel\r\n"
CONTACT = "Contact: <sip:desk@10.0.0.2:5070>\r\n"


def ringing(
    wire: Wire, more: str = KNOWS, *, offer: bytes = SDP, status: int = 183, sdp: bytes | None = SDP
) -> Message:
    """A call comes in and rings; returns the provisional response."""
    wire.invite(sdp=offer, more=more)
    wire.events()
    wire.endpoint.ring(1, wire.now, status, sdp)
    (provisional,) = wire.sent()
    return provisional


def prack(wire: Wire, provisional: Message, cseq: str = "2", *, rack: str = "", body: bytes = b"") -> list[Message]:
    rack = rack or f"{provisional.get('RSeq')} 1 INVITE"
    to = provisional.get("To") or ""
    return wire.send(request("PRACK", to=to, cseq=cseq, branch=f"p{cseq}", more=f"RAck: {rack}\r\n", body=body))


def number(message: Message) -> int:
    return int(message.get("RSeq") or 0)


@pytest.mark.parametrize(
    ("more", "status", "sdp", "reliable"),
    [
        (KNOWS, 183, SDP, True),
        (KNOWS, 180, None, False),
        (REQUIRES, 180, None, True),
        ("", 183, SDP, False),
    ],
)
def test_which_responses_are_reliable(more: str, status: int, sdp: bytes | None, reliable: bool) -> None:
    provisional = ringing(Wire(), more, status=status, sdp=sdp)
    assert ("100rel" in provisional.all("Require")) is reliable
    assert (0 < number(provisional) < 1 << 31) is reliable


def test_it_is_repeated_until_its_prack() -> None:
    wire = Wire()
    provisional = ringing(wire)
    assert statuses(wire.later(0.5)) == [183]
    assert statuses(wire.later(1)) == [183]
    assert statuses(prack(wire, provisional)) == [200]
    assert wire.later(100) == []
    assert statuses(prack(wire, provisional, "3")) == [481]


def test_without_a_prack_the_call_is_given_up() -> None:
    """T1 doubling without a cap, 64*T1, then a 5xx."""
    wire = Wire()
    ringing(wire)
    sent = statuses(wire.later(32))
    assert sent[:6] == [183] * 6
    assert sent[6] == 504
    assert wire.events() == [Ended(1, "network", 504, "no PRACK (RFC 3262 3)")]
    assert wire.endpoint.calls == 0


@pytest.mark.parametrize("rack", ["", "1 1 INVITE", "{0} 2 INVITE", "{0} 1 BYE", "x y z", "{0} 1"])
def test_a_prack_that_matches_nothing(rack: str) -> None:
    wire = Wire()
    provisional = ringing(wire)
    to = provisional.get("To") or ""
    more = f"RAck: {rack.format(provisional.get('RSeq'))}\r\n" if rack else ""
    assert statuses(wire.send(request("PRACK", to=to, cseq="2", branch="p", more=more))) == [481]


def test_the_next_one_waits_for_the_prack_of_the_first() -> None:
    wire = Wire()
    first = ringing(wire, REQUIRES, status=180, sdp=None)
    wire.endpoint.ring(1, wire.now, 183, SDP)
    assert wire.sent() == []
    second, ok = sorted(prack(wire, first), key=lambda message: message.status)  # type: ignore[attr-defined]
    assert statuses([second, ok]) == [183, 200]
    assert number(second) == number(first) + 1
    assert ok.cseq.method == "PRACK"


def test_the_answer_waits_while_early_media_is_not_acknowledged() -> None:
    wire = Wire()
    provisional = ringing(wire)
    wire.endpoint.answer(1, SDP, wire.now)
    assert wire.sent() == []
    to_prack, to_invite = prack(wire, provisional)
    assert (to_prack.cseq.method, to_invite.cseq.method) == ("PRACK", "INVITE")
    assert statuses([to_prack, to_invite]) == [200, 200]
    wire.send(request("ACK", to=to_invite.get("To") or "", branch="a"))
    assert wire.events() == [Confirmed(1, None)]


def test_the_answer_does_not_wait_for_mere_ringing() -> None:
    wire = Wire()
    ringing(wire, REQUIRES, status=180, sdp=None)
    wire.endpoint.answer(1, SDP, wire.now)
    assert statuses(wire.sent()) == [200]
    assert 180 not in statuses(wire.later(30))


def test_an_offer_in_the_prack_is_answered_in_its_200() -> None:
    wire = Wire()
    provisional = ringing(wire)
    assert prack(wire, provisional, body=SDP) == []
    assert wire.events() == [Reoffered(1, SDP)]
    wire.endpoint.answer(1, b"again", wire.now)
    (ok,) = wire.sent()
    assert (ok.cseq.method, ok.body) == ("PRACK", b"again")


def test_our_offer_in_a_183_is_answered_in_the_prack() -> None:
    """A late offer, RFC 3262 5."""
    wire = Wire()
    provisional = ringing(wire, offer=b"")
    assert statuses(prack(wire, provisional, body=b"answer")) == [200]
    assert wire.events() == [Reconfirmed(1, b"answer")]


def test_update_while_it_rings_once_the_offer_is_answered() -> None:
    wire = Wire()
    provisional = ringing(wire)
    to = provisional.get("To") or ""
    assert statuses(wire.send(request("UPDATE", to=to, cseq="2", branch="u2", body=SDP))) == [500]
    prack(wire, provisional, "3")
    assert wire.send(request("UPDATE", to=to, cseq="4", branch="u4", body=SDP)) == []
    wire.endpoint.answer(1, b"new", wire.now)
    (ok,) = wire.sent()
    assert (ok.cseq.method, ok.body) == ("UPDATE", b"new")
    wire.endpoint.answer(1, SDP, wire.now)
    assert [message.cseq.method for message in wire.sent()] == ["INVITE"]


@pytest.mark.parametrize("method", ["BYE", "CANCEL"])
def test_an_end_stops_the_repetition(method: str) -> None:
    wire = Wire()
    provisional = ringing(wire)
    to = provisional.get("To") or "" if method == "BYE" else "<sip:pizza@10.0.0.1>"
    branch, cseq = ("b", "2") if method == "BYE" else ("one", "1")
    sent = wire.send(request(method, to=to, cseq=cseq, branch=branch))
    assert statuses(sent) == [200, 487]
    assert 183 not in statuses(wire.later(60))
    assert wire.endpoint.next_timer() is None


def test_it_can_be_turned_off() -> None:
    wire = Wire(reliable_provisional=False)
    assert statuses(wire.invite(more=REQUIRES)) == [420]
    assert ringing(Wire(reliable_provisional=False)).get("RSeq") is None


# -- the calling side --------------------------------------------------------------------------------------------------


def placed(wire: Wire) -> Request:
    wire.endpoint.invite("sip:bob@10.0.0.2:5070", SDP, wire.now, caller="alice")
    (invite,) = wire.sent()
    assert isinstance(invite, Request)
    return invite


def provisional(invite: Request, rseq: int | str, status: int = 183, **changes: object) -> bytes:
    more = f"{REQUIRES}RSeq: {rseq}\r\n{CONTACT}"
    return reply(invite, status, more=more, body=b"early", **changes)  # type: ignore[arg-type]


def test_we_acknowledge_in_order_and_count_on() -> None:
    wire = Wire()
    invite = placed(wire)
    assert "100rel" in invite.all("Supported")
    (first,) = wire.send(provisional(invite, 7))
    assert isinstance(first, Request)
    assert (first.method, first.uri, first.to.tag) == ("PRACK", "sip:desk@10.0.0.2:5070", "7")
    assert (first.get("RAck"), first.get("CSeq")) == ("7 1 INVITE", "2 PRACK")
    assert wire.send(provisional(invite, 7)) == []  # again
    assert wire.send(provisional(invite, 9)) == []  # 8 is missing
    (second,) = wire.send(provisional(invite, 8))
    assert (second.get("RAck"), second.get("CSeq")) == ("8 1 INVITE", "3 PRACK")
    assert wire.events() == [Ringing(1, 183, b"early")] * 2
    (ack,) = wire.send(reply(invite, 200, more=CONTACT))
    assert ack.get("CSeq") == "1 ACK"
    wire.endpoint.hang_up(1, wire.now)
    assert [message.get("CSeq") for message in wire.sent()] == ["4 BYE"]
    assert wire.events()[0] == Answered(1, None)


def test_each_phone_has_its_own_numbers() -> None:
    wire = Wire()
    invite = placed(wire)
    (one,) = wire.send(provisional(invite, 7, tag="one"))
    (two,) = wire.send(provisional(invite, 100, tag="two"))
    assert [(message.to.tag, message.get("RAck")) for message in (one, two)] == [
        ("one", "7 1 INVITE"), ("two", "100 1 INVITE"),
    ]  # fmt: skip


@pytest.mark.parametrize("rseq", ["", "x", "-1", "99999999999"])
def test_a_malformed_number_is_not_acknowledged(rseq: str) -> None:
    wire = Wire()
    assert wire.send(provisional(placed(wire), rseq)) == []


def test_a_call_given_up_acknowledges_and_cancels() -> None:
    wire = Wire()
    invite = placed(wire)
    wire.endpoint.hang_up(1, wire.now)
    assert statuses(wire.send(provisional(invite, 1))) == ["PRACK", "CANCEL"]


def test_option_tags_are_read_whatever_their_capitals() -> None:
    """RFC 3261 7.3.1: tokens ignore case."""
    wire = Wire()
    wire.invite(more="Require: 100Rel\r\nSupported: TIMER\r\nSession-Expires: 1800\r\n")
    wire.endpoint.ring(1, wire.now)
    (ringing,) = wire.sent()
    assert ringing.get("Require") == "100rel"
    assert ringing.get("RSeq")
