"""Ultravox, played: the call that is made over HTTP, and PCM at 8 kHz both ways."""

from __future__ import annotations

import json
from collections.abc import Iterable

from aiohttp import web

from tests.played.roles import RealtimeScript
from tests.played.stage import Message


class Calls(RealtimeScript):
    bytes_per_ms = 16
    out_bytes_per_ms = 16
    sample = b"\0\0"

    def allowed(self) -> bool:
        return self.request.method == "GET" or self.request.headers.get("X-API-Key") == "key"

    async def answer(self) -> web.Response:
        body = await self.request.json()
        assert body["medium"]["serverWebSocket"]["inputSampleRate"] == 8000
        return web.json_response({"callId": "c", "joinUrl": f"ws://{self.request.host}/join"})

    def greeting(self) -> Iterable[Message]:
        yield json.dumps({"type": "call_started", "callId": "c"})

    def sort(self, message: Message) -> tuple[str, bytes]:
        if isinstance(message, bytes):
            return "audio", message
        found = json.loads(message)
        return ("tool_result", found["result"].encode()) if found["type"] == "client_tool_result" else ("", b"")

    def heard_text(self, text: str) -> Iterable[Message]:
        yield json.dumps({"type": "transcript", "role": "user", "medium": "voice", "text": text, "final": True})
        yield json.dumps({"type": "state", "state": "speaking"})

    def said(self, text: str) -> Iterable[Message]:
        yield json.dumps({"type": "transcript", "role": "agent", "medium": "voice", "delta": text, "final": False})

    def audio(self, audio: bytes) -> Iterable[Message]:
        yield audio

    def tool_call(self, call: str, name: str, arguments: str) -> Iterable[Message]:
        found = {"invocationId": call, "toolName": name, "parameters": json.loads(arguments)}
        yield json.dumps({"type": "client_tool_invocation", **found})

    def done(self) -> Iterable[Message]:
        yield json.dumps({"type": "state", "state": "listening"})

    def interrupted(self) -> Iterable[Message]:
        yield json.dumps({"type": "playback_clear_buffer"})

    def error(self) -> Iterable[Message]:
        self.drop()
        return ()
