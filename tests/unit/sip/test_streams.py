"""What differs on a connection: timers, Contact, the way back (RFC 3261 17, 18)."""

from __future__ import annotations

import random

import pytest

from gateway.errors import ResourceError, SipError
from gateway.sip.dialog import Dialog
from gateway.sip.endpoint import Endpoint
from gateway.sip.events import Ended, Invited, Refused
from gateway.sip.flow import Datagram, Flow
from gateway.sip.message import Request, Response
from gateway.sip.options import EndpointOptions
from gateway.sip.parser import parse
from gateway.units import SECOND, Nanos
from tests.unit.sip.wire import SDP, THEM, US, Wire, reply, request

EPHEMERAL = (THEM[0], 40_000)
ACCEPTED = Flow("tcp", US, EPHEMERAL)
BOTH = [("udp", US), ("tcp", (US[0], 5070))]


def endpoint(**options: object) -> Endpoint:
    return Endpoint(EndpointOptions(**options), random.Random(1), US, BOTH)  # type: ignore[arg-type]


def answered(wire: Wire, flow: Flow = ACCEPTED, **changes: str) -> tuple[int, Datagram]:
    """An INVITE by ``flow`` that is answered and acknowledged; the call and the datagram of the 200."""
    wire.endpoint.receive(request(body=SDP, **changes), flow, wire.now)
    (invited,) = wire.endpoint.events()
    assert isinstance(invited, Invited)
    wire.endpoint.answer(invited.call, SDP, wire.now)
    ok = wire.endpoint.outgoing()[-1]
    to = parse(ok.data).get("To") or ""
    wire.endpoint.receive(request("ACK", to=to, branch="ack", **changes), flow, wire.now)
    wire.endpoint.events()
    return invited.call, ok


def test_a_response_goes_back_by_its_connection_and_knows_where_the_peer_listens() -> None:
    wire = Wire()
    wire.endpoint.receive(request("OPTIONS"), ACCEPTED, wire.now)
    (datagram,) = wire.endpoint.outgoing()
    assert datagram.flow == Flow("tcp", US, EPHEMERAL, THEM)
    assert parse(datagram.data).get("Contact") == "<sip:10.0.0.1:5060;transport=tcp>"


def test_a_finished_transaction_is_forgotten_at_once() -> None:
    wire = Wire()
    wire.endpoint.receive(request("OPTIONS"), ACCEPTED, wire.now)
    assert wire.endpoint.transactions == 0


@pytest.mark.parametrize(
    ("contact", "remote", "listens_at"),
    [
        ("sip:a@10.0.0.2:5070;transport=tcp", EPHEMERAL, THEM),  # the peer itself: by the connection that it opened
        ("sip:a@10.0.0.2:5071;transport=tcp", ("10.0.0.2", 5071), None),
        ("sip:a@10.0.0.9;transport=tcp", ("10.0.0.9", 5060), None),
        ("sip:a@phone.example", EPHEMERAL, THEM),
    ],
)
def test_our_bye_takes_the_connection_only_to_whom_it_leads(
    contact: str, remote: tuple[str, int], listens_at: tuple[str, int] | None
) -> None:
    wire = Wire()
    call, _ = answered(wire, contact=f"Contact: <{contact}>\r\n")
    wire.endpoint.hang_up(call, wire.now)
    (bye,) = wire.endpoint.outgoing()
    assert bye.flow == Flow("tcp", US, remote, listens_at)


def test_behind_a_nat_the_connection_is_the_only_way() -> None:
    wire = Wire()
    nat = Flow("tcp", US, ("192.0.2.1", 1024))
    call, ok = answered(wire, nat)
    assert ok.flow == Flow("tcp", US, nat.remote, ("192.0.2.1", 5070))
    wire.endpoint.hang_up(call, wire.now)
    (bye,) = wire.endpoint.outgoing()
    assert bye.flow.remote == nat.remote


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sip:a@10.0.0.2:5070", Flow("udp", US, THEM)),
        ("sip:a@10.0.0.2:5070;transport=TCP", Flow("tcp", (US[0], 5070), THEM)),
        ("sip:a@10.0.0.2:5070;transport=sctp", Flow("udp", US, ("10.0.0.2", 5060))),
    ],
)
def test_the_transport_of_a_contact_wins(uri: str, expected: Flow) -> None:
    flow = Flow("udp", US, ("10.0.0.2", 5060))
    parsed = parse(request(contact=f"Contact: <{uri}>\r\n"))
    assert isinstance(parsed, Request)
    assert Dialog.for_server(parsed, "7", flow, BOTH).next_flow() == expected


