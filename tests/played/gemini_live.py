"""Gemini Live, played: JSON in binary frames."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Any

from tests.played.roles import RealtimeScript
from tests.played.stage import Message


def told(**fields: Any) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode()


class Live(RealtimeScript):
    bytes_per_ms = 32
    out_bytes_per_ms = 48
    sample = b"\0\0"

    def allowed(self) -> bool:
        return self.request.headers.get("x-goog-api-key") == "key"

    async def on_message(self, message: Message) -> None:
        if "setup" in json.loads(message):
            await self.say([told(setupComplete={"sessionId": "s"})])
        await super().on_message(message)

    def sort(self, message: Message) -> tuple[str, bytes]:
        found = json.loads(message)
        if audio := found.get("realtimeInput", {}).get("audio"):
            assert audio["mimeType"] == "audio/pcm;rate=16000"
            return "audio", b64decode(audio["data"])
        if answer := found.get("toolResponse"):
            return "tool_result", json.dumps(answer).encode()
        return "", b""

    def heard_text(self, text: str) -> Iterable[Message]:
        yield told(serverContent={"inputTranscription": {"text": text}})

    def said(self, text: str) -> Iterable[Message]:
        yield told(serverContent={"outputTranscription": {"text": text}})

    def audio(self, audio: bytes) -> Iterable[Message]:
        part = {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": b64encode(audio).decode()}}
        yield told(serverContent={"modelTurn": {"parts": [part]}})

    def tool_call(self, call: str, name: str, arguments: str) -> Iterable[Message]:
        yield told(toolCall={"functionCalls": [{"id": call, "name": name, "args": json.loads(arguments)}]})

    def done(self) -> Iterable[Message]:
        usage = {"promptTokenCount": 7, "responseTokenCount": 5}
        yield told(serverContent={"generationComplete": True}, usageMetadata=usage)
        yield told(serverContent={"turnComplete": True})

    def interrupted(self) -> Iterable[Message]:
        yield told(serverContent={"interrupted": True})

    def error(self) -> Iterable[Message]:
        self.drop()
        return ()
