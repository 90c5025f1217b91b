"""Soniox, played."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

from tests.played.roles import SttScript, TtsScript
from tests.played.stage import Message


def token(text: str, *, final: bool = True) -> dict[str, Any]:
    return {"text": text, "start_ms": 100, "end_ms": 200, "confidence": 0.9, "is_final": final}


class Transcribe(SttScript):
    limit_close = (1000, "")

    def allowed(self) -> bool:
        return self.request.headers.get("Authorization") == "Bearer key"

    def sort(self, message: Message) -> tuple[str, bytes]:
        if isinstance(message, bytes):
            assert message, "an empty message ends the session"
            return "audio", message
        found = json.loads(message)
        if "model" in found:
            width = {"mulaw": 1, "pcm_s16le": 2}[found["audio_format"]]
            self.bytes_per_ms = width * found["sample_rate"] / 1000
            assert found["api_key"] == "key"
        return {"finalize": "end"}.get(found.get("type"), ""), b""

    def told(self, *tokens: dict[str, Any]) -> str:
        return json.dumps({"tokens": tokens, "final_audio_proc_ms": 100, "total_audio_proc_ms": 120})

    def interim(self, text: str) -> Iterable[Message]:
        yield self.told(*(token(f" {word}", final=False) for word in text.split()))

    def final(self, text: str) -> Iterable[Message]:
        """In parts of words, over two messages."""
        half = len(text) // 2
        if text:
            yield self.told(token(f" {text[:half]}"), token(text[half:], final=False))
            yield self.told(token(text[half:]))
        yield self.told(token("<fin>"))

    def error(self) -> Iterable[Message]:
        yield json.dumps({"tokens": [], "error_code": 503, "error_message": "Cannot continue request (code 7)."})


class Voice(TtsScript):
    limit_close = (1000, "")

    def allowed(self) -> bool:
        return self.request.headers.get("Authorization") == "Bearer key"

    def sort(self, message: Message) -> tuple[str, str, str]:
        found = json.loads(message)
        if "model" in found:
            assert (found["audio_format"], found["sample_rate"], found["api_key"]) == ("pcm_mulaw", 8000, "key")
        elif found.get("cancel"):
            return "cancel", found["stream_id"], ""
        elif "text" in found:
            assert found["text_end"]
            return "speak", found["stream_id"], found["text"]
        return "", "", ""

    def told(self, context: str, **fields: Any) -> str:
        return json.dumps({"stream_id": context, **fields})

    def audio(self, context: str, audio: bytes) -> Iterable[Message]:
        yield self.told(context, audio=b64encode(audio).decode(), audio_end=False)

    def words(self, context: str, words: list[tuple[str, float, float]]) -> Iterable[Message]:
        text = " ".join(word for word, _, _ in words)
        times = [round(0.02 * number, 3) for number, _ in enumerate(f"{text} ")]
        stamps = {
            "characters": list(text),
            "character_start_times_seconds": times[:-1],
            "character_end_times_seconds": times[1:],
        }
        yield self.told(context, timestamps=stamps)

    def done(self, context: str) -> Iterable[Message]:
        yield self.told(context, audio="", audio_end=True)
        yield self.told(context, terminated=True)

    def cancelled(self, context: str) -> Iterable[Message]:
        yield self.told(context, terminated=True)

    def error(self) -> Iterable[Message]:
        context = next(iter(self.speaking))
        yield self.told(context, error_code=500, error_message="oops")
        yield self.told(context, terminated=True)
