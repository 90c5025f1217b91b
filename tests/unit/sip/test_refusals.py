"""What the endpoint refuses, with the status and the header that the RFC asks for (RFC 3261 8.2, 9.2, 12.2.2)."""

from __future__ import annotations

import random

import pytest

from gateway.errors import SipError
from gateway.sip.endpoint import Endpoint
from gateway.sip.events import Invited, Refused
from gateway.sip.flow import Flow
from gateway.sip.message import Request, Response
from gateway.sip.options import EndpointOptions
from gateway.units import Nanos
from tests.unit.sip.wire import SDP, THEM, US, Wire, request, statuses


@pytest.mark.parametrize(
    ("status", "changes", "header"),
    [
        (400, {"method_in_cseq": "BYE"}, None),
        (400, {"cseq": "2147483648"}, None),
        (400, {"cseq": "x"}, None),
        (400, {"contact": ""}, None),
        (400, {"hops": "many"}, None),
        (400, {"more": "To: <sip:other@10.0.0.1>\r\n"}, None),
        (400, {"uri": "<sip:pizza@10.0.0.1>"}, None),
        (400, {"more": "Content-Length: 5000\r\n"}, None),
        (406, {"more": "Accept: text/plain\r\n"}, ("Accept", "application/sdp, multipart/mixed")),
        (415, {"type": "Content-Type: application/isup\r\n"}, ("Accept", "application/sdp, multipart/mixed")),
        (416, {"uri": "sips:pizza@10.0.0.1"}, None),
        (416, {"uri": "nobodyKnowsThisScheme:totallyopaque"}, None),
        (420, {"more": "Require: 100rel, nothingSupportsThis\r\n"}, ("Unsupported", "nothingSupportsThis")),
        (483, {"hops": "0"}, None),
        (481, {"to": "<sip:pizza@10.0.0.1>;tag=unknown"}, None),
    ],
)
def test_an_invite_is_refused_with_its_rule(
    status: int, changes: dict[str, str], header: tuple[str, str] | None
) -> None:
    wire = Wire()
    sent = wire.invite(**changes)
    assert statuses(sent) == [status]
    (told,) = wire.events()
    assert isinstance(told, Refused)
    assert told.status == status
    assert f'399 10.0.0.1 "{told.rule}"' == sent[0].get("Warning")
    if header:
        assert sent[0].get(header[0]) == header[1]
    assert sent[0].to.tag


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("REGISTER", 405),
        ("INFO", 481),
        ("REFER", 481),
        ("NOTIFY", 481),
        ("SUBSCRIBE", 405),
        ("NEWMETHOD", 501),
        ("BYE", 481),
        ("CANCEL", 481),
    ],
)
def test_a_method_that_is_not_served(method: str, status: int) -> None:
    wire = Wire()
    (answer,) = wire.send(request(method))
    assert statuses([answer]) == [status]
    if status in (405, 501):
        assert answer.get("Allow") == "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, PRACK, INFO, REFER, NOTIFY"


def test_another_version() -> None:
    wire = Wire()
    (answer,) = wire.send(request("OPTIONS").replace(b"1 SIP/2.0", b"1 SIP/7.0"))
    assert statuses([answer]) == [505]


def test_a_merged_request() -> None:
    """RFC 3261 8.2.2.2: the same request by another way."""
    wire = Wire()
    wire.invite()
    assert statuses(wire.invite(branch="two")) == [482]
    assert statuses(wire.invite(branch="three", cseq="2", call_id="other")) == [100]


