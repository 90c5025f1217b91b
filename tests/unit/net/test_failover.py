"""Names, servers and their failures with a name server and sockets of our own, on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop

from gateway.errors import RemoteError
from gateway.net.endpoint import open_endpoint
from gateway.net.options import SignallingOptions
from gateway.net.resolver import Resolver
from gateway.net.transport import Listen
from gateway.sip.events import Answered, Ended, Event, Invited, Pinged, Registered, RegistrationFailed
from gateway.sip.flow import Hop
from gateway.sip.message import Request
from gateway.sip.options import RegistrationOptions
from gateway.sip.parser import parse
from gateway.sip.responses import build_response
from tests.unit.net.nameserver import nameserver
from tests.unit.net.phones import SDP, Phone, phone


def srv(*ports: int, transport: str = "udp") -> dict[tuple[str, str], list[str]]:
    """A carrier whose servers are all on this machine, in this order."""
    lines = [f"{order} 0 {port} host.carrier.example." for order, port in enumerate(ports)]
    return {(f"_sip._{transport}.carrier.example", "SRV"): lines, ("host.carrier.example", "A"): ["127.0.0.1"]}


@asynccontextmanager
async def caller(zone: dict[tuple[str, str], list[str]], *transports: str, **sip: object) -> AsyncIterator[Phone]:
    """A phone that asks our name server. What a failover waits for is a fifth of a second."""
    side = Phone()
    options = SignallingOptions.model_validate({"failover": {"after": "200ms"}, **sip})
    async with nameserver(zone) as server:
        side.sip = await open_endpoint(
            options,
            listen=[Listen(name, "127.0.0.1", 0) for name in transports or ("udp",)],
            on_event=side.hear,
            resolver=Resolver(nameservers=["127.0.0.1"], port=server.port),
        )
        try:
            yield side
        finally:
            await side.sip.close(patience=0.2)


@asynccontextmanager
async def silence() -> AsyncIterator[int]:
    """A server that takes datagrams and says nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def nobody() -> int:
    """A port that nobody listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


async def call(side: Phone, target: str = "sip:1@carrier.example") -> Event:
    side.sip.invite(target, SDP, caller="alice", remote=await side.sip.locate(target))
    async with asyncio.timeout(5):
        while not side.events(Ended):
            await side.until(Ended)
    return (side.events(Answered) or side.events(Ended))[0]  # type: ignore[no-any-return]


async def test_a_silent_server_a_closed_port_and_one_that_answers() -> None:
    async with phone("udp") as callee, silence() as port, caller(srv(port, nobody(), callee.sip.local[1])) as side:
        assert isinstance(await call(side), Answered)
        assert len(callee.events(Invited)) == 1


@pytest.mark.parametrize("kind", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_closed_port_is_told_by_the_kernel(kind: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """ICMP port unreachable, long before timer B."""

    async def run() -> None:
        async with phone("udp") as side:
            side.sip.invite(f"sip:1@127.0.0.1:{nobody()}", SDP, caller="alice")
            (ended,) = await side.until(Ended)
            assert (ended.status, ended.reason) == (503, "ICMP: Connection refused")
            side.sip.options_ping(f"sip:127.0.0.1:{nobody()}")
            assert (await side.until(Pinged))[0].status == 503

    with asyncio.Runner(loop_factory=kind) as runner:
        runner.run(run())


async def test_an_error_of_one_peer_costs_another_nothing() -> None:
    """With IP_RECVERR the kernel reports it at the next datagram, to whomever that goes."""
    async with phone("udp") as callee, phone("udp") as side:
        for _ in range(20):
            side.sip.options_ping(f"sip:127.0.0.1:{nobody()}")
            side.sip.options_ping(f"sip:127.0.0.1:{callee.sip.local[1]}")
        pinged = await side.until(Pinged, 40)
        assert sorted(one.status for one in pinged) == [200] * 20 + [503] * 20


async def test_naptr_chooses_the_transport() -> None:
    async with phone("udp", "tcp") as callee:
        tcp = next(at[1] for name, at in callee.sip.listeners if name == "tcp")
        zone = srv(callee.sip.local[1]) | srv(tcp, transport="tcp")
        zone["carrier.example", "NAPTR"] = [
            '10 50 "s" "SIP+D2T" "" _sip._tcp.carrier.example.',
            '20 50 "s" "SIP+D2U" "" _sip._udp.carrier.example.',
        ]
        async with caller(zone, "udp", "tcp") as side:
            assert isinstance(await call(side), Answered)
            (invited,) = callee.events(Invited)
            assert invited.flow.transport == "tcp"
            assert invited.request.contact.uri.parameter("transport") == "tcp"


async def test_from_tcp_to_udp_and_back_to_where_we_listen() -> None:
    """Contact and Via are those of the transport that works."""
    async with phone("udp") as callee:
        zone = srv(nobody(), transport="tcp") | srv(callee.sip.local[1])
        zone["carrier.example", "NAPTR"] = [
            '10 50 "s" "SIP+D2T" "" _sip._tcp.carrier.example.',
            '20 50 "s" "SIP+D2U" "" _sip._udp.carrier.example.',
        ]
        async with caller(zone, "udp", "tcp") as side:
            side.on_answered = lambda event: callee.sip.hang_up(callee.events(Invited)[0].call, "found you")
            assert isinstance(await call(side), Answered)
            (invited,) = callee.events(Invited)
            assert invited.request.via.transport == "UDP"
            assert invited.request.contact.uri_text == f"sip:alice@127.0.0.1:{side.sip.local[1]}"


async def test_only_what_a_listener_can_reach_is_tried() -> None:
    async with caller(srv(5060, transport="tcp")) as side:
        with pytest.raises(RemoteError, match=r"nothing in sip\.listen"):
            await side.sip.locate("sip:1@carrier.example;transport=tcp")


async def test_a_registrar_fails_over() -> None:
    async with silence() as quiet, registrar() as port, caller(srv(quiet, port)) as side:
        account = RegistrationOptions(registrar="sip:carrier.example", user="alice")
        hops = await side.sip.locate(account.registrar)
        assert hops == [Hop("udp", ("127.0.0.1", quiet)), Hop("udp", ("127.0.0.1", port))]
        side.sip.register(account, remote=hops)
        (registered,) = await side.until(Registered)
        assert registered.expires_s == 300
        assert side.events(RegistrationFailed) == []


class _Registrar(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        head = [line for line in data.decode().split("\r\n") if line.partition(":")[0] in _COPIED]
        contact = next(line for line in data.decode().split("\r\n") if line.startswith("Contact"))
        lines = ["SIP/2.0 200 OK", *head, f"{contact};expires=300", "Content-Length: 0", "", ""]
        self.transport.sendto("\r\n".join(lines).encode(), addr)  # type: ignore[attr-defined]


_COPIED = ("Via", "From", "To", "Call-ID", "CSeq")


@asynccontextmanager
async def registrar() -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(_Registrar, local_addr=("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


@asynccontextmanager
async def redirecting(contact: str) -> AsyncIterator[str]:
    """A server that answers each INVITE with 302; what is given is its URI."""

    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self._transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            request = parse(data)
            if isinstance(request, Request) and request.method == "INVITE":
                moved = build_response(request, 302, tag="moved", headers=[("Contact", contact)])
                self._transport.sendto(moved.encode(), addr)  # type: ignore[attr-defined]

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
    try:
        yield f"sip:desk@127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    finally:
        transport.close()


@pytest.mark.parametrize("transports", [("udp",), ("udp", "tcp")])
async def test_a_redirect_to_a_name_is_located_and_fails_over(transports: tuple[str, ...]) -> None:
    """RFC 3263 for a contact: SRV, the next server after silence."""
    async with silence() as dead, phone("udp") as callee, redirecting("<sip:bob@carrier.example>") as target:
        zone = srv(dead, callee.sip.local[1])
        async with caller(zone, *transports, redirects=1, redirect_to=["*.example"]) as alice:
            alice.sip.invite(target, SDP, caller="alice")
            await alice.until(Answered)
            (invited,) = await callee.until(Invited)
            assert invited.called == "bob"
            await alice.until(Ended)


async def test_a_redirect_to_a_name_that_nobody_knows_ends_the_call() -> None:
    async with (
        redirecting("<sip:bob@nobody.example>") as target,
        caller({}, redirects=1, redirect_to=["*.example"]) as alice,
    ):
        alice.sip.invite(target, SDP, caller="alice")
        (ended,) = await alice.until(Ended)
        assert ended.status == 302
