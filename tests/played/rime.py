"""Rime, played."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

from tests.played.roles import TtsScript
from tests.played.stage import Message


class Ws3(TtsScript):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.texts: dict[str, str] = {}

    def allowed(self) -> bool:
        query = self.request.query
        assert (query["audioFormat"], query["samplingRate"], query["lang"]) == ("mulaw", "8000", "eng")
        return self.request.headers.get("Authorization") == "Bearer key"

    def sort(self, message: Message) -> tuple[str, str, str]:
        found = json.loads(message)
        context = found.get("contextId", "")
        match found.get("operation"):
            case "flush":
                return "speak", context, self.texts.pop(context)
            case "clear":
                return "cancel", next(iter(self.speaking), ""), ""
        self.texts[context] = self.texts.get(context, "") + found["text"]
        return "", "", ""

    def told(self, kind: str, context: str, **fields: Any) -> str:
        return json.dumps({"type": kind, "contextId": context, **fields})

    def audio(self, context: str, audio: bytes) -> Iterable[Message]:
        yield self.told("chunk", context, data=b64encode(audio).decode())

    def words(self, context: str, words: list[tuple[str, float, float]]) -> Iterable[Message]:
        texts, starts, ends = zip(*words, strict=True)
        yield self.told("timestamps", context, word_timestamps={"words": texts, "start": starts, "end": ends})

    def done(self, context: str) -> Iterable[Message]:
        yield self.told("done", context)

    def error(self) -> Iterable[Message]:
        yield json.dumps({"type": "error", "message": "oops"})
