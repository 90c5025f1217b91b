"""Session timers (RFC 4028), seen by the peer, with time simulated."""

from __future__ import annotations

import pytest

from gateway.sip.events import Ended, Refreshed
from gateway.sip.message import Message, Request
from tests.unit.sip.wire import SDP, Wire, reply, request, statuses

KNOWS = "Supported: timer\r\n"
UPDATES = "Allow: INVITE, ACK, BYE, UPDATE\r\n"
CONTACT = "Contact: <sip:desk@10.0.0.2:5070>\r\n"


def called(wire: Wire, more: str) -> Message:
    """A call comes in and is answered; returns the 200. Its handle is 1."""
    wire.invite(more=more)
    wire.endpoint.answer(1, SDP, wire.now)
    ok = wire.sent()[-1]
    wire.send(request("ACK", to=ok.get("To") or "", branch="ack"))
    wire.events()
    return ok


def calling(wire: Wire, more: str) -> tuple[Request, Message]:
    """We place a call, and the 200 carries ``more``; returns INVITE and ACK."""
    wire.endpoint.invite("sip:bob@10.0.0.2:5070", SDP, wire.now, caller="alice")
    (invite,) = wire.sent()
    assert isinstance(invite, Request)
    (ack,) = wire.send(reply(invite, 200, more=CONTACT + more, body=b"answer"))
    wire.events()
    return invite, ack


def silence(wire: Wire, seconds: float) -> None:
    """Nothing happens until then: what our 200 still repeats is not looked at."""
    assert statuses(wire.later(seconds)) == []


@pytest.mark.parametrize(
    ("more", "expires", "require"),
    [
        (KNOWS, "1800;refresher=uas", None),
        (KNOWS + "Session-Expires: 600\r\n", "600;refresher=uas", None),
        (KNOWS + "x: 600;refresher=uac\r\n", "600;refresher=uac", "timer"),
        (KNOWS + "Session-Expires: 7200;refresher=uas\r\n", "1800;refresher=uas", None),
        (KNOWS + "Session-Expires: 4000\r\nMin-SE: 3600\r\n", "3600;refresher=uas", None),
        ("Require: timer\r\nSession-Expires: 600\r\n", "600;refresher=uas", None),
        ("Session-Expires: 600\r\n", "600;refresher=uas", None),
        ("Session-Expires: 5\r\n", "90;refresher=uas", None),
        ("", None, None),
    ],
)
def test_what_our_200_says(more: str, expires: str | None, require: str | None) -> None:
    ok = called(Wire(), more)
    assert (ok.get("Session-Expires"), ok.get("Require")) == (expires, require)


def test_the_peer_may_be_made_the_refresher() -> None:
    ok = called(Wire(session_refresher="them"), KNOWS)
    assert (ok.get("Session-Expires"), ok.get("Require")) == ("1800;refresher=uac", "timer")


def test_a_small_interval_is_refused_with_ours() -> None:
    wire = Wire(min_session_expires="5m")
    sent = wire.invite(more=KNOWS + "Session-Expires: 120\r\n")
    assert statuses(sent) == [422]
    assert sent[0].get("Min-SE") == "300"
    assert wire.endpoint.calls == 0


@pytest.mark.parametrize("value", ["soon", "-1", "600;refresher", "600;=", "9999999999", ""])
def test_a_malformed_interval_is_refused_or_read_as_far_as_it_goes(value: str) -> None:
    (answer,) = statuses(Wire().invite(more=f"{KNOWS}Session-Expires: {value}\r\n"))
    assert answer in (100, 400)


def test_session_timers_can_be_turned_off() -> None:
    wire = Wire(session_expires=None)
    ok = called(wire, KNOWS + "Session-Expires: 600\r\n")
    assert ok.get("Session-Expires") is None
    assert "timer" not in (ok.get("Supported") or "")
    invite, _ = calling(wire, "")
    assert invite.get("Session-Expires") is None
    wire.later(40)
    assert wire.endpoint.next_timer() is None


def test_we_refresh_by_update_at_half_of_the_interval() -> None:
    wire = Wire()
    called(wire, KNOWS + UPDATES + "Session-Expires: 600\r\n")
    silence(wire, 299)
    (update,) = wire.later(1)
    assert isinstance(update, Request)
    assert (update.method, update.body, update.get("Session-Expires")) == ("UPDATE", b"", "600;refresher=uac")
    assert update.contact is not None
    wire.send(reply(update, 200, more="Session-Expires: 600;refresher=uac\r\n"))
    silence(wire, 299)
    assert statuses(wire.later(1)) == ["UPDATE"]
    assert wire.events() == []


