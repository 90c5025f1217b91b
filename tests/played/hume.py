"""Hume's EVI, played: PCM at 8 kHz up, WAV files of 48 kHz down."""

from __future__ import annotations

import json
import wave
from base64 import b64decode, b64encode
from collections.abc import Iterable
from io import BytesIO

from tests.played.roles import RealtimeScript
from tests.played.stage import Message


class Chat(RealtimeScript):
    bytes_per_ms = 16
    out_bytes_per_ms = 96
    sample = b"\0\0"
    answer = 1

    def allowed(self) -> bool:
        return self.request.headers.get("X-Hume-Api-Key") == "key"

    def greeting(self) -> Iterable[Message]:
        yield json.dumps({"type": "chat_metadata", "chat_id": "c", "chat_group_id": "g", "request_id": "r"})

    def sort(self, message: Message) -> tuple[str, bytes]:
        found = json.loads(message)
        match found["type"]:
            case "session_settings":
                assert found["audio"] == {"encoding": "linear16", "sample_rate": 8000, "channels": 1}
            case "audio_input":
                return "audio", b64decode(found["data"])
            case "tool_response":
                return "tool_result", found["content"].encode()
        return "", b""

    def heard_text(self, text: str) -> Iterable[Message]:
        yield json.dumps({"type": "user_message", "message": {"role": "user", "content": text}, "interim": False})

    def said(self, text: str) -> Iterable[Message]:
        yield json.dumps({"type": "assistant_message", "id": "m", "message": {"role": "assistant", "content": text}})

    def audio(self, audio: bytes) -> Iterable[Message]:
        file = BytesIO()
        with wave.open(file, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(48_000)
            out.writeframes(audio)
        data = b64encode(file.getvalue()).decode()
        yield json.dumps({"type": "audio_output", "id": f"a{self.answer}", "index": 0, "data": data})

    def tool_call(self, call: str, name: str, arguments: str) -> Iterable[Message]:
        found = {"tool_call_id": call, "name": name, "parameters": arguments, "response_required": True}
        yield json.dumps({"type": "tool_call", **found})

    def done(self) -> Iterable[Message]:
        yield json.dumps({"type": "assistant_end"})

    def interrupted(self) -> Iterable[Message]:
        yield json.dumps({"type": "user_interruption", "time": 1})
        self.answer += 1

    def error(self) -> Iterable[Message]:
        yield json.dumps({"type": "error", "code": "I0100", "slug": "internal", "message": "oops"})
