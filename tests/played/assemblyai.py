"""AssemblyAI, played."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

from tests.played.roles import SttScript, TtsScript
from tests.played.stage import Message


class Streaming(SttScript):
    limit_close = (3008, "session expired")
    turn = 0

    def allowed(self) -> bool:
        headers = self.request.headers
        return headers.get("Authorization") == "key" and headers.get("AssemblyAI-Version") == "2025-05-12"

    def greeting(self) -> Iterable[Message]:
        query = self.request.query
        self.bytes_per_ms = {"pcm_mulaw": 1, "pcm_s16le": 2}[query["encoding"]] * int(query["sample_rate"]) / 1000
        configuration = {"model": query["speech_model"], "api_version": "3.6.1"}
        yield json.dumps({"type": "Begin", "id": "s", "expires_at": 1800000000, "configuration": configuration})

    def sort(self, message: Message) -> tuple[str, bytes]:
        if isinstance(message, bytes):
            assert 50 <= len(message) / self.bytes_per_ms <= 1000, "a frame of another length is refused"
            return "audio", message
        return {"ForceEndpoint": "end"}.get(json.loads(message)["type"], ""), b""

    def told(self, text: str, *, end: bool, formatted: bool = True) -> str:
        return json.dumps(
            {
                "type": "Turn",
                "turn_order": self.turn,
                "transcript": text,
                "end_of_turn": end,
                "turn_is_formatted": formatted,
                "end_of_turn_confidence": 0.8,
                "words": [],
            }
        )

    def interim(self, text: str) -> Iterable[Message]:
        yield json.dumps({"type": "SpeechStarted", "timestamp": 20})
        yield self.told(text, end=False)

    def final(self, text: str) -> Iterable[Message]:
        """Once as it is, once formatted; nothing if no turn is open."""
        if text:
            yield self.told(text, end=True, formatted=False)
            yield self.told(f"{text}.", end=True)
            self.turn += 1

    def error(self) -> Iterable[Message]:
        yield json.dumps({"type": "Error", "error_code": 3005, "error": "server error"})


class Voice(TtsScript):
    limit_close = (3008, "session expired")
    text = ""
    flushes = -1

    def allowed(self) -> bool:
        return self.request.headers.get("Authorization") == "key"

    def greeting(self) -> Iterable[Message]:
        query = self.request.query
        assert query["encoding"] == "pcm_mulaw"
        assert query["sample_rate"] == "8000"
        yield json.dumps({"type": "Begin", "id": "s", "configuration": {"model": "tts-1", "voice_id": "jane"}})

    def sort(self, message: Message) -> tuple[str, str, str]:
        found = json.loads(message)
        match found["type"]:
            case "Generate":
                assert len(found["text"]) <= 2000
                self.text += found["text"]
            case "Flush":
                text, self.text = self.text, ""
                self.flushes += 1
                return "speak", "", text
            case "Cancel":
                return "cancel", "", ""
        return "", "", ""

    def told(self, kind: str, **fields: Any) -> str:
        return json.dumps({"type": kind, "flush_id": self.flushes, **fields})

    def audio(self, context: str, audio: bytes) -> Iterable[Message]:
        yield self.told("Audio", audio=b64encode(audio).decode())

    def words(self, context: str, words: list[tuple[str, float, float]]) -> Iterable[Message]:
        told = [{"word": text, "start": 900 + 1000 * at, "end": 900 + 1000 * end} for text, at, end in words]
        yield self.told("WordBoundaries", audio_start_ms=900, words=told)

    def done(self, context: str) -> Iterable[Message]:
        yield self.told("FlushDone", audio_duration_ms=100)

    def cancelled(self, context: str) -> Iterable[Message]:
        yield json.dumps({"type": "Cancelled", "audio_duration_seconds": 0.1})

    def error(self) -> Iterable[Message]:
        yield json.dumps({"type": "Error", "error_code": 3005, "error": "server error"})
