"""Inworld, played."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Any

from tests.played.openai import Realtime
from tests.played.roles import SttScript, TtsScript
from tests.played.stage import Message, Script


class _Keyed(Script):
    def allowed(self) -> bool:
        return self.request.headers.get("Authorization") == "Basic key"


class Cascade(_Keyed, Realtime):
    def allowed(self) -> bool:
        return _Keyed.allowed(self) and self.request.query["protocol"] == "realtime"


class Bidirectional(_Keyed, TtsScript):
    sample = b"\0\0"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.texts: dict[str, str] = {}

    def sort(self, message: Message) -> tuple[str, str, str]:
        found = json.loads(message)
        context = found["contextId"]
        if "create" in found:
            assert found["create"]["audioConfig"] == {"audioEncoding": "PCM", "sampleRateHertz": 8000}
            self.texts[context] = ""
        elif "send_text" in found:
            assert len(found["send_text"]["text"]) <= 1000
            self.texts[context] += found["send_text"]["text"]
        elif "close_context" in found:
            return "speak", context, self.texts.pop(context)
        elif "cancel_context" in found:
            return "cancel", context, ""
        return "", "", ""

    def result(self, context: str, **fields: Any) -> str:
        return json.dumps({"result": {"contextId": context, "status": {"code": 0, "message": ""}, **fields}})

    def audio(self, context: str, audio: bytes) -> Iterable[Message]:
        yield self.result(context, audioChunk={"audioContent": b64encode(audio).decode()})

    def words(self, context: str, words: list[tuple[str, float, float]]) -> Iterable[Message]:
        texts, starts, ends = zip(*words, strict=True)
        alignment = {"words": texts, "wordStartTimeSeconds": starts, "wordEndTimeSeconds": ends}
        yield self.result(context, contextCreated={})
        yield self.result(context, audioChunk={"audioContent": "", "timestampInfo": {"wordAlignment": alignment}})

    def done(self, context: str) -> Iterable[Message]:
        yield self.result(context, flushCompleted={})
        yield self.result(context, contextClosed={}, usage={"processedCharactersCount": 5})

    def cancelled(self, context: str) -> Iterable[Message]:
        yield self.result(context, contextClosed={})

    def error(self) -> Iterable[Message]:
        yield json.dumps({"error": {"code": 13, "message": "internal", "details": []}})


class Transcribe(_Keyed, SttScript):
    bytes_per_ms = 32

    def sort(self, message: Message) -> tuple[str, bytes]:
        found = json.loads(message)
        if "audioChunk" in found:
            return "audio", b64decode(found["audioChunk"]["content"])
        return ("end" if "endTurn" in found else ""), b""

    def interim(self, text: str) -> Iterable[Message]:
        yield json.dumps({"result": {"speechStarted": {}}})
        yield json.dumps({"result": {"transcription": {"transcript": text, "isFinal": False}}})

    def final(self, text: str) -> Iterable[Message]:
        yield json.dumps({"result": {"transcription": {"transcript": text, "isFinal": True}}})

    def error(self) -> Iterable[Message]:
        yield json.dumps({"error": {"code": 14, "message": "unavailable"}})
