"""Our own offers within a call, and offers that come late (RFC 3264 8, RFC 3261 13.2.1 and 14, RFC 3311, RFC 5057)."""

from __future__ import annotations

import pytest

from gateway.sdp import offer
from gateway.sip.events import Answered, Ended, OfferAnswered, OfferRefused, Reoffered
from gateway.sip.message import Message, Request
from tests.unit.sip.wire import SDP, Wire, reply, request, statuses

HOLD = offer(("10.0.0.1", 4000), 1, direction="sendonly")
CONTACT = "Contact: <sip:desk@10.0.0.2:5070>\r\nAllow: INVITE, UPDATE\r\n"


def called(**options: object) -> tuple[Wire, str]:
    """A call that came in and is up; its handle is 1."""
    wire = Wire(**options)
    return wire, wire.established().get("To") or ""


def calling(sdp: bytes = SDP, **options: object) -> tuple[Wire, Request]:
    """A call that we have placed, not answered yet; its handle is 1."""
    wire = Wire(**options)
    wire.endpoint.invite("sip:bob@10.0.0.2:5070", sdp, wire.now, caller="alice")
    (invite,) = wire.sent()
    assert isinstance(invite, Request)
    return wire, invite


def offered(wire: Wire, sdp: bytes = HOLD) -> Request:
    wire.endpoint.reoffer(1, sdp, wire.now)
    (sent,) = wire.sent()
    assert isinstance(sent, Request)
    return sent


def test_hold_is_a_reinvite_whose_2xx_is_acknowledged_each_time() -> None:
    wire, _ = called()
    invite = offered(wire)
    assert (invite.method, invite.sdp, invite.cseq.number) == ("INVITE", HOLD, 1)
    assert invite.contact is not None
    ok = reply(invite, 200, more=CONTACT, body=b"held")
    first, again = wire.send(ok), wire.send(ok)
    assert statuses(first) == statuses(again) == ["ACK"]
    assert wire.events() == [OfferAnswered(1, b"held")]


def test_what_comes_while_ours_is_under_way_is_a_glare() -> None:
    wire, to = called()
    offered(wire)
    assert statuses(wire.invite(to=to, cseq="2", branch="re")) == [491]
    assert statuses(wire.send(request("UPDATE", to=to, cseq="3", branch="u", body=SDP))) == [491]


@pytest.mark.parametrize(("owner", "soonest", "latest"), [(True, 2.09, 4.01), (False, 0, 2.01)])
def test_after_a_glare_each_side_waits_in_a_range_of_its_own(owner: bool, soonest: float, latest: float) -> None:
    """RFC 3261 14.1: 2.1 to 4 s for who has made the Call-ID, up to 2 s for the other."""
    if owner:
        wire, invite = calling()
        wire.send(reply(invite, 200, more=CONTACT, body=b"answer"))
    else:
        wire, _ = called()
    invite = offered(wire)
    assert statuses(wire.send(reply(invite, 491))) == ["ACK"]
    assert wire.later(soonest) == []
    again = wire.later(latest - soonest)[0]
    assert (again.cseq.number, again.sdp) == (invite.cseq.number + 1, HOLD)


def test_in_the_pause_after_a_glare_the_peers_offer_is_taken_and_ours_follows() -> None:
    wire, to = called()
    wire.send(reply(offered(wire), 491))
    wire.invite(to=to, cseq="2", branch="re")
    wire.endpoint.answer(1, SDP, wire.now)
    wire.sent()
    wire.send(request("ACK", to=to, cseq="2", branch="ack2"))
    assert statuses(wire.later(2.1))[0] == "INVITE"


def test_a_peer_that_never_gives_way_is_left_in_peace() -> None:
    wire, _ = called()
    wire.send(reply(offered(wire), 491))
    for _ in range(5):
        invite = wire.later(2.1)[-1]
        wire.send(reply(invite, 491))
    assert wire.later(3) == []
    assert wire.events() == [OfferRefused(1, 491, "Whatever")]


def test_a_busy_peer_is_asked_again_when_it_says() -> None:
    """RFC 3261 14.2: 500 with Retry-After."""
    wire, _ = called()
    wire.send(reply(offered(wire), 500, more="Retry-After: 3\r\n"))
    assert wire.later(2.9) == []
    assert statuses(wire.later(0.2)) == ["INVITE"]


@pytest.mark.parametrize("status", [403, 415, 488, 503, 603])
def test_a_refusal_leaves_the_session_as_it_was(status: int) -> None:
    wire, to = called()
    wire.send(reply(offered(wire), status))
    assert wire.events() == [OfferRefused(1, status, "Whatever")]
    assert statuses(wire.send(request("OPTIONS", to=to, cseq="2", branch="o"))) == [200]


@pytest.mark.parametrize("status", [404, 408, 410, 481, 482, 604])
def test_a_refusal_that_says_the_dialog_is_gone_ends_the_call(status: int) -> None:
    """RFC 5057 5.1."""
    wire, _ = called()
    assert statuses(wire.send(reply(offered(wire), status))) == ["ACK", "BYE"]
    (ended,) = wire.events()
    assert isinstance(ended, Ended)
    assert ended.by == "network"


def test_no_answer_at_all_ends_the_call() -> None:
    wire, _ = called()
    offered(wire)
    assert statuses(wire.later(32.5))[-1] == "BYE"
    assert [type(event) for event in wire.events()] == [Ended]


