"""A model server in the hands of a test: speaks the plug protocol from its document, and misbehaves when told to.

Its STT understands every turn as ``script.text``, its LLM answers with ``script.answer``, its TTS hums. ``script`` says
what goes wrong: ``stall`` lets every role fall silent, ``garbage`` sends what is no message, ``refuse`` answers with an
error.
"""

from __future__ import annotations

import asyncio
import json
import math
import struct
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve

from tests.system import voice


@dataclass
class Script:
    text: str = "hello"
    answer: str = "One. Two. Three."
    wrong: str = ""
    """``stall``, ``garbage``, ``refuse``, ``busy`` or ``unavailable``; ``half`` does half of the work and then falls
    silent, ``die`` does it and then ends the connection. Empty while all is well."""
    only: str = ""
    """The kind of request that goes wrong; empty is every kind."""
    times: int = 1_000_000
    """How often it goes wrong."""
    speaks: bool = False
    """The voice of ``voice.py`` instead of a hum."""
    tells_words: bool = False
    delay: float = 0.0
    """Seconds before each answer."""
    asked: list[dict[str, Any]] = field(default_factory=list)


class PuppetModels:
    """Serves on a free port, or on the one given."""

    def __init__(self) -> None:
        self.script = Script()
        self.audio_received = 0
        """Bytes of audio that came."""
        self.opened: list[dict[str, Any]] = []
        """Sessions that were opened."""
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
                else:
                    self.audio_received += len(message) - 24
        finally:
            self._connections.discard(connection)

    async def _answer(self, connection: ServerConnection, asked: dict[str, Any]) -> None:
        stream = asked.get("stream")
        match asked["type"]:
            case "open":
                self.opened.append(asked)
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
        script, wrong = self.script, self._fault(kind)
        if script.delay:
            await asyncio.sleep(script.delay)
        match wrong:
            case "garbage":
                await connection.send("\N{SNOWMAN} this is no message")
            case "refuse" | "unavailable" | "busy":
                pause = {"retry_after_ms": 200} if wrong == "busy" else {}
                code = "busy" if wrong == "busy" else "internal"
                error = {"transient": wrong != "refuse", "code": code, "message": f"puppet is {wrong}"}
                await _send(connection, type="error", **error, **pause, **about)
            case "stall":
                pass
            case _:
                await self._answer_request(connection, kind, about, wrong)

    def _fault(self, kind: str) -> str:
        script = self.script
        if not script.wrong or (script.only and script.only != kind) or script.times <= 0:
            return ""
        script.times -= 1
        return script.wrong

    async def _answer_request(self, connection: ServerConnection, kind: str, about: dict[str, Any], wrong: str) -> None:
        match kind:
            case "end" if not wrong:
                await _send(connection, type="transcript", text=self.script.text, final=True, understood=True, **about)
            case "generate":
                words = self.script.answer.split(" ")
                for word in words[: len(words) // 2] if wrong else words:
                    await _send(connection, type="token", text=f"{word} ", **about)
            case "speak":
                await self._speak(connection, about, half=bool(wrong))
        if wrong == "die":
            connection.transport.abort()
        elif not wrong and kind != "end":
            await _send(connection, type="done", **about)

    async def _speak(self, connection: ServerConnection, about: dict[str, Any], *, half: bool) -> None:
        await _send(connection, type="started", elapsed_us=1, **about)
        pcm, words = voice.say(self.script.asked[-1]["text"]) if self.script.speaks else (HUM * 5, [])
        if half:
            pcm = pcm[: len(pcm) // 4 * 2]
        if self.script.tells_words:
            await _send(connection, type="words", words=words, **about)
        for at in range(0, len(pcm), 3200):
            header = struct.pack("!IIQIHH", about["stream"], at // 3200, at // 2, about["request"], 0, 0)
            await connection.send(header + pcm[at : at + 3200])


HUM = struct.pack("<1600h", *(int(8000 * math.sin(2 * math.pi * 300 * n / 8000)) for n in range(1600)))
"""A fifth of a second; each sentence is one second of it."""


async def _send(connection: ServerConnection, **message: Any) -> None:
    await connection.send(json.dumps(message))