@pytest.mark.parametrize("drop", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_what_cannot_be_answered_is_dropped(drop: str) -> None:
    wire = Wire()
    lines = [line for line in request("OPTIONS").split(b"\r\n") if not line.startswith(drop.encode())]
    assert wire.send(b"\r\n".join(lines)) == []
    (told,) = wire.events()
    assert isinstance(told, Refused)
    assert told.status is None


def test_nothing_is_answered_to_ack_and_to_responses() -> None:
    wire = Wire()
    assert wire.send(request("ACK")) == []
    assert wire.send(request("ACK", method_in_cseq="INVITE")) == []
    assert wire.send(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx\r\n\r\n") == []
    assert wire.send(b"\r\n\r\n") == []


def test_too_many_calls_and_transactions() -> None:
    wire = Wire(max_calls=1)
    assert statuses(wire.invite()) == [100]
    (busy,) = wire.invite(call_id="second", branch="second")
    assert statuses([busy]) == [503]
    assert busy.get("Retry-After") == "5"
    wire = Wire(max_transactions=1)
    wire.invite()
    assert statuses(wire.send(request("OPTIONS", branch="b", call_id="b"))) == [503]
    assert wire.endpoint.transactions == 1


def test_closing() -> None:
    wire = Wire()
    wire.endpoint.close(wire.now)
    assert statuses(wire.invite()) == [503]
    assert statuses(wire.send(request("OPTIONS", branch="b", call_id="b"))) == [503]


def test_a_warning_cannot_break_out_of_its_header() -> None:
    wire = Wire()
    wire.invite()
    wire.endpoint.reject(1, 488, 'no "codec"\r\nX-Evil: 1', wire.now, "busy; very", warning=305)
    (refusal,) = wire.sent()
    assert refusal.get("Warning") == '305 10.0.0.1 "no \\"codec\\"??X-Evil: 1"'
    assert refusal.get("Reason") == 'Q.850;cause=65;text="busy; very"'
    assert refusal.get("X-Evil") is None


@pytest.mark.parametrize(
    ("via", "params", "goes_to", "stamped"),
    [
        ("10.0.0.2:5070", "", THEM, ""),
        ("10.0.0.2:5090", "", ("10.0.0.2", 5090), ""),
        ("10.0.0.2:5090", ";rport", THEM, ";received=10.0.0.2;rport=5070"),
        ("client.invalid", "", ("10.0.0.2", 5060), ";received=10.0.0.2"),
        ("192.168.1.1:5060", ";rport", THEM, ";received=10.0.0.2;rport=5070"),
    ],
)
def test_where_responses_go(via: str, params: str, goes_to: tuple[str, int], stamped: str) -> None:
    """RFC 3261 18.2.1, 18.2.2 and RFC 3581 4."""
    wire = Wire()
    wire.endpoint.receive(request("OPTIONS", via=via, params=params), wire.flow, wire.now)
    (datagram,) = wire.endpoint.outgoing()
    assert datagram.flow == Flow("udp", US, goes_to)
    assert f"Via: SIP/2.0/UDP {via};branch=z9hG4bKone{stamped}\r\n".encode() in datagram.data


def test_options() -> None:
    wire = Wire()
    (answer,) = wire.send(request("OPTIONS", hops="0"))
    assert isinstance(answer, Response)
    assert answer.status == 200
    assert {name: answer.get(name) for name in ("Allow", "Accept", "Supported")} == {
        "Allow": "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, PRACK, INFO, REFER, NOTIFY",
        "Accept": "application/sdp, multipart/mixed",
        "Supported": "timer, 100rel, replaces, norefersub",
    }
    assert wire.events() == []


def test_a_body_without_a_type_is_taken_for_what_it_is() -> None:
    wire = Wire()
    wire.invite(type="")
    (told,) = wire.events()
    assert isinstance(told, Invited)
    assert told.sdp == SDP


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "BYE", "CANCEL", "REGISTER"])
def test_a_stranger_is_refused_once_and_forgotten(method: str) -> None:
    wire, stranger = Wire(), Flow("udp", US, ("192.0.2.66", 5060))

    def admit(message: Request, flow: Flow, now: Nanos) -> str:
        if flow == stranger:
            raise SipError(403, "Forbidden", "no trunk", (("Retry-After", "7"),))
        return "a friend"

    wire.endpoint = Endpoint(EndpointOptions(), random.Random(1), US, admit=admit)
    (refusal,) = wire.send(request(method, branch="s"), stranger)
    assert (statuses([refusal]), refusal.get("Retry-After")) == ([403], "7")
    assert wire.later(60) == []
    assert wire.endpoint.transactions == 0
    (told,) = wire.events()
    assert isinstance(told, Refused)
    assert (told.status, told.rule) == (403, "no trunk")
    assert told.request is not None
    assert told.request.method == method
    ok = wire.established()  # whom we know is served, and a dialog of ours may speak from anywhere
    assert statuses(wire.send(request("BYE", to=ok.get("To") or "", cseq="2", branch="b"), stranger)) == [200]
    assert wire.send(request("ACK", branch="a"), stranger) == []
