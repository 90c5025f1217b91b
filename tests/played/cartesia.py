"""Cartesia, played."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

from tests.played.roles import QuietSttScript, SttScript, TtsScript
from tests.played.stage import Message


class Sonic(TtsScript):
    limit_close = (1000, "idle")

    def allowed(self) -> bool:
        headers = self.request.headers
        return headers.get("X-API-Key") == "key" and headers.get("Cartesia-Version") == "2026-08-14"

    def sort(self, message: Message) -> tuple[str, str, str]:
        found = json.loads(message)
        context = found["context_id"]
        if found.get("cancel"):
            return "cancel", context, ""
        form = found["output_format"]
        assert form["container"] == "raw"
        if form["encoding"] == "pcm_s16le":
            self.sample, self.samples_per_ms = b"\0\0", form["sample_rate"] // 1000
        return "speak", context, found["transcript"]

    def told(self, context: str, **fields: Any) -> str:
        return json.dumps({"context_id": context, "status_code": 206, "done": False, **fields})

    def audio(self, context: str, audio: bytes) -> Iterable[Message]:
        yield self.told(context, type="chunk", data=b64encode(audio).decode(), step_time=10.0)

    def words(self, context: str, words: list[tuple[str, float, float]]) -> Iterable[Message]:
        texts, starts, ends = zip(*words, strict=True)
        yield self.told(context, type="timestamps", word_timestamps={"words": texts, "start": starts, "end": ends})

    def done(self, context: str) -> Iterable[Message]:
        yield self.told(context, type="done", status_code=200, done=True)

    def error(self) -> Iterable[Message]:
        context = next(iter(self.speaking))
        yield self.told(context, type="error", status_code=500, done=True, title="Oops", message="try again")


class _Listen:
    request: Any

    def allowed(self) -> bool:
        return bool(self.request.headers.get("X-API-Key") == "key")

    @property
    def bytes_per_ms(self) -> float:
        query = self.request.query
        width = {"pcm_mulaw": 1, "pcm_alaw": 1, "pcm_s16le": 2}[query["encoding"]]
        return float(width * int(query["sample_rate"]) / 1000)


class Ink(_Listen, QuietSttScript):  # type: ignore[misc]
    def greeting(self) -> Iterable[Message]:
        yield json.dumps({"type": "connected", "request_id": "r"})

    def sort(self, message: Message) -> tuple[str, bytes]:
        return ("audio", message) if isinstance(message, bytes) else ("", b"")

    def interim(self, text: str) -> Iterable[Message]:
        yield json.dumps({"type": "turn.start", "request_id": "r"})
        yield json.dumps({"type": "turn.update", "transcript": text, "request_id": "r"})

    def final(self, text: str) -> Iterable[Message]:
        yield json.dumps({"type": "turn.end", "transcript": text, "request_id": "r"})

    def error(self) -> Iterable[Message]:
        yield json.dumps({"type": "error", "status_code": 500, "title": "Oops", "message": "try again"})


class InkManual(_Listen, SttScript):  # type: ignore[misc]
    def sort(self, message: Message) -> tuple[str, bytes]:
        if isinstance(message, bytes):
            return "audio", message
        return ("end" if message == "finalize" else ""), b""

    def interim(self, text: str) -> Iterable[Message]:
        yield json.dumps({"type": "transcript", "is_final": False, "text": text, "request_id": "r"})

    def final(self, text: str) -> Iterable[Message]:
        yield json.dumps({"type": "transcript", "is_final": True, "text": text, "language": "en", "request_id": "r"})
        yield json.dumps({"type": "flush_done"})

    def error(self) -> Iterable[Message]:
        yield json.dumps({"type": "error", "status_code": 500, "message": "try again"})