def test_an_offer_waits_for_what_is_open_and_the_last_one_counts() -> None:
    wire, to = called()
    wire.invite(to=to, cseq="2", branch="re")
    wire.endpoint.reoffer(1, b"first", wire.now)
    wire.endpoint.reoffer(1, HOLD, wire.now)
    wire.endpoint.answer(1, SDP, wire.now)
    assert statuses(wire.sent()) == [200]
    (invite,) = wire.send(request("ACK", to=to, cseq="2", branch="ack2"))
    assert invite.sdp == HOLD


def test_an_offer_for_a_call_that_rings_waits_for_its_ack() -> None:
    wire = Wire()
    wire.invite()
    wire.endpoint.reoffer(1, HOLD, wire.now)
    wire.endpoint.answer(1, SDP, wire.now)
    (ok,) = wire.sent()
    (invite,) = wire.send(request("ACK", to=ok.get("To") or "", branch="ack"))
    assert (statuses([invite]), invite.sdp) == (["INVITE"], HOLD)


def test_a_call_that_ends_with_our_offer_under_way_still_acknowledges() -> None:
    wire, to = called()
    invite = offered(wire)
    wire.send(request("BYE", to=to, cseq="2", branch="b"))
    assert statuses(wire.send(reply(invite, 200, more=CONTACT, body=b"late"))) == ["ACK"]
    assert [type(event) for event in wire.events()] == [Ended]
    wire.later(200)
    assert (wire.endpoint.calls, wire.endpoint.transactions, wire.endpoint.next_timer()) == (0, 0, None)


def test_a_peer_that_rings_for_a_reinvite_is_not_waited_for_without_end() -> None:
    wire, _ = called(ring_limit="60s", session_expires=None)
    wire.send(reply(offered(wire), 180))
    wire.later(61)
    assert wire.events() == [OfferRefused(1, 408, "")]


class TestLateOffers:
    def test_our_invite_without_an_offer_is_answered_in_the_ack(self) -> None:
        wire, invite = calling(sdp=b"")
        assert (invite.body, invite.get("Content-Type")) == (b"", None)
        assert "100rel" not in invite.all("Supported")
        ok = reply(invite, 200, more=CONTACT, body=b"their offer")
        assert wire.send(ok) == wire.send(ok) == []
        assert wire.events() == [Answered(1, b"their offer")]
        wire.endpoint.answer(1, b"our answer", wire.now)
        (ack,) = wire.sent()
        assert (statuses([ack]), ack.sdp, ack.get("CSeq")) == (["ACK"], b"our answer", "1 ACK")
        (again,) = wire.send(ok)
        assert again.sdp == b"our answer"

    def test_an_offer_that_is_not_answered_gets_ack_and_bye(self) -> None:
        wire, invite = calling(sdp=b"")
        wire.send(reply(invite, 200, more=CONTACT, body=b"their offer"))
        wire.endpoint.hang_up(1, wire.now, "no common codec")
        assert statuses(wire.sent()) == ["ACK", "BYE"]

    def test_we_ask_for_an_offer_within_the_call(self) -> None:
        wire, _ = called()
        invite = offered(wire, b"")
        assert invite.sdp is None
        ok = reply(invite, 200, more=CONTACT, body=b"their offer")
        assert wire.send(ok) == []
        assert wire.events() == [Reoffered(1, b"their offer")]
        assert statuses(wire.invite(to=invite.get("From") or "", cseq="2", branch="re")) == [491]
        wire.endpoint.answer(1, b"our answer", wire.now)
        (ack,) = wire.sent()
        assert (statuses([ack]), ack.sdp) == (["ACK"], b"our answer")


class TestWhileItRings:
    def early(self) -> tuple[Wire, Request, Message]:
        wire, invite = calling()
        more = CONTACT + "Require: 100rel\r\nRSeq: 1\r\n"
        (prack,) = wire.send(reply(invite, 183, more=more, body=b"early"))
        wire.send(reply(prack, 200))
        wire.events()
        return wire, invite, prack

    def test_we_hold_by_update(self) -> None:
        wire, invite, _ = self.early()
        update = offered(wire)
        assert (update.method, update.cseq.number) == ("UPDATE", 3)
        wire.send(reply(update, 200, more=CONTACT, body=b"held"))
        assert wire.events() == [OfferAnswered(1, b"held")]
        assert statuses(wire.send(reply(invite, 200, more=CONTACT, body=b"early"))) == ["ACK"]

    def test_the_phone_that_rings_may_make_an_offer(self) -> None:
        wire, invite, prack = self.early()
        to, tag = invite.get("From") or "", "7"
        update = request("UPDATE", to=to, from_tag=tag, call_id=invite.call_id, cseq="20", branch="u", body=b"v=0 new")
        assert wire.send(update) == []
        assert wire.events() == [Reoffered(1, b"v=0 new")]
        wire.endpoint.answer(1, b"v=0 ours", wire.now)
        (ok,) = wire.sent()
        assert (statuses([ok]), ok.sdp) == ([200], b"v=0 ours")
        assert prack.cseq.number == 2

    def test_before_the_answer_it_waits(self) -> None:
        wire, invite = calling()
        wire.send(reply(invite, 180, more=CONTACT))
        wire.endpoint.reoffer(1, HOLD, wire.now)
        assert wire.sent() == []
        sent = wire.send(reply(invite, 200, more=CONTACT, body=b"answer"))
        assert statuses(sent) == ["ACK", "INVITE"]
