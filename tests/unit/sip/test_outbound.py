"""The flow that a registration keeps: keep-alive, outbound, Service-Route (RFC 5626, RFC 3608), and ``sips``."""

from __future__ import annotations

import random
from typing import Any

import pytest

from gateway.sip.endpoint import Endpoint
from gateway.sip.events import Invited, Refused
from gateway.sip.flow import Flow, Hop
from gateway.sip.message import Request, Response
from gateway.sip.options import EndpointOptions
from gateway.sip.parser import parse
from tests.unit.sip.test_registration import account
from tests.unit.sip.wire import SDP, THEM, US, Wire, reply, request

INSTANCE = "00000000-0000-1000-8000-000a95a0e128"
TLS_US = ("10.0.0.1", 5061)


def wired(*transports: str, **options: Any) -> Wire:
    wire = Wire()
    listeners = [(name, US if name == "udp" else (US[0], 5061 if name == "tls" else 5060)) for name in transports]
    wire.endpoint = Endpoint(EndpointOptions(**options), random.Random(1), listeners[0][1], listeners)
    wire.flow = Flow(transports[0], listeners[0][1], THEM)
    return wire


def registered(wire: Wire, more: str = "", **changes: Any) -> Request:
    wire.endpoint.register(account(**changes), wire.now)
    (first,) = wire.sent()
    assert isinstance(first, Request)
    contact = f"Contact: {first.get('Contact')};expires=3600\r\n"
    wire.send(reply(first, 200, more=contact + more))
    return first


def pings(wire: Wire, seconds: int) -> int:
    end = wire.now + seconds * 10**9
    count = 0
    while (wake := wire.endpoint.next_timer()) is not None and wake <= end:
        wire.now = wake
        wire.endpoint.handle_timer(wake)
        sent = list(wire.endpoint.outgoing())
        count += sum(item.data == b"\r\n\r\n" and item.flow.remote == THEM for item in sent)
    wire.now = end  # type: ignore[assignment]
    return count


def test_an_empty_datagram_keeps_the_binding_of_a_nat() -> None:
    wire = Wire()
    registered(wire, keep_alive="25s")
    assert 40 <= pings(wire, 1000) <= 50  # every 20 to 25 s
    assert wire.send("\r\n") == []  # the pong of a registrar that sends one
    wire.endpoint.close(wire.now)
    wire.sent()
    assert pings(wire, 100) == 0


def test_the_registrar_says_how_often() -> None:
    wire = Wire()
    registered(wire, keep_alive="25s", more="Flow-Timer: 100\r\n")
    assert 10 <= pings(wire, 1000) <= 13


def test_a_connection_keeps_itself_alive() -> None:
    wire = wired("tcp")
    registered(wire, keep_alive="25s")
    assert pings(wire, 1000) == 0


def test_an_instance_asks_for_an_outbound_flow() -> None:
    wire = wired("tcp")
    first = registered(wire, "Require: outbound\r\n", instance=INSTANCE)
    assert first.get("Supported") == "path, outbound"
    assert (first.get("Contact") or "").endswith(f';reg-id=1;+sip.instance="<urn:uuid:{INSTANCE}>"')
    wire.endpoint.invite(
        "sip:bob@10.0.0.2:5070", SDP, wire.now, caller="alice", registration=account(instance=INSTANCE)
    )
    (invite,) = wire.sent()
    assert isinstance(invite, Request)
    assert invite.contact is not None
    assert invite.contact.uri.parameter("ob") == ""


def test_a_first_hop_that_does_not_know_outbound() -> None:
    """RFC 5626 4.2.1: 439."""
    wire = Wire()
    wire.endpoint.register(account(instance=INSTANCE), wire.now)
    (first,) = wire.sent()
    (again,) = wire.send(reply(first, 439))
    assert (again.get("Supported"), "reg-id" in (again.get("Contact") or "")) == ("path", False)


def test_a_lost_connection_registers_again_soon() -> None:
    wire = wired("tcp")
    registered(wire, instance=INSTANCE)
    wire.endpoint.lost(Flow("tcp", US, ("10.0.0.9", 1)), wire.now)
    assert wire.later(600) == []
    wire.endpoint.lost(Flow("tcp", US, THEM), wire.now)
    assert [message.get("CSeq") for message in wire.later(31)] == ["2 REGISTER"]


def test_calls_of_an_account_take_its_service_route() -> None:
    wire = Wire()
    registered(wire, "Service-Route: <sip:10.0.0.8;lr>, <sip:edge.example;lr>\r\n")
    wire.endpoint.invite("sip:bob@10.0.0.2:5070", SDP, wire.now, caller="alice", registration=account())
    (datagram,) = wire.endpoint.outgoing()
    invite = parse(datagram.data)
    assert datagram.flow.remote == ("10.0.0.8", 5060)
    assert invite.all("Route") == ["<sip:10.0.0.8;lr>", "<sip:edge.example;lr>"]
    refused = reply(invite, 486)
    (ack,) = wire.send(refused)
    assert ack.all("Route") == invite.all("Route")


def test_a_route_that_is_a_name_goes_to_the_server_that_has_registered_us() -> None:
    wire = Wire()
    registered(wire, "Service-Route: <sip:edge.example;lr>\r\n")
    wire.endpoint.invite("sip:bob@carrier.example", SDP, wire.now, caller="alice", registration=account())
    (datagram,) = wire.endpoint.outgoing()
    assert datagram.flow.remote == THEM


