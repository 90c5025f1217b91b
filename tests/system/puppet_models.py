"""A model server in the hands of a test: speaks the plug protocol from its document, and misbehaves when told to.

Its STT understands every turn as ``script.text``, its LLM answers with ``script.answer``, its TTS hums. ``script`` says
what goes wrong: ``stall`` lets every role fall silent, ``garbage`` sends what is no message, ``refuse`` answers with an
error.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve


@dataclass
class Script:
    text: str = "hello"
    answer: str = "One. Two. Three."
    wrong: str = ""
    """``stall``, ``garbage`` or ``refuse``; empty while all is well."""
    asked: list[dict[str, Any]] = field(default_factory=list)


class PuppetModels:
    """Serves on a free port, or on the one given."""

    def __init__(self) -> None:
        self.script = Script()
        self._server: Server | None = None
        self._connections: set[ServerConnection] = set()

    async def start(self, port: int = 0) -> int:
        self._server = await serve(self._serve, "127.0.0.1", port, subprotocols=["linecard.plug.v1"])  # type: ignore[list-item]
        return int(next(iter(self._server.sockets)).getsockname()[1])

    async def drop(self) -> None:
        """Every connection ends without a word."""
        for connection in list(self._connections):
            connection.transport.abort()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, connection: ServerConnection) -> None:
        self._connections.add(connection)
        roles = {"stt": {"rates": [16000]}, "llm": {}, "tts": {"rates": [8000]}}
        await _send(connection, type="hello", protocol=1, server={"name": "puppet", "version": "1"}, roles=roles)
        try:
            async for message in connection:
                if isinstance(message, str):
                    await self._answer(connection, json.loads(message))
        finally:
            self._connections.discard(connection)

    async def _answer(self, connection: ServerConnection, asked: dict[str, Any]) -> None:
        stream = asked.get("stream")
        match asked["type"]:
            case "open":
                model = {"name": f"puppet-{asked['role']}", "version": "1"}
                await _send(connection, type="opened", stream=stream, model=model, credit=1 << 40)
            case "close":
                await _send(connection, type="closed", stream=stream)
            case "cancel":
                await _send(connection, type="done", stream=stream, request=asked["request"], cancelled=True)
            case "end" | "generate" | "speak" as kind:
                self.script.asked.append(asked)
                await self._serve_request(connection, kind, stream, asked["request"])

    async def _serve_request(self, connection: ServerConnection, kind: str, stream: Any, request: int) -> None:
        about = {"stream": stream, "request": request}
        match self.script.wrong or kind:
            case "stall":
                return
            case "garbage":
                await connection.send("\N{SNOWMAN} this is no message")
            case "refuse":
                await _send(
                    connection, type="error", transient=False, code="internal", message="puppet refuses", **about
                )
            case "end":
                await _send(connection, type="transcript", text=self.script.text, final=True, understood=True, **about)
            case "generate":
                for word in self.script.answer.split(" "):
                    await _send(connection, type="token", text=f"{word} ", **about)
                await _send(connection, type="done", **about)
            case "speak":
                await _send(connection, type="started", elapsed_us=1, **about)
                for n in range(5):
                    await connection.send(struct.pack("!IIQIHH", stream, n, n * 1600, request, 0, 0) + HUM)
                await _send(connection, type="done", **about)


HUM = struct.pack("<1600h", *(int(8000 * math.sin(2 * math.pi * 300 * n / 8000)) for n in range(1600)))
"""A fifth of a second; each sentence is one second of it."""


async def _send(connection: ServerConnection, **message: Any) -> None:
    await connection.send(json.dumps(message))
