from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
import uvloop

from gateway.errors import RemoteError, ResourceError
from gateway.net import sip_udp
from gateway.net.endpoint import EndpointDriver, open_endpoint
from gateway.net.options import SignallingOptions
from gateway.net.resolver import resolve
from gateway.net.transport import Listen
from gateway.sdp import offer
from gateway.sip.events import Answered, Ended, Event, Invited, Pinged

SDP = offer(("127.0.0.1", 20000), 1)


class Side:
    def __init__(self) -> None:
        self.told: list[Event] = []
        self.over = asyncio.Event()
        self.sip: EndpointDriver

    def hear(self, event: Event) -> None:
        self.told.append(event)
        if isinstance(event, Invited):
            self.sip.ring(event.call, 183, SDP)
            self.sip.answer(event.call, SDP)
        elif isinstance(event, Answered):
            self.sip.hang_up(event.call, "heard enough")
        elif isinstance(event, Ended | Pinged):
            self.over.set()

    @classmethod
    async def open(cls) -> Side:
        side = cls()
        side.sip = await open_endpoint(SignallingOptions(), listen=[Listen("udp", "127.0.0.1", 0)], on_event=side.hear)
        return side


async def test_a_call_over_loopback() -> None:
    caller, callee = await Side.open(), await Side.open()
    target = f"sip:pizza@localhost:{callee.sip.local[1]}"
    call = caller.sip.invite(target, SDP, caller="alice", remote=await resolve(target))
    assert caller.sip.call_id(call)
    await asyncio.wait_for(callee.over.wait(), 5)
    assert callee.told[-1] == Ended(1, "remote", None, "heard enough")
    assert caller.sip.call_id(99) == ""
    await caller.sip.close()
    await callee.sip.close()


async def test_closing_hangs_up_and_does_not_wait_for_a_peer_that_is_gone() -> None:
    caller, callee = await Side.open(), await Side.open()
    caller.sip.invite(f"sip:pizza@127.0.0.1:{callee.sip.local[1]}", SDP, caller="alice")
    caller.sip.invite(f"sip:pizza@127.0.0.1:{callee.sip.local[1]}", SDP, caller="alice")
    await asyncio.wait_for(caller.over.wait(), 5)
    await callee.sip.close(patience=0.05)
    caller.sip.invite(f"sip:pizza@127.0.0.1:{callee.sip.local[1]}", SDP, caller="alice")
    await asyncio.wait_for(caller.sip.close(patience=0.05), 1)
    ended = [event for event in caller.told if isinstance(event, Ended)]
    assert len(ended) == 3


@pytest.mark.parametrize("kind", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_an_address_that_cannot_be_reached_is_a_packet_lost(kind: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Also on uvloop, which raises where asyncio reports."""

    async def run() -> None:
        side = await Side.open()
        side.sip.options_ping("sip:[2001:db8::1]")
        side.sip.options_ping("sip:255.255.255.255")
        await side.sip.close(patience=0)

    with asyncio.Runner(loop_factory=kind) as runner:
        runner.run(run())


async def test_ping() -> None:
    here, there = await Side.open(), await Side.open()
    here.sip.options_ping(f"sip:127.0.0.1:{there.sip.local[1]}")
    await asyncio.wait_for(here.over.wait(), 5)
    assert here.told == [Pinged(f"sip:127.0.0.1:{there.sip.local[1]}", 200)]
    await here.sip.close()
    await there.sip.close()


async def test_a_port_in_use_is_one_clear_line() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        listen = [Listen("udp", "127.0.0.1", port)]
        with pytest.raises(ResourceError) as caught:
            await open_endpoint(SignallingOptions(), listen=listen, on_event=lambda event: None)
    assert str(caught.value) == (
        f"cannot listen on udp://127.0.0.1:{port}: the port is in use; stop the other program or choose another port"
    )


async def test_an_address_of_another_machine() -> None:
    with pytest.raises(ResourceError, match="this machine has no such address"):
        await open_endpoint(SignallingOptions(), listen=[Listen("udp", "192.0.2.1", 5060)], on_event=lambda event: None)


@pytest.mark.parametrize("target", ["nonsense", "sip:", "sip:x@[::"])
async def test_what_cannot_be_resolved(target: str) -> None:
    with pytest.raises(RemoteError):
        await resolve(target)


async def test_how_long_each_message_has_waited_is_known_and_when_none_is_left() -> None:
    heard: list[bytes] = []
    waited: list[int | None] = []
    receiver = cast(
        "Any",
        SimpleNamespace(
            received=lambda data, flow: heard.append(data), waited=lambda delay, local: waited.append(delay), banned=()
        ),
    )
    transport = await sip_udp.SPEC.open(Listen("udp", "127.0.0.1", 0), SignallingOptions(), receiver)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            for _ in range(50):
                peer.sendto(b"x" * 700, transport.local)
            time.sleep(0.03)  # the loop does not run meanwhile, and so they wait
            async with asyncio.timeout(10):
                while len(heard) < 50 or waited[-1] is not None:
                    await asyncio.sleep(0)
        assert len([delay for delay in waited if delay is not None]) == 50
        assert all(0.03e9 <= delay < 10e9 for delay in waited if delay is not None)
    finally:
        await transport.close()