@pytest.mark.parametrize("route", ["<sip:10.0.0.8;lr>, <<", "<sip:10.0.0.8:99999999;lr>"])
def test_a_route_that_cannot_be_read_is_not_taken(route: str) -> None:
    wire = Wire()
    registered(wire, f"Service-Route: {route}\r\n")
    wire.endpoint.invite("sip:bob@10.0.0.2:5070", SDP, wire.now, caller="alice", registration=account())
    (datagram,) = wire.endpoint.outgoing()
    assert (datagram.flow.remote, parse(datagram.data).all("Route")) == (THEM, [])


class TestSips:
    """RFC 3261 26.2.2, RFC 5630: no downgrade."""

    def test_a_target_goes_by_tls_and_so_does_its_dialog(self) -> None:
        wire = wired("udp", "tls")
        wire.endpoint.invite("sips:bob@10.0.0.2", SDP, wire.now, caller="alice")
        (datagram,) = wire.endpoint.outgoing()
        invite = parse(datagram.data)
        assert isinstance(invite, Request)
        assert (datagram.flow.transport, datagram.flow.remote) == ("tls", ("10.0.0.2", 5061))
        assert invite.uri == "sips:bob@10.0.0.2"
        assert (invite.get("Contact") or "").startswith("<sips:alice@10.0.0.1:5061")
        answer = reply(invite, 200, more="Contact: <sips:desk@10.0.0.3:5090>\r\n", body=SDP)
        wire.endpoint.receive(answer, datagram.flow, wire.now)
        (ack,) = wire.endpoint.outgoing()
        assert (ack.flow.transport, ack.flow.remote) == ("tls", ("10.0.0.3", 5090))

    def test_a_call_is_taken_over_tls_alone(self) -> None:
        wire = wired("udp", "tls")
        answers = wire.send(request("INVITE", body=SDP, uri="sips:pizza@10.0.0.1"))
        assert [answer.status for answer in answers if isinstance(answer, Response)] == [416]
        (refused,) = wire.events()
        assert isinstance(refused, Refused)
        data = request("INVITE", body=SDP, uri="sips:pizza@10.0.0.1", branch="two", call_id="two")
        wire.send(data.replace(b"SIP/2.0/UDP", b"SIP/2.0/TLS"), Flow("tls", TLS_US, THEM))
        (invited,) = wire.events()
        assert isinstance(invited, Invited)
        wire.endpoint.answer(invited.call, SDP, wire.now)
        ok = wire.sent()[-1]
        assert (ok.get("Contact") or "").startswith("<sips:pizza@10.0.0.1:5061")

    def test_nothing_here_speaks_tls(self) -> None:
        with pytest.raises(Exception, match="nothing listens with tls"):
            Wire().endpoint.invite("sips:bob@10.0.0.2", SDP, Wire().now, caller="alice")


def test_what_one_trunk_is_told_of_us() -> None:
    """A trunk reaches us at another address than everybody else."""
    wire = Wire()
    wire.endpoint.invite("sip:bob@10.0.0.2:5070", SDP, wire.now, caller="alice", advertise="203.0.113.7:5080")
    (invite,) = wire.sent()
    assert invite.contact is not None
    assert invite.contact.uri_text == "sip:alice@203.0.113.7:5080"
    assert invite.via.sent_by == ("203.0.113.7", 5080)
    assert invite.from_.uri_text == "sip:alice@203.0.113.7"
    assert "10.0.0.1" not in invite.encode().decode().partition("\r\n\r\n")[0]


def test_pings_and_registrations_tell_the_same_address() -> None:
    """Teams wants its SBC's name in Contact and From of OPTIONS, and takes no call before."""
    wire = Wire()
    wire.endpoint.options_ping("sip:10.0.0.2:5070", wire.now, advertise="sbc.example.com")
    wire.endpoint.register(account(), wire.now, remote=[Hop("udp", THEM)], advertise="sbc.example.com")
    ping, register = wire.sent()
    for one in (ping, register):
        assert one.contact is not None
        assert one.contact.uri.host == one.via.host == "sbc.example.com"
        assert "10.0.0.1" not in one.encode().decode()
    assert ping.from_.uri_text == "sip:sbc.example.com"
    wire.endpoint.relocate(1, [Hop("udp", ("10.0.0.3", 5060))], wire.now)
    wire.send(reply(register, 200, more=f"Contact: {register.get('Contact')};expires=60\r\n"))
    (again,) = [one for one in wire.later(60) if isinstance(one, Request)][:1]
    assert again.contact is not None
    assert again.contact.uri.host == "sbc.example.com"


def test_what_the_house_says_a_caller_is_to_be_told() -> None:
    class Trunk:
        advertise = "203.0.113.7"

    wire = Wire()
    wire.endpoint = Endpoint(EndpointOptions(), random.Random(1), US, admit=lambda request, flow, now: Trunk())
    wire.invite()
    wire.endpoint.answer(1, SDP, wire.now)
    ok = wire.sent()[-1]
    assert ok.contact is not None
    assert ok.contact.uri_text == "sip:pizza@203.0.113.7:5060"