def test_we_refresh_by_reinvite_where_update_is_not_allowed() -> None:
    wire = Wire()
    invite, _ = calling(wire, "Session-Expires: 600;refresher=uac\r\n")
    assert invite.get("Session-Expires") == "1800;refresher=uac"
    assert "timer" in invite.all("Supported")
    (again,) = wire.later(300)
    assert (again.cseq.method, again.cseq.number, again.body) == ("INVITE", 2, SDP)  # type: ignore[attr-defined]
    ok = reply(again, 200, more=CONTACT + "Session-Expires: 600;refresher=uac\r\n", body=b"answer")
    for _ in range(2):  # every 200 is acknowledged
        (ack,) = wire.send(ok)
        assert (ack.get("CSeq"), ack.to.tag) == ("2 ACK", "7")
    assert wire.events() == []


def test_an_answer_that_differs_is_told() -> None:
    wire = Wire()
    calling(wire, "Session-Expires: 600;refresher=uac\r\n")
    (again,) = wire.later(300)
    wire.send(reply(again, 200, more=CONTACT + "Session-Expires: 600\r\n", body=b"moved"))
    assert wire.events() == [Refreshed(1, b"moved")]


def test_a_session_that_the_peer_does_not_refresh_ends_before_it_expires() -> None:
    """RFC 4028 10: the smaller of 32 s and a third of the interval before."""
    wire = Wire()
    called(wire, KNOWS + "Session-Expires: 600;refresher=uac\r\n")
    silence(wire, 567)
    (bye,) = wire.later(1)
    assert bye.cseq.method == "BYE"
    assert wire.events() == [Ended(1, "network", None, "session expired (RFC 4028 10)")]
    wire.send(reply(bye, 200))
    assert (wire.endpoint.calls, wire.endpoint.transactions) == (0, 1)  # timer K
    assert wire.later(40) == []
    assert wire.endpoint.next_timer() is None


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_a_refresh_by_the_peer_keeps_the_session(method: str) -> None:
    wire = Wire()
    ok = called(wire, KNOWS + "Session-Expires: 600;refresher=uac\r\n")
    silence(wire, 300)
    refresh = KNOWS + "Session-Expires: 600;refresher=uac\r\n"
    body = SDP if method == "INVITE" else b""
    sent = wire.send(request(method, to=ok.get("To") or "", cseq="2", branch="r", more=refresh, body=body))
    if method == "INVITE":
        wire.endpoint.answer(1, SDP, wire.now)
        sent = wire.sent()
        wire.send(request("ACK", to=ok.get("To") or "", cseq="2", branch="a2"))
    assert statuses(sent) == [200]
    assert (sent[0].get("Session-Expires"), sent[0].get("Require")) == ("600;refresher=uac", "timer")
    silence(wire, 567)
    assert statuses(wire.later(1)) == ["BYE"]


@pytest.mark.parametrize("status", [408, 481, None])
def test_a_refresh_that_finds_no_dialog_ends_the_call(status: int | None) -> None:
    wire = Wire()
    called(wire, KNOWS + UPDATES + "Session-Expires: 600\r\n")
    (update,) = wire.later(300)
    sent = wire.send(reply(update, status)) if status else wire.later(32)
    assert statuses(sent)[-1] == "BYE"
    (ended,) = wire.events()
    assert isinstance(ended, Ended)
    assert ended.by == "network"


def test_a_refresh_that_is_refused_is_tried_again_until_the_session_expires() -> None:
    wire = Wire()
    called(wire, KNOWS + UPDATES + "Session-Expires: 600\r\n")
    tries = 0
    sent = wire.later(300)
    while statuses(sent) == ["UPDATE"]:
        tries += 1
        assert tries < 20
        wire.send(reply(sent[0], 503))
        sent = wire.later((wire.endpoint.next_timer() or 0) / 1e9 - wire.now / 1e9)
        while not sent:  # the transactions' own timers
            sent = wire.later((wire.endpoint.next_timer() or 0) / 1e9 - wire.now / 1e9)
    assert statuses(sent) == ["BYE"]
    assert wire.now == 568 * 10**9
    assert tries > 3


