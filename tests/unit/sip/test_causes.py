"""Q.850 and SIP (RFC 3398, RFC 3326)."""

from __future__ import annotations

import pytest

from gateway.sip.causes import q850_cause, status_of_cause, to_q850
from gateway.sip.events import Ended
from gateway.sip.message import Request, Response
from tests.unit.sip.wire import Wire, reply, request


@pytest.mark.parametrize(
    ("reasons", "cause"),
    [
        ((), 16),
        (("Q.850;cause=17;text=busy",), 17),
        (("SIP ;cause=486", "q.850 ; cause=31"), 31),
        (('SIP;cause=200;text="Call completed elsewhere", Q.850;cause=26',), 26),
        (("SIP;cause=200",), 16),
        (("SIP;cause=486",), 17),
        (("Q.850;cause=999", "X;cause=1"), 16),
        (('Q.850;cause="',), 16),
        (("preemption;cause=1",), 16),
    ],
)
def test_why_a_bye_came(reasons: tuple[str, ...], cause: int) -> None:
    assert q850_cause(Request("BYE", "sip:a@b", [("Reason", one) for one in reasons])) == cause


@pytest.mark.parametrize(("status", "cause"), [(486, 17), (404, 1), (503, 41), (408, 102), (603, 21), (499, 127)])
def test_why_a_call_was_refused(status: int, cause: int) -> None:
    assert q850_cause(Response(status, "", [])) == to_q850(status) == cause
    assert q850_cause(Response(status, "", [("Reason", "Q.850;cause=34")])) == 34


@pytest.mark.parametrize(("cause", "status"), [(1, 404), (17, 486), (18, 408), (34, 503), (16, 500), (127, 500)])
def test_what_a_cause_means(cause: int, status: int) -> None:
    assert status_of_cause(cause) == status


@pytest.mark.parametrize(("status", "reason"), [(486, "Q.850;cause=17"), (503, "Q.850;cause=41"), (302, None)])
def test_a_refusal_of_ours_says_its_cause(status: int, reason: str | None) -> None:
    wire = Wire()
    wire.invite()
    wire.endpoint.reject(1, status, "", wire.now)
    (refusal,) = wire.sent()
    assert refusal.get("Reason") == reason


def test_the_end_of_a_call_tells_its_cause() -> None:
    wire = Wire()
    to = wire.established().get("To") or ""
    wire.send(request("BYE", to=to, cseq="2", branch="b", more="Reason: Q.850;cause=31\r\n"))
    wire.endpoint.invite("sip:bob@10.0.0.2:5070", b"v=0", wire.now, caller="alice")
    (_, invite) = (None, wire.sent()[-1])
    wire.send(reply(invite, 486))
    causes = [event.cause for event in wire.events() if isinstance(event, Ended)]
    assert causes == [31, 17]
