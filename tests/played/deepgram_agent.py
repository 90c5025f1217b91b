"""Deepgram's Voice Agent, played: mu-law both ways, in binary."""

from __future__ import annotations

import json
from collections.abc import Iterable

from tests.played.roles import RealtimeScript
from tests.played.stage import Message


class Converse(RealtimeScript):
    def allowed(self) -> bool:
        return self.request.headers.get("Authorization") == "Token key"

    def greeting(self) -> Iterable[Message]:
        yield json.dumps({"type": "Welcome", "request_id": "r"})

    async def on_message(self, message: Message) -> None:
        if isinstance(message, str) and json.loads(message)["type"] == "Settings":
            audio = json.loads(message)["audio"]
            assert audio["input"] == {"encoding": "mulaw", "sample_rate": 8000}
            assert audio["output"] == {"encoding": "mulaw", "sample_rate": 8000, "container": "none"}
            await self.say([json.dumps({"type": "SettingsApplied"})])
        await super().on_message(message)

    def sort(self, message: Message) -> tuple[str, bytes]:
        if isinstance(message, bytes):
            return "audio", message
        found = json.loads(message)
        return ("tool_result", found["content"].encode()) if found["type"] == "FunctionCallResponse" else ("", b"")

    def heard_text(self, text: str) -> Iterable[Message]:
        yield json.dumps({"type": "ConversationText", "role": "user", "content": text})

    def said(self, text: str) -> Iterable[Message]:
        yield json.dumps({"type": "ConversationText", "role": "assistant", "content": text})

    def audio(self, audio: bytes) -> Iterable[Message]:
        yield audio

    def tool_call(self, call: str, name: str, arguments: str) -> Iterable[Message]:
        function = {"id": call, "name": name, "arguments": arguments, "client_side": True}
        yield json.dumps({"type": "FunctionCallRequest", "functions": [function]})

    def done(self) -> Iterable[Message]:
        yield json.dumps({"type": "AgentAudioDone"})

    def interrupted(self) -> Iterable[Message]:
        yield json.dumps({"type": "UserStartedSpeaking"})

    def error(self) -> Iterable[Message]:
        yield json.dumps({"type": "Error", "code": "INTERNAL_SERVER_ERROR", "description": "oops"})
