"""Two kinds of far end for transports: an endpoint of ours that answers every call, and a socket that says anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from gateway.net.endpoint import EndpointDriver, open_endpoint
from gateway.net.options import SignallingOptions, StreamOptions
from gateway.net.transport import Listen
from gateway.sdp import offer
from gateway.sip.events import Answered, Ended, Event, Invited, Pinged
from gateway.sip.framing import RawMessage, StreamFramer
from gateway.sip.message import Message
from gateway.sip.parser import parse

SDP = offer(("127.0.0.1", 20000), 1)


class Phone:
    """Answers what comes in, and remembers what it was told."""

    def __init__(self) -> None:
        self.sip: EndpointDriver
        self.answers = True
        self.told: list[Event] = []
        self.on_answered: Callable[[Answered], None] = lambda event: self.sip.hang_up(event.call, "heard enough")
        self._news = asyncio.Event()

    def hear(self, event: Event) -> None:
        self.told.append(event)
        self._news.set()
        if isinstance(event, Invited) and self.answers:
            self.sip.answer(event.call, SDP)
        elif isinstance(event, Answered):
            self.on_answered(event)

    def events(self, kind: type) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]

    async def until(self, kind: type, count: int = 1) -> list[Any]:
        async with asyncio.timeout(5):
            while len(self.events(kind)) < count:
                self._news.clear()
                await self._news.wait()
        return self.events(kind)

    def uri(self, transport: str, user: str = "pizza") -> str:
        port = next(local[1] for name, local in self.sip.listeners if name == transport)
        return f"sip:{user}@127.0.0.1:{port};transport={transport}"


@asynccontextmanager
async def phone(*transports: str, streams: dict[str, Any] | None = None, **options: Any) -> AsyncIterator[Phone]:
    """On loopback, one listener for each transport."""
    side = Phone()
    limits = StreamOptions.model_validate(streams or {})
    signalling = SignallingOptions(streams=limits, **options)
    side.sip = await open_endpoint(signalling, listen=_anywhere(transports), on_event=side.hear)
    try:
        yield side
    finally:
        await side.sip.close(patience=0.2)


def _anywhere(transports: Sequence[str]) -> list[Listen]:
    return [Listen(name, "127.0.0.1", 0) for name in transports]


class Line:
    """A connection of the test's own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._framer = StreamFramer()
        self._frames: list[Message] = []

    async def message(self) -> Message:
        """The next message that the far end sends."""
        async with asyncio.timeout(5):
            while not self._frames:
                data = await self.reader.read(65536)
                assert data, "the connection was closed"
                frames = [frame for frame in self._framer.feed(data) if isinstance(frame, RawMessage)]
                self._frames += [parse(frame.data) for frame in frames]
        return self._frames.pop(0)

    async def ended(self) -> bytes:
        """What came before the far end closed the connection."""
        async with asyncio.timeout(5):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


@asynccontextmanager
async def line(to: Phone, transport: str = "tcp", **tls: Any) -> AsyncIterator[Line]:
    port = next(local[1] for name, local in to.sip.listeners if name == transport)
    opened = Line(*await asyncio.open_connection("127.0.0.1", port, **tls))
    try:
        yield opened
    finally:
        await opened.close()


def request(
    method: str = "OPTIONS", *, branch: str = "1", via: str = "127.0.0.1:9", length: str = "0", **more: str
) -> bytes:
    """A request of the test's own; ``via`` is where it claims to listen."""
    text = (
        f"{method} sip:pizza@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP {via};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n"
        f"From: <sip:a@b>;tag=1\r\nTo: <sip:pizza@127.0.0.1>{more.get('to_tag', '')}\r\nCall-ID: {branch}\r\n"
        f"CSeq: 1 {method}\r\nContact: <sip:a@{via};transport=tcp>\r\nContent-Length: {length}\r\n\r\n"
    )
    return text.encode()


__all__ = ["SDP", "Ended", "Line", "Phone", "Pinged", "line", "phone", "request"]
