"""Every transport over IPv6, side by side with IPv4 on the same ports."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from gateway.net.endpoint import open_endpoint
from gateway.net.options import SignallingOptions
from gateway.net.transport import Listen
from gateway.sip.events import Confirmed, Ended, Invited
from tests.unit.net.certificates import Authority, needs_openssl
from tests.unit.net.phones import SDP, Phone


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


async def v6(name: str, **options: Any) -> Phone:
    side = Phone()
    listen = [Listen("udp", "127.0.0.1", 0), Listen(name, "::1", 0)]
    side.sip = await open_endpoint(SignallingOptions(**options), listen=listen, on_event=side.hear)
    return side


async def call(name: str, **options: Any) -> None:
    caller, callee = await v6(name, **options), await v6(name, **options)
    try:
        port = callee.sip.listeners[1][1][1]
        caller.sip.invite(f"sip:pizza@[::1]:{port};transport={name}", SDP, caller="alice")
        (invited,) = await callee.until(Invited)
        assert invited.flow.remote[0] == "::1"
        assert invited.request.via.host == "[::1]"
        assert invited.request.contact is not None
        assert "@[::1]:" in invited.request.contact.uri_text
        await callee.until(Confirmed)
        assert (await callee.until(Ended))[0].by == "remote"
        await caller.until(Ended)
    finally:
        await caller.sip.close()
        await callee.sip.close()


@pytest.mark.parametrize("name", ["udp", "tcp", "ws"])
async def test_a_call(name: str) -> None:
    await call(name)


@needs_openssl
async def test_a_call_over_tls(tmp_path: Path) -> None:
    await call("tls", tls=Authority(tmp_path).options("ours", "IP:::1"))
