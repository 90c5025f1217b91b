"""xAI, played."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

from tests.played.openai import Realtime, event
from tests.played.roles import QuietSttScript, TtsScript
from tests.played.stage import Message, Script


class _Keyed(Script):
    def allowed(self) -> bool:
        return self.request.headers.get("Authorization") == "Bearer key"


class GrokVoice(Realtime):
    def greeting(self) -> Iterable[Message]:
        yield from super().greeting()
        yield event("conversation.created", conversation={"id": "c1"})
        yield event("ping", timestamp=1)


class Listen(_Keyed, QuietSttScript):
    def greeting(self) -> Iterable[Message]:
        query = self.request.query
        self.bytes_per_ms = {"mulaw": 1, "pcm": 2}[query["encoding"]] * int(query["sample_rate"]) / 1000
        yield event("transcript.created")

    def sort(self, message: Message) -> tuple[str, bytes]:
        return ("audio", message) if isinstance(message, bytes) else ("", b"")

    def interim(self, text: str) -> Iterable[Message]:
        yield event("transcript.partial", text=text, is_final=False, speech_final=False)

    def final(self, text: str) -> Iterable[Message]:
        yield event("transcript.partial", text=text, is_final=True, speech_final=True, start=0, duration=1)

    def error(self) -> Iterable[Message]:
        yield event("error", message="internal")


class Speak(_Keyed, TtsScript):
    text = ""

    def sort(self, message: Message) -> tuple[str, str, str]:
        assert self.request.query["codec"] == "mulaw"
        found: dict[str, Any] = json.loads(message)
        match found["type"]:
            case "text.delta":
                self.text += found["delta"]
            case "text.done":
                text, self.text = self.text, ""
                return "speak", "", text
            case "text.clear":
                return "cancel", "", ""
        return "", "", ""

    def audio(self, context: str, audio: bytes) -> Iterable[Message]:
        yield event("audio.delta", delta=b64encode(audio).decode())

    def done(self, context: str) -> Iterable[Message]:
        yield event("audio.done")

    def cancelled(self, context: str) -> Iterable[Message]:
        yield event("audio.clear")

    def error(self) -> Iterable[Message]:
        yield event("error", message="internal")
