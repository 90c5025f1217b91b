"""The other end of a leg: a UDP socket that speaks RTP, and an observer that remembers."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from codecs_ext import rtp
from gateway.media.contract import LegStats, Stream
from gateway.media.leg import PlaneLeg
from gateway.media.options import MediaOptions
from gateway.media.plane import MediaPlane

PORTS = "42000-42998"


@dataclass
class Ear:
    """An observer that keeps every event as ``(name, *arguments)``."""

    events: list[tuple[Any, ...]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __getattr__(self, name: str) -> Callable[..., None]:
        if not name.startswith("on_"):
            raise AttributeError(name)

        def remember(*arguments: object) -> None:
            self.events.append((name.removeprefix("on_"), *arguments))
            self.changed.set()

        return remember

    def named(self, name: str) -> list[tuple[Any, ...]]:
        return [event[1:] for event in self.events if event[0] == name]

    async def wait(self, name: str, count: int = 1) -> tuple[Any, ...]:
        """The arguments of the ``count``-th event of a name."""
        async with asyncio.timeout(5):
            while len(self.named(name)) < count:
                self.changed.clear()
                await self.changed.wait()
        return self.named(name)[count - 1]

    @property
    def stats(self) -> LegStats:
        stats = self.named("closed")[0][0]
        assert isinstance(stats, LegStats)
        return stats


class Phone:
    """A socket on loopback that sends numbered packets and reads what comes."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.socket.setblocking(False)
        self.address: tuple[str, int] = self.socket.getsockname()[:2]
        self.number = 0

    def stream(self, **changes: Any) -> Stream:
        return Stream(remote=self.address, payload_type=0, codec="PCMU", event_payload_type=101, **changes)

    def send(self, leg: PlaneLeg, payload: bytes = b"\xff" * 160, *, payload_type: int = 0, ssrc: int = 77) -> int:
        """One packet; returns when it left."""
        data = rtp.build(payload_type, False, self.number, self.number * 160, ssrc, payload)
        self.number += 1
        self.socket.sendto(data, leg.local)
        return time.monotonic_ns()

    async def receive(self, count: int = 1) -> list[tuple[int, bool, int, int, int, bytes]]:
        """The next packets, parsed."""
        packets = []
        async with asyncio.timeout(5):
            for _ in range(count):
                packet = rtp.parse(await asyncio.get_running_loop().sock_recv(self.socket, 2048))
                assert packet is not None
                packets.append(packet)
        return packets


@asynccontextmanager
async def plane_running(**options: Any) -> AsyncIterator[MediaPlane]:
    plane = MediaPlane(MediaOptions(**{"ports": PORTS} | options))
    plane.start()
    try:
        yield plane
    finally:
        await plane.stop()


@asynccontextmanager
async def phone_running(address: str = "127.0.0.1") -> AsyncIterator[Phone]:
    phone = Phone(address)
    try:
        yield phone
    finally:
        phone.socket.close()
