"""Who may cost us something: the tables with time simulated, and the daemon's own sockets under attack."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import SipError
from gateway.net.defence import Ban, Defence
from gateway.net.endpoint import open_endpoint
from gateway.net.options import DefenceOptions, SignallingOptions, StreamOptions
from gateway.net.transport import Listen
from gateway.sip.events import Invited, Pinged, Refused
from gateway.sip.flow import Flow
from gateway.sip.message import Header, Request
from gateway.units import SECOND, Nanos
from tests.unit.net.certificates import Authority, needs_openssl
from tests.unit.net.phones import SDP, Phone, phone, request

STRANGER, CARRIER = "198.51.100.66", "203.0.113.1"
OPTIONS = b"OPTIONS sip:a@b SIP/2.0\r\nVia: x\r\n\r\n"


def at(seconds: float) -> Nanos:
    return Nanos(round(seconds * SECOND))


def defence(**options: Any) -> tuple[Defence, list[Ban]]:
    bans: list[Ban] = []
    return Defence(DefenceOptions(**options), lambda host: host == CARRIER, bans.append), bans


def test_a_stranger_has_a_bucket_and_a_trunk_has_none() -> None:
    guard, bans = defence(rate=10, burst=5, strikes=1000)
    assert [guard.admits(STRANGER, OPTIONS, at(0)) for _ in range(7)] == [True] * 5 + [False] * 2
    assert [guard.admits(STRANGER, OPTIONS, at(0.1)) for _ in range(2)] == [True, False]
    assert all(guard.admits(CARRIER, OPTIONS, at(0)) for _ in range(10_000))
    assert bans == []


def test_strangers_do_not_add_up() -> None:
    guard, _ = defence(total_rate=100)
    admitted = sum(guard.admits(f"10.0.{n >> 8}.{n & 255}", OPTIONS, at(0)) for n in range(1_000))
    assert admitted == 100


def test_who_is_refused_again_and_again_is_banned_for_a_while() -> None:
    """An extension sweep, seen from here: one refusal after the other."""
    guard, bans = defence(strikes=5, ban="60s")
    for _ in range(5):
        assert guard.admits(STRANGER, OPTIONS, at(0))
        guard.strike(STRANGER, "404", at(0))
    assert guard.counts == {"scanner": 0, "refusals": 1}
    assert bans == [Ban(STRANGER, "5 refusals within a minute, the last: 404", at(60))]
    assert STRANGER in guard.banned
    guard.sweep(at(59))
    assert not guard.admits(STRANGER, OPTIONS, at(59))
    guard.sweep(at(60))
    assert guard.admits(STRANGER, OPTIONS, at(60))


def test_now_and_then_is_no_attack() -> None:
    guard, bans = defence(strikes=5)
    for minute in range(100):
        guard.strike(STRANGER, "404", at(61 * minute))
        guard.strike(STRANGER, "404", at(61 * minute + 1))
    assert bans == []


def test_a_trunk_is_never_banned() -> None:
    guard, bans = defence(strikes=1)
    guard.strike(CARRIER, "404", at(0))
    assert bans == []


@pytest.mark.parametrize("name", ["friendly-scanner", "SIPVicious 0.3", "Sipcli/v1.8", "pplsip", "sundayddr"])
def test_a_scanner_that_says_so(name: str) -> None:
    guard, bans = defence()
    data = OPTIONS.replace(b"Via: x", b"Via: x\r\nuser-agent: " + name.encode())
    assert not guard.admits(STRANGER, data, at(0))
    assert [ban.why for ban in bans] == ["the User-Agent of a scanner"]


def test_whom_we_have_asked_may_answer() -> None:
    guard, _ = defence(rate=1, burst=1, trust="60s")
    guard.trust(STRANGER, at(0))
    assert all(guard.admits(STRANGER, OPTIONS, at(1)) for _ in range(100))
    assert not all(guard.admits(STRANGER, OPTIONS, at(61)) for _ in range(3))


def test_strangers_may_be_left_unread() -> None:
    guard, _ = defence(strangers="drop")
    assert not guard.admits(STRANGER, OPTIONS, at(0))
    assert guard.admits(CARRIER, OPTIONS, at(0))


def test_no_table_grows_without_end() -> None:
    guard, _ = defence(max_sources=100, strikes=1, total_rate=10**6)
    for number in range(1_000):
        host = f"10.1.{number >> 8}.{number & 255}"
        guard.admits(host, OPTIONS, at(0))
        guard.trust(f"10.2.{number >> 8}.{number & 255}", at(0))
        guard.strike(host, "x", at(0))
    assert len(guard.banned) == len(guard._trusted) == 100
    assert len(guard._strangers) <= 100


# --- with sockets -----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def guarded(status: int = 403, headers: tuple[Header, ...] = (), **options: Any) -> AsyncIterator[Phone]:
    """An endpoint to which 127.0.0.1 is a stranger, and that refuses it."""
    side = Phone()

    def admit(request: Request, flow: Flow, now: Nanos) -> None:
        raise SipError(status, "No", "no trunk takes calls from you", headers)

    side.sip = await open_endpoint(
        SignallingOptions.model_validate(options),
        listen=[Listen("udp", "127.0.0.1", 0)],
        on_event=side.hear,
        admit=admit,
        known=lambda host: False,
    )
    try:
        yield side
    finally:
        await side.sip.close(patience=0.1)


class Stranger(asyncio.DatagramProtocol):
    """Counts what it gets."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.got.put_nowait(data)


