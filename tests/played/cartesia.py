"""Cartesia, played."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

from tests.played.roles import TtsScript
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
