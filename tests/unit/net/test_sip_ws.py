"""SIP over WebSocket (RFC 7118): a browser is a client of the ``websockets`` package here."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from gateway.sip.events import Answered, Confirmed, Ended, Invited, Pinged
from gateway.sip.message import Message, Request, Response
from gateway.sip.parser import parse
from tests.unit.net.certificates import Authority, needs_openssl
from tests.unit.net.phones import SDP, Phone, phone, request

SIP = [Subprotocol("sip")]


def url(callee: Phone, scheme: str = "ws") -> str:
    port = next(local[1] for name, local in callee.sip.listeners if name == scheme)
    return f"{scheme}://127.0.0.1:{port}/"


async def heard(browser: ClientConnection) -> Message:
    data = await asyncio.wait_for(browser.recv(), 5)
    return parse(data.encode() if isinstance(data, str) else data)


def from_browser(method: str = "OPTIONS", **more: str) -> bytes:
    data = request(method, via="df7jal23ls0d.invalid", **more).replace(b"SIP/2.0/TCP", b"SIP/2.0/WS")
    return data.replace(b"transport=tcp", b"transport=ws")


@pytest.mark.parametrize("binary", [False, True])
async def test_a_message_is_a_message(binary: bool) -> None:
    async with phone("ws") as callee, connect(url(callee), subprotocols=SIP) as browser:
        assert browser.subprotocol == "sip"
        for branch in "ab":
            data = from_browser(branch=branch)
            await browser.send(data if binary else data.decode())
            answer = await heard(browser)
            assert isinstance(answer, Response)
            assert (answer.status, answer.via.branch) == (200, f"z9hG4bK{branch}")


async def test_a_message_in_fragments() -> None:
    async with phone("ws") as callee, connect(url(callee), subprotocols=SIP) as browser:
        text = from_browser().decode()
        await browser.send(text[start : start + 50] for start in range(0, len(text), 50))  # type: ignore[arg-type]
        assert (await heard(browser)).call_id == "1"


async def test_requests_to_a_browser_take_its_connection() -> None:
    """Section 5: its Contact is a host that does not exist."""
    async with phone("ws") as callee, connect(url(callee), subprotocols=SIP) as browser:
        await browser.send(from_browser("INVITE").decode())
        trying, ok = await heard(browser), await heard(browser)
        assert isinstance(trying, Response)
        assert trying.status == 100
        (invited,) = callee.events(Invited)
        assert invited.flow.transport == "ws"
        await browser.send(from_browser("ACK", to_tag=f";tag={ok.to.tag}").decode())
        await callee.until(Confirmed)
        callee.sip.hang_up(invited.call, "enough")
        bye = await heard(browser)
        assert isinstance(bye, Request)
        assert (bye.method, bye.uri) == ("BYE", "sip:a@df7jal23ls0d.invalid;transport=ws")


async def test_without_the_subprotocol_there_is_no_connection() -> None:
    async with phone("ws") as callee:
        with pytest.raises(InvalidStatus):
            async with connect(url(callee)):
                pass


async def test_a_message_that_is_too_large_closes_the_connection() -> None:
    async with phone("ws", max_message_bytes=2000) as callee, connect(url(callee), subprotocols=SIP) as browser:
        await browser.send("x" * 3000)
        with pytest.raises(ConnectionClosed) as closed:
            await heard(browser)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


async def test_who_does_not_shake_hands_is_cut_off() -> None:
    async with phone("ws", streams={"message_timeout": "200ms"}) as callee:
        port = callee.sip.listeners[0][1][1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"GET / HT")
            assert await asyncio.wait_for(reader.read(), 5) == b""
        finally:
            writer.close()


@pytest.mark.parametrize("kind", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_call_between_two_of_us(kind: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def run() -> None:
        async with phone("ws") as caller, phone("ws") as callee:
            caller.sip.invite(callee.uri("ws"), SDP, caller="alice")
            await callee.until(Confirmed)
            (answered,) = await caller.until(Answered)
            assert answered.sdp
            await callee.until(Ended)

    with asyncio.Runner(loop_factory=kind) as runner:
        runner.run(run())


async def test_a_server_that_is_no_websocket() -> None:
    async with phone("tcp") as other, phone("ws") as caller:
        caller.sip.options_ping(f"sip:127.0.0.1:{other.sip.local[1]};transport=ws")
        assert (await caller.until(Pinged))[0].status == 503


@needs_openssl
async def test_over_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = authority.options("ours")
    context = ssl.create_default_context(cafile=str(authority.certificate))
    async with phone("wss", tls=tls) as callee, phone("wss", tls=tls) as caller:
        async with connect(url(callee, "wss"), subprotocols=SIP, ssl=context) as browser:
            await browser.send(from_browser().decode())
            assert (await heard(browser)).call_id == "1"
        caller.sip.invite(callee.uri("wss"), SDP, caller="alice")
        (invited,) = await callee.until(Invited)
        assert invited.request.via.transport == "WSS"
        await caller.until(Ended)
