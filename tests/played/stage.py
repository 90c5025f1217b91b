"""Where providers are played: one local server over real HTTP and WebSockets, which misbehaves as it is told.

A provider joins the contract suite (``tests/contract/test_providers.py``) by a *script* per role, a small class that
knows the provider's words, and one line in ``tests/played/cast.py``. What a script says is written from the
documentation; how it fails is here, the same for all.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from enum import Enum
from types import SimpleNamespace
from typing import Any, ClassVar, cast

from aiohttp import WSMsgType, web

Message = str | bytes


class Fault(Enum):
    NONE = "none"
    WRONG_KEY = "wrong key"
    BUSY = "429 with Retry-After"
    DOWN = "503"
    SLOW = "slow first byte"
    STALL = "stall"
    DROP = "close in mid-sentence"
    ERROR = "error frame"
    MALFORMED = "what cannot be read"
    BAD_FRAME = "a frame that is none"
    UNKNOWN = "unknown event"
    DUPLICATE = "duplicate final"
    LATE = "audio after cancel"
    LIMIT = "session limit"


REFUSALS = {Fault.WRONG_KEY: 401, Fault.BUSY: 429, Fault.DOWN: 503}
SLOW_S = 0.15
MALFORMED = "%%% {"


class Script:
    """One connection (or HTTP request) of a played provider."""

    unknown: ClassVar[Message] = '{"type":"something.new","message_type":"something_new","value":1}'
    """What a later version of the protocol might send."""
    limit_close: ClassVar[tuple[int, str]] = (1011, "session limit")

    def __init__(self, stage: Stage, request: web.Request) -> None:
        self.stage = stage
        self.request = request
        self.fault = stage.fault

    # --- what the provider's documentation says -----------------------------------------------------------------------

    def refusal(self, status: int) -> str:
        """The body of a refusal."""
        return json.dumps({"error": {"message": f"refused with {status}", "type": "test", "code": status}})

    def allowed(self) -> bool:
        """The key, and whatever else the provider wants to see, is right."""
        return True

    def greeting(self) -> Iterable[Message]:
        """Sent when the connection is open."""
        return ()

    def error(self) -> Iterable[Message]:
        """An error of the provider's own fault, in the middle of the work."""
        return ()

    async def on_message(self, message: Message) -> None: ...

    # --- on the wire --------------------------------------------------------------------------------------------------

    async def run(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        await self.say(self.greeting())
        async for message in socket:
            if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                self.stage.received.append(message.data)
                await self.on_message(message.data)

    async def say(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if self.socket.closed:
                return
            if isinstance(message, str):
                await self.socket.send_str(message)
            else:
                await self.socket.send_bytes(message)

    def drop(self) -> None:
        """Gone, without a word."""
        transport = self.request.transport
        if transport is not None:
            transport.abort()

    async def misbehave(self) -> bool:
        """Commits the stage's fault where the work would begin, once. True: there is nothing left to do."""
        fault, self.fault = self.fault, Fault.NONE
        match fault:
            case Fault.SLOW:
                await asyncio.sleep(SLOW_S)
            case Fault.STALL:
                return True
            case Fault.ERROR:
                await self.say(self.error())
                return True
            case Fault.MALFORMED:
                await self.say([MALFORMED])
                return True
            case Fault.BAD_FRAME:
                transport = self.request.transport
                assert transport is not None
                transport.write(b"\xff\xff\xff" * 40)
                return True
            case Fault.UNKNOWN:
                await self.say([self.unknown])
            case Fault.DROP | Fault.DUPLICATE | Fault.LATE:
                self.fault = fault  # in the middle, or at the end
            case Fault.LIMIT:
                code, reason = self.limit_close
                await self.socket.close(code=code, message=reason.encode())
                return True
        return False


class _TcpSocket:
    """What a script needs of a WebSocket, on a plain stream."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    @property
    def closed(self) -> bool:
        return self._writer.is_closing()

    async def send_str(self, text: str) -> None:
        await self.send_bytes(f"{text}\n".encode())

    async def send_bytes(self, data: bytes) -> None:
        with suppress(ConnectionError):
            self._writer.write(data)
            await self._writer.drain()

    async def close(self, **_: Any) -> None:
        self._writer.close()


class TcpScript(Script):
    """A connection on plain TCP; subclasses cut it into messages."""

    async def read(self, reader: asyncio.StreamReader) -> Message | None:
        """The next message; None at the end."""
        raise NotImplementedError

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.socket: Any = _TcpSocket(writer)
        self.request = cast("web.Request", SimpleNamespace(transport=writer.transport))
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while (message := await self.read(reader)) is not None:
                self.stage.received.append(message)
                await self.on_message(message)


class Stage:
    """The server. ``received`` is every message that came, ``requests`` every HTTP request with its body."""

    def __init__(self, script: type[Script], fault: Fault) -> None:
        self.script = script
        self.fault = fault
        self.connections = self.warmed = 0
        self.received: list[Message] = []
        self.requests: list[tuple[web.Request, Any]] = []
        self.scripts: list[Script] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD":  # a connection is made ready
            self.warmed += 1
            return web.Response()
        script = self.script(self, request)
        self.scripts.append(script)
        status = REFUSALS.get(self.fault) or (None if script.allowed() else 401)
        if status is not None:
            headers = {"Retry-After": "2"} if self.fault is Fault.BUSY else {}
            return web.Response(status=status, text=script.refusal(status), headers=headers)
        self.connections += 1
        if request.method == "POST":
            return await script.answer()  # type: ignore[attr-defined, no-any-return]
        socket = web.WebSocketResponse(protocols=request.headers.get("Sec-WebSocket-Protocol", "").split(", "))
        await socket.prepare(request)
        await script.run(socket)
        return socket


@asynccontextmanager
async def staged(script: type[Script], fault: Fault = Fault.NONE) -> AsyncIterator[tuple[Stage, str]]:
    """The stage, and ``host:port`` where it is."""
    stage = Stage(script, fault)
    if issubclass(script, TcpScript):
        async with _on_tcp(stage) as at:
            yield stage, at
        return
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", stage.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield stage, f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _on_tcp(stage: Stage) -> AsyncIterator[str]:
    running: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running[task] = writer
        stage.connections += 1
        script = cast("type[TcpScript]", stage.script)(stage, cast("web.Request", None))
        stage.scripts.append(script)
        await script.serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"
    finally:
        server.close()
        for writer in running.values():
            writer.transport.abort()
        await asyncio.gather(*running, return_exceptions=True)
