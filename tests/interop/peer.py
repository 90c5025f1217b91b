"""A Linecard endpoint on loopback for peers to call, and a SIPp process to call it with."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.net.endpoint import EndpointDriver, open_endpoint
from gateway.net.options import SignallingOptions
from gateway.net.transport import Listen
from gateway.sdp import answer, offer
from gateway.sip.events import Event, Invited, Reoffered
from gateway.sip.reception import Admit
from tests.ports import free_port

__all__ = ["SCENARIOS", "Switch", "free_port", "needs_sipp", "sipp", "switch", "until_it_is_bound", "until_it_listens"]

SCENARIOS = Path(__file__).parent / "sipp"
RTP = ("127.0.0.1", 30000)

needs_sipp = pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPp (Debian: sip-tester) is not installed")


class Switch:
    """Answers every call, and remembers what it was told."""

    def __init__(self) -> None:
        self.sip: EndpointDriver
        self.told: list[Event] = []
        self.on_event: Callable[[Event], None] = self.answer_all
        self._news = asyncio.Event()

    def hear(self, event: Event) -> None:
        self.told.append(event)
        self.on_event(event)
        self._news.set()

    def answer_all(self, event: Event) -> None:
        if isinstance(event, Invited):
            self.sip.ring(event.call)
        if isinstance(event, Invited | Reoffered):
            sdp = answer(event.sdp, RTP, 7).sdp if event.sdp else offer(RTP, 7)
            self.sip.answer(event.call, sdp)

    def events(self, kind: type) -> list[Event]:
        return [event for event in self.told if isinstance(event, kind)]

    async def until(self, kind: type, count: int = 1, seconds: float = 30) -> list[Event]:
        """Waits until ``count`` events of that kind were told."""
        async with asyncio.timeout(seconds):
            while len(self.events(kind)) < count:
                self._news.clear()
                await self._news.wait()
        return self.events(kind)


@asynccontextmanager
async def switch(
    transport: str = "udp",
    admit: Admit = lambda request, flow, now: None,
    options: SignallingOptions | None = None,
) -> AsyncIterator[Switch]:
    house = Switch()
    listen = [Listen(transport, "127.0.0.1", 0)]
    house.sip = await open_endpoint(options or SignallingOptions(), listen=listen, on_event=house.hear, admit=admit)
    try:
        yield house
    finally:
        await house.sip.close()


async def until_it_is_bound(port: int, seconds: float = 5) -> None:
    """The same for UDP: what is sent before is answered by ICMP, and that counts. Asking the kernel takes nothing from
    the peer, as trying to bind the port oneself would."""
    entry = f":{port:04X} "
    async with asyncio.timeout(seconds):
        while not any(entry in line for line in Path("/proc/net/udp").read_text().splitlines()):
            await asyncio.sleep(0.02)


async def until_it_listens(port: int, seconds: float = 5) -> None:
    """A peer that has just been started says nothing when it is ready."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


async def sipp(directory: Path, *arguments: str, port: int | None = None, seconds: float = 20) -> str:
    """Runs SIPp to its end; the test fails with what SIPp says if a call failed."""
    errors = directory / "errors.txt"
    where = ["-i", "127.0.0.1", "-p", str(port or free_port())]
    manner = ["-nostdin", "-timeout", f"{seconds:.0f}s", "-timeout_error", "-trace_err", "-error_file", str(errors)]
    process = await asyncio.create_subprocess_exec(
        *("sipp", *arguments, *where, *manner),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=directory,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), seconds + 5)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = output.decode(errors="replace")
    assert process.returncode == 0, (errors.read_text() if errors.exists() else "") + text[-2000:]
    return text
