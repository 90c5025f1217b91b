"""Anthropic, played."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from tests.played.roles import LlmScript


class Messages(LlmScript):
    def allowed(self) -> bool:
        headers = self.request.headers
        return headers.get("x-api-key") == "key" and headers.get("anthropic-version") == "2023-06-01"

    def refusal(self, status: int) -> str:
        return json.dumps({"type": "error", "error": {"type": "test", "message": f"refused with {status}"}})

    def last_message(self, body: dict[str, Any]) -> str:
        roles = [message["role"] for message in body["messages"]]
        assert roles[0] == "user"
        assert all(one != other for one, other in pairwise(roles))
        block = body["messages"][-1]["content"][-1]
        return str(block.get("text") or block.get("content"))

    def chunk(self, kind: str, **fields: Any) -> str:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields}, ensure_ascii=False)}\n\n"

    def head(self) -> Iterable[str]:
        usage = {"input_tokens": 4, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 0, "output_tokens": 1}
        message = {"id": "m", "model": "claude-haiku-4-5-20251001", "role": "assistant", "content": [], "usage": usage}
        yield self.chunk("message_start", message=message)
        yield self.chunk("ping")
        self.started = False

    def token(self, text: str) -> Iterable[str]:
        if not self.started:
            self.started = True
            yield self.chunk("content_block_start", index=0, content_block={"type": "text", "text": ""})
        yield self.chunk("content_block_delta", index=0, delta={"type": "text_delta", "text": text})

    def tool_call(self, name: str, arguments: str) -> Iterable[str]:
        block = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}
        yield self.chunk("content_block_start", index=1, content_block=block)
        for piece in (arguments[:4], arguments[4:]):
            yield self.chunk("content_block_delta", index=1, delta={"type": "input_json_delta", "partial_json": piece})
        yield self.chunk("content_block_stop", index=1)

    def finish(self, *, tools: bool) -> Iterable[str]:
        delta = {"stop_reason": "tool_use" if tools else "end_turn", "stop_sequence": None}
        yield self.chunk("message_delta", delta=delta, usage={"output_tokens": 5})
        yield self.chunk("message_stop")

    def failure(self) -> Iterable[str]:
        yield self.chunk("error", error={"type": "overloaded_error", "message": "overloaded"})