def test_a_fault_of_the_framing_refuses_the_request_and_drops_what_is_none() -> None:
    wire = Wire()
    fault = SipError(513, "Message Too Large", "too large")
    wire.endpoint.receive(request("OPTIONS"), ACCEPTED, wire.now, fault)
    (datagram,) = wire.endpoint.outgoing()
    refusal = parse(datagram.data)
    assert isinstance(refusal, Response)
    assert refusal.status == 513
    for data in (b"", b"\x16\x03\x01", request("ACK"), reply(parse(request()), 200)):
        wire.endpoint.receive(data, ACCEPTED, wire.now, fault)
        assert wire.endpoint.outgoing() == []
    assert [event.status for event in wire.endpoint.events() if isinstance(event, Refused)] == [513, *[None] * 4]


def large(side: Endpoint, size: int = 1300) -> Datagram:
    side.invite("sip:a@10.0.0.2", b"x" * size, Nanos(0), caller="me")
    (datagram,) = side.outgoing()
    return datagram


def test_the_size_switch() -> None:
    side = endpoint()
    by_tcp = large(side)
    assert by_tcp.flow == Flow("tcp", (US[0], 5070), ("10.0.0.2", 5060))
    assert b"Via: SIP/2.0/TCP 10.0.0.1:5070;" in by_tcp.data
    assert side.next_timer() == 32 * SECOND  # nothing is sent again on a reliable flow
    side.undelivered(by_tcp, "no connection", Nanos(SECOND))
    (by_udp,) = side.outgoing()
    assert by_udp.flow == Flow("udp", US, ("10.0.0.2", 5060))
    assert by_udp.data == by_tcp.data.replace(b"SIP/2.0/TCP 10.0.0.1:5070", b"SIP/2.0/UDP 10.0.0.1:5060")
    assert side.next_timer() == 1.5 * SECOND
    side.undelivered(by_udp, "never said of UDP, but if it were", Nanos(SECOND))
    (ended,) = side.events()
    assert ended == Ended(1, "remote", 503, "never said of UDP, but if it were")
    assert side.calls == side.transactions == 0


def test_a_cancel_follows_its_invite() -> None:
    side = endpoint()
    invite = large(side)
    side.receive(reply(parse(invite.data), 180), invite.flow, Nanos(0))
    side.hang_up(1, Nanos(0))
    (cancel,) = side.outgoing()
    assert cancel.flow == invite.flow
    assert parse(cancel.data).get("Via") == parse(invite.data).get("Via")


def test_what_arrived_late_fails_nothing() -> None:
    side = endpoint()
    invite = large(side)
    side.receive(reply(parse(invite.data), 180), invite.flow, Nanos(0))
    side.undelivered(invite, "it seemed so", Nanos(0))
    side.undelivered(Datagram(b"SIP/2.0 nonsense", invite.flow), "it seemed so", Nanos(0))
    side.undelivered(Datagram(request("OPTIONS", branch="never-sent"), invite.flow), "it seemed so", Nanos(0))
    assert side.outgoing() == []
    assert side.calls == 1


def test_small_requests_stay_with_udp_and_the_limit_is_an_option() -> None:
    assert large(endpoint(), 500).flow.transport == "udp"
    assert large(endpoint(udp_limit=700), 500).flow.transport == "tcp"
    with pytest.raises(ResourceError, match="nothing listens with sctp"):
        endpoint().options_ping("sip:10.0.0.2;transport=sctp", Nanos(0))


def test_an_advertised_port_is_that_of_the_first_listener() -> None:
    side = endpoint(advertise="203.0.113.7:5999")
    assert b"Via: SIP/2.0/UDP 203.0.113.7:5999;" in large(side, 10).data
    assert (
        b"Via: SIP/2.0/TCP 203.0.113.7:5070;" in large(endpoint(advertise="203.0.113.7:5999", udp_limit=500), 800).data
    )