def test_a_refresh_with_too_small_an_interval_goes_again_at_once() -> None:
    wire = Wire()
    called(wire, KNOWS + UPDATES + "Session-Expires: 600\r\n")
    (update,) = wire.later(300)
    (again,) = wire.send(reply(update, 422, more="Min-SE: 900\r\n"))
    assert (again.get("Session-Expires"), again.get("Min-SE")) == ("900;refresher=uac", "900")


def test_a_peer_that_claims_update_and_refuses_it_gets_a_reinvite() -> None:
    wire = Wire()
    called(wire, KNOWS + UPDATES + "Session-Expires: 600\r\n")
    (update,) = wire.later(300)
    assert statuses(wire.send(reply(update, 405))) == ["INVITE"]


@pytest.mark.parametrize(("ours", "low", "high"), [(True, 2.1, 4.0), (False, 0.0, 2.0)])
def test_the_back_off_after_a_glare(ours: bool, low: float, high: float) -> None:
    """RFC 3261 14.1: who owns the Call-ID waits longer."""
    wire = Wire()
    expires = "Session-Expires: 600;refresher=" + ("uac" if ours else "uas") + "\r\n"
    calling(wire, expires) if ours else called(wire, KNOWS + expires)
    (again,) = wire.later(300)
    assert statuses(wire.send(reply(again, 491))) == ["ACK"]
    assert wire.later(low - 0.001 if low else 0) == []
    assert statuses(wire.later(high - low + 0.01))[0] == "INVITE"


def test_a_reinvite_of_theirs_meets_ours() -> None:
    """RFC 3261 14.2: 491."""
    wire = Wire()
    ok = called(wire, KNOWS + "Session-Expires: 600;refresher=uas\r\n")
    assert statuses(wire.later(300)) == ["INVITE"]
    sent = wire.send(request("INVITE", to=ok.get("To") or "", cseq="2", branch="r", body=SDP))
    assert statuses(sent) == [491]


def test_a_call_that_ends_during_its_refresh_leaves_nothing_behind() -> None:
    wire = Wire()
    ok = called(wire, KNOWS + "Session-Expires: 600;refresher=uas\r\n")
    (again,) = wire.later(300)
    wire.send(reply(again, 100))
    assert statuses(wire.send(request("BYE", to=ok.get("To") or "", cseq="2", branch="b"))) == [200]
    assert statuses(wire.send(reply(again, 487))) == ["ACK"]
    wire.later(40)
    assert (wire.endpoint.calls, wire.endpoint.transactions, wire.endpoint.next_timer()) == (0, 0, None)


def test_a_refresh_that_nobody_answers_after_100_is_given_up_with_the_call() -> None:
    wire = Wire()
    called(wire, KNOWS + "Session-Expires: 600;refresher=uas\r\n")
    (again,) = wire.later(300)
    wire.send(reply(again, 100))
    (bye,) = wire.later(268)
    wire.send(reply(bye, 200))
    wire.later(40)
    assert (wire.endpoint.calls, wire.endpoint.transactions, wire.endpoint.next_timer()) == (0, 0, None)


def test_a_peer_that_wants_a_longer_interval_gets_it() -> None:
    """RFC 4028 7.3: 422 to our INVITE, which goes again with the same Call-ID."""
    wire = Wire()
    wire.endpoint.invite("sip:bob@10.0.0.2:5070", SDP, wire.now, caller="alice")
    (first,) = wire.sent()
    ack, second = wire.send(reply(first, 422, more="Min-SE: 3600\r\n"))
    assert statuses([ack, second]) == ["ACK", "INVITE"]
    assert (second.call_id, second.cseq.number) == (first.call_id, 2)
    assert (second.get("Session-Expires"), second.get("Min-SE")) == ("3600;refresher=uac", "3600")
    assert statuses(wire.send(reply(second, 422, more="Min-SE: 3600\r\n"))) == ["ACK"]
    assert wire.events() == [Ended(1, "remote", 422, "Whatever")]


def test_a_peer_without_session_timers() -> None:
    wire = Wire()
    calling(wire, "")
    wire.later(40)
    assert wire.endpoint.next_timer() is None


def test_a_malformed_interval_in_a_200_counts_as_none() -> None:
    wire = Wire()
    calling(wire, "Session-Expires: soon\r\n")
    wire.later(40)
    assert wire.endpoint.next_timer() is None
