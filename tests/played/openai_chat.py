"""Chat Completions, played."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tests.played.roles import LlmScript


def data(**fields: Any) -> str:
    return f"data: {json.dumps(fields, ensure_ascii=False)}\n\n"


def chunk(delta: dict[str, Any], finish: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return data(
        id="c1", object="chat.completion.chunk", model="acme-llm-2026-07", system_fingerprint="fp_7", choices=[choice]
    )


class Chat(LlmScript):
    def allowed(self) -> bool:
        return self.request.headers.get("Authorization") == "Bearer key"

    def last_message(self, body: dict[str, Any]) -> str:
        return str(body["messages"][-1]["content"])

    def head(self) -> Iterable[str]:
        yield chunk({"role": "assistant", "content": ""})

    def token(self, text: str) -> Iterable[str]:
        yield chunk({"content": text})

    def tool_call(self, name: str, arguments: str) -> Iterable[str]:
        first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}}
        yield chunk({"tool_calls": [first]})
        for piece in (arguments[:4], arguments[4:]):
            yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})

    def finish(self, *, tools: bool) -> Iterable[str]:
        yield chunk({}, "tool_calls" if tools else "stop")
        usage = {"prompt_tokens": 7, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 3}}
        yield data(id="c1", model="acme-llm-2026-07", choices=[], usage=usage)
        yield "data: [DONE]\n\n"

    def failure(self) -> Iterable[str]:
        yield data(error={"message": "overloaded", "type": "server_error", "code": None})
