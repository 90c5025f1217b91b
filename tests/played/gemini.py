"""Gemini's ``streamGenerateContent``, played."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tests.played.roles import LlmScript

USAGE = {
    "promptTokenCount": 7,
    "cachedContentTokenCount": 3,
    "candidatesTokenCount": 4,
    "thoughtsTokenCount": 1,
    "totalTokenCount": 12,
}


def chunk(*parts: dict[str, Any], finish: str | None = None) -> str:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    found = {
        "candidates": [candidate],
        "usageMetadata": USAGE,
        "modelVersion": "gemini-3.5-flash-001",
        "responseId": "r",
    }
    return f"data: {json.dumps(found, ensure_ascii=False)}\r\n\r\n"


class StreamGenerate(LlmScript):
    def allowed(self) -> bool:
        request = self.request
        return request.headers.get("x-goog-api-key") == "key" and request.query.get("alt") == "sse"

    def last_message(self, body: dict[str, Any]) -> str:
        part = body["contents"][-1]["parts"][-1]
        return str(part.get("text") or part.get("functionResponse"))

    def head(self) -> Iterable[str]:
        yield chunk({"text": "The caller wants ...", "thought": True})

    def token(self, text: str) -> Iterable[str]:
        yield chunk({"text": text})

    def tool_call(self, name: str, arguments: str) -> Iterable[str]:
        yield chunk({"functionCall": {"name": name, "args": json.loads(arguments)}, "thoughtSignature": "c2lnbg=="})

    def finish(self, *, tools: bool) -> Iterable[str]:
        """With tools as well."""
        yield chunk({"text": ""}, finish="STOP")

    def failure(self) -> Iterable[str]:
        error = {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}
        yield f"data: {json.dumps({'error': error})}\r\n\r\n"
