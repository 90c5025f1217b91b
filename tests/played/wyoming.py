"""Wyoming servers, played: messages on plain TCP, no key, no refusals."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from tests.played.roles import SttScript, TtsScript
from tests.played.stage import Message, TcpScript


def frame(kind: str, data: dict[str, Any], payload: bytes = b"") -> bytes:
    """As the servers write it: the data behind the line."""
    body = json.dumps(data).encode()
    head = {"type": kind, "version": "1.10.2", "data_length": len(body), "payload_length": len(payload)}
    return json.dumps(head).encode() + b"\n" + body + payload


class _Server(TcpScript):
    kind: str

    async def read(self, reader: asyncio.StreamReader) -> Message | None:
        """Type and data as JSON; of a chunk of audio its payload alone."""
        line = await reader.readline()
        if not line:
            return None
        head = json.loads(line)
        data = head.get("data") or {}
        if head.get("data_length"):
            data |= json.loads(await reader.readexactly(head["data_length"]))
        payload = await reader.readexactly(head.get("payload_length") or 0)
        if head["type"] == "describe":
            program = {"name": "acme", "version": "2.1", "installed": True, "models": [], "voices": []}
            await self.say([frame("info", {self.kind: [program]})])
        return payload or json.dumps({"type": head["type"], **data})

    def error(self) -> Iterable[Message]:
        yield frame("error", {"text": "out of memory", "code": "RuntimeError"})


class Stt(_Server, SttScript):
    """Hangs up after a turn, as faster-whisper's does."""

    kind = "asr"
    bytes_per_ms = 32
    said = False

    def sort(self, message: Message) -> tuple[str, bytes]:
        if isinstance(message, bytes):
            return "audio", message
        found = json.loads(message)
        if found["type"] == "audio-start":
            assert (found["rate"], found["width"], found["channels"]) == (16_000, 2, 1)
        return ("end" if found["type"] == "audio-stop" else ""), b""

    def interim(self, text: str) -> Iterable[Message]:
        yield frame("transcript-start", {})
        yield frame("transcript-chunk", {"text": text})

    def final(self, text: str) -> Iterable[Message]:
        self.said = True
        yield frame("transcript", {"text": f" {text}", "language": "en"})

    async def on_end(self) -> None:
        await super().on_end()
        if self.said:
            await self.socket.close()


class Tts(_Server, TtsScript):
    """With Piper's usual rate."""

    kind = "tts"
    sample = b"\0\0"
    rate = 22_050

    def sort(self, message: Message) -> tuple[str, str, str]:
        found = json.loads(message)
        if found["type"] != "synthesize":
            return "", "", ""
        assert found["voice"] == {"language": "en"}
        return "speak", "", found["text"]

    def words(self, context: str, words: list[tuple[str, float, float]]) -> Iterable[Message]:
        """None; but what comes is announced."""
        yield frame("audio-start", {"rate": self.rate, "width": 2, "channels": 1, "timestamp": None})

    def audio(self, context: str, audio: bytes) -> Iterable[Message]:
        yield frame("audio-chunk", {"rate": self.rate, "width": 2, "channels": 1}, bytes(2 * self.rate // 50))

    def done(self, context: str) -> Iterable[Message]:
        yield frame("audio-stop", {"timestamp": None})
