"""Vapi, played: the call that is made over HTTP, and mu-law both ways."""

from __future__ import annotations

import json
from collections.abc import Iterable

from aiohttp import web

from tests.played.roles import RealtimeScript
from tests.played.stage import Message


class Transport(RealtimeScript):
    def allowed(self) -> bool:
        return self.request.method == "GET" or self.request.headers.get("Authorization") == "Bearer key"

    async def answer(self) -> web.Response:
        transport = (await self.request.json())["transport"]
        assert transport["audioFormat"] == {"format": "mulaw", "container": "raw", "sampleRate": 8000}
        found = {"id": "c", "transport": {"websocketCallUrl": f"ws://{self.request.host}/c/transport"}}
        return web.json_response(found, status=201)

    def sort(self, message: Message) -> tuple[str, bytes]:
        return ("audio", message) if isinstance(message, bytes) else ("", b"")

    def heard_text(self, text: str) -> Iterable[Message]:
        found = {"role": "user", "transcriptType": "final", "transcript": text}
        yield json.dumps({"type": "transcript", **found})

    def said(self, text: str) -> Iterable[Message]:
        found = {"role": "assistant", "transcriptType": "final", "transcript": text}
        yield json.dumps({"type": "transcript", **found})

    def audio(self, audio: bytes) -> Iterable[Message]:
        yield audio

    def done(self) -> Iterable[Message]:
        yield json.dumps({"type": "speech-update", "status": "stopped", "role": "assistant"})

    def interrupted(self) -> Iterable[Message]:
        yield json.dumps({"type": "user-interrupted"})

    def error(self) -> Iterable[Message]:
        self.drop()
        return ()