@asynccontextmanager
async def stranger(to: Phone) -> AsyncIterator[tuple[asyncio.DatagramTransport, Stranger]]:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        Stranger, remote_addr=("127.0.0.1", to.sip.local[1])
    )
    try:
        yield transport, protocol
    finally:
        transport.close()


def over_udp(branch: str, padding: int = 0, method: str = "OPTIONS") -> bytes:
    data = request(method, branch=branch).replace(b"/TCP", b"/UDP").replace(b";branch", b";rport;branch", 1)
    return data.replace(b"Content-Length", b"X-Padding: " + b"x" * padding + b"\r\nContent-Length", 1)


async def test_a_stranger_gets_no_more_than_it_sent() -> None:
    async with guarded() as side, stranger(side) as (out, peer):
        out.sendto(over_udp("small"))  # the answer would be larger: nothing
        out.sendto(over_udp("large", padding=400))
        answer = await asyncio.wait_for(peer.got.get(), 5)
        assert answer.startswith(b"SIP/2.0 403")
        assert b"z9hG4bKlarge" in answer
        assert peer.got.empty()


async def test_a_challenge_may_be_a_little_larger() -> None:
    """Without it nobody could ever log in."""
    challenge = (("WWW-Authenticate", "Digest " + "x" * 300),)
    async with guarded(401, challenge) as side, stranger(side) as (out, peer):
        out.sendto(over_udp("one"))
        assert (await asyncio.wait_for(peer.got.get(), 5)).startswith(b"SIP/2.0 401")


async def test_a_scanner_hears_nothing_and_is_told_of() -> None:
    async with guarded() as side, stranger(side) as (out, peer):
        scan = over_udp("scan", 600).replace(b"X-Padding", b"User-Agent: friendly-scanner\r\nX-Padding")
        out.sendto(scan)
        (refused,) = await side.until(Refused)
        assert refused.rule == "banned: the User-Agent of a scanner"
        assert [ban.host for ban in side.sip.bans] == ["127.0.0.1"]
        assert peer.got.empty()


async def test_a_sweep_is_banned() -> None:
    async with guarded(defence={"strikes": 10}) as side, stranger(side) as (out, peer):
        for extension in range(10):
            out.sendto(over_udp(f"x{extension}", 600, "REGISTER"))
            await asyncio.wait_for(peer.got.get(), 5)
        refused = await side.until(Refused, 11)
        assert any(one.rule.startswith("banned: 10 refusals within a minute") for one in refused)


async def test_a_call_that_we_place_is_answered_by_a_stranger() -> None:
    """Its address is in no trunk's range, but we have asked it."""
    async with phone("udp") as callee, guarded(defence={"strangers": "drop"}) as side:
        side.sip.options_ping(f"sip:127.0.0.1:{callee.sip.local[1]}")
        assert (await side.until(Pinged))[0].status == 200


async def test_garbage_is_banned_and_the_carrier_is_heard() -> None:
    """127.0.0.2 is a trunk's, 127.0.0.1 sends garbage."""
    side = Phone()
    side.sip = await open_endpoint(
        SignallingOptions(), listen=[Listen("udp", "127.0.0.1", 0)], on_event=side.hear,
        known=lambda host: host == "127.0.0.2",
    )  # fmt: skip
    try:
        async with stranger(side) as (out, _):
            for _ in range(200):
                out.sendto(b"garbage")
            while not side.sip.bans:
                await side.until(Refused, len(side.events(Refused)) + 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as carrier:
            carrier.bind(("127.0.0.2", 0))
            data = over_udp("call", method="INVITE").replace(b"Content-Length: 0", b"Content-Length: %d" % len(SDP))
            data = data.replace(b"X-Padding: ", b"Content-Type: application/sdp")
            carrier.sendto(data + SDP, ("127.0.0.1", side.sip.local[1]))
            await side.until(Invited)
    finally:
        await side.sip.close(patience=0.05)


@needs_openssl
async def test_half_open_handshakes_are_bounded(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    limits = StreamOptions(max_handshakes_per_source=3)
    async with AsyncExitStack() as stack:
        side = await stack.enter_async_context(
            phone(
                "tls", tls=authority.options("ours"), streams=limits.model_dump(include={"max_handshakes_per_source"})
            )
        )
        port = side.sip.local[1]
        silent = []
        for _ in range(4):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
            silent.append(reader)
        (refused,) = await side.until(Refused)
        assert refused.rule == "limit: sip.streams.max_handshakes_per_source"
        assert await asyncio.wait_for(silent[3].read(), 5) == b""


@needs_openssl
async def test_what_is_no_handshake_is_told_of(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with phone("tls", tls=authority.options("ours")) as side:
        reader, writer = await asyncio.open_connection("127.0.0.1", side.sip.local[1])
        writer.write(request())
        (refused,) = await side.until(Refused)
        assert refused.rule.startswith("TLS: ")
        await asyncio.wait_for(reader.read(), 5)
        writer.close()
