"""Speechmatics, played."""

from __future__ import annotations

import json
from collections.abc import Iterable

from tests.played.roles import SttScript
from tests.played.stage import Message


class RealTime(SttScript):
    limit_close = (4006, "timelimit_exceeded")
    frames = 0

    def allowed(self) -> bool:
        return self.request.headers.get("Authorization") == "Bearer key"

    async def on_message(self, message: Message) -> None:
        found = json.loads(message) if isinstance(message, str) else {}
        if found.get("message") == "StartRecognition":
            audio = found["audio_format"]
            self.bytes_per_ms = {"mulaw": 1, "pcm_s16le": 2}[audio["encoding"]] * audio["sample_rate"] / 1000
            told = {"message": "RecognitionStarted", "id": "s", "orchestrator_version": "2026.08.1"}
            await self.say([json.dumps(told)])
            return
        await super().on_message(message)
        if isinstance(message, bytes):
            self.frames += 1
            await self.say([json.dumps({"message": "AudioAdded", "seq_no": self.frames})])

    def sort(self, message: Message) -> tuple[str, bytes]:
        if isinstance(message, bytes):
            return "audio", message
        return {"ForceEndOfUtterance": "end"}.get(json.loads(message)["message"], ""), b""

    def told(self, kind: str, text: str) -> str:
        results = [
            {
                "type": "word",
                "start_time": 0.1,
                "end_time": 0.4,
                "alternatives": [{"content": word, "confidence": 0.9, "language": "en"}],
            }
            for word in text.split()
        ]
        metadata = {"start_time": 0.0, "end_time": 1.0, "transcript": text}
        return json.dumps({"message": kind, "format": "2.9", "metadata": metadata, "results": results})

    def interim(self, text: str) -> Iterable[Message]:
        yield self.told("AddPartialTranscript", text)

    def final(self, text: str) -> Iterable[Message]:
        yield self.told("AddTranscript", text)
        metadata = {"start_time": 0.0, "end_time": 1.0}
        yield json.dumps({"message": "EndOfUtterance", "forced": True, "metadata": metadata})

    def error(self) -> Iterable[Message]:
        yield json.dumps({"message": "Error", "type": "internal_error", "reason": "oops"})
