"""UPDATE within a dialog (RFC 3311), seen by the peer."""

from __future__ import annotations

import pytest

from gateway.sip.events import Ended, Reoffered
from gateway.sip.message import Message
from tests.unit.sip.wire import SDP, Wire, request, statuses


def update(wire: Wire, ok: Message, cseq: str = "2", *, body: bytes = SDP, **changes: str) -> list[Message]:
    to = ok.get("To") or ""
    return wire.send(request("UPDATE", to=to, cseq=cseq, branch=f"u{cseq}", body=body, **changes))


def test_an_offer_is_told_and_answered_in_the_200() -> None:
    wire = Wire()
    ok = wire.established()
    moved = "Contact: <sip:elsewhere@10.0.0.3>\r\n"
    assert update(wire, ok, contact=moved) == []
    assert wire.events() == [Reoffered(1, SDP)]
    wire.endpoint.answer(1, b"answer", wire.now)
    (answer,) = wire.sent()
    assert (answer.status, answer.body) == (200, b"answer")  # type: ignore[attr-defined]
    assert answer.contact is not None
    wire.endpoint.hang_up(1, wire.now)
    (bye,) = wire.sent()
    assert bye.uri == "sip:elsewhere@10.0.0.3"  # type: ignore[attr-defined]  # UPDATE refreshes the target
    assert "UPDATE" in (answer.get("Allow") or "")


def test_without_an_offer_it_is_answered_at_once() -> None:
    wire = Wire()
    assert statuses(update(wire, wire.established(), body=b"")) == [200]
    assert wire.events() == []


def test_an_offer_that_is_refused_leaves_the_session() -> None:
    wire = Wire()
    ok = wire.established()
    update(wire, ok)
    wire.endpoint.reject(1, 488, "no codec", wire.now)
    assert statuses(wire.sent()) == [488]
    assert wire.endpoint.calls == 1
    assert statuses(update(wire, ok, "3", body=b"")) == [200]


def test_one_offer_at_a_time() -> None:
    """RFC 3311 5.2: 500 with Retry-After while the last one is not answered."""
    wire = Wire()
    ok = wire.established()
    update(wire, ok)
    (second,) = update(wire, ok, "3")
    assert statuses([second]) == [500]
    assert 0 <= int(second.get("Retry-After") or "") <= 10
    (reinvite,) = wire.send(request("INVITE", to=ok.get("To") or "", cseq="4", branch="i", body=SDP))
    assert reinvite.status == 500  # type: ignore[attr-defined]


def test_an_offer_before_the_answer_to_ours_is_a_glare() -> None:
    """A late offer: our 200 offers, and the ACK that answers has not come yet."""
    wire = Wire()
    wire.invite(sdp=b"")
    wire.endpoint.answer(1, SDP, wire.now)
    assert statuses(update(wire, wire.sent()[-1])) == [491]


def test_while_the_call_rings_its_own_offer_is_still_open() -> None:
    wire = Wire()
    wire.invite()
    wire.endpoint.ring(1, wire.now)
    ringing = wire.sent()[-1]
    assert statuses(update(wire, ringing)) == [500]
    assert statuses(update(wire, ringing, "3", body=b"")) == [200]


def test_an_end_of_the_call_answers_it() -> None:
    wire = Wire()
    ok = wire.established()
    update(wire, ok)
    sent = wire.send(request("BYE", to=ok.get("To") or "", cseq="3", branch="b"))
    assert statuses(sent) == [200, 487]
    assert isinstance(wire.events()[-1], Ended)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"contact": "Contact: <mailto:x@y>\r\n"}, 400),
        ({"type": "Content-Type: text/plain\r\n"}, 415),
        ({"more": "Require: magic\r\n"}, 420),
        ({"call_id": "other"}, 481),
        ({"to": "<sip:pizza@10.0.0.1>"}, 481),
        ({"more": "Supported: timer\r\nSession-Expires: 30\r\n"}, 422),
    ],
)
def test_refused(changes: dict[str, str], status: int) -> None:
    wire = Wire()
    ok = wire.established()
    changes = {"to": ok.get("To") or "", **changes}
    assert statuses(wire.send(request("UPDATE", cseq="2", branch="u", body=SDP, **changes))) == [status]
    assert wire.events()[:-1] == []
