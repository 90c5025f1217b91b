"""OpenAI's Responses API, streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from gateway.providers.contract import Message, ModelInfo, Tool, ToolUse
from gateway.providers.dialect import (
    Done,
    Fault,
    HttpRequest,
    LlmDialect,
    LlmEvent,
    Model,
    ServerEvent,
    Spent,
    Text,
    Use,
)
from gateway.providers.faults import is_quota
from gateway.providers.options import address, merged, secret

__all__ = ["ResponsesDialect"]

_REASONS: Final = {"max_output_tokens": "length", "content_filter": "filtered"}


class ResponsesDialect(LlmDialect):
    """Nothing is stored at the provider: the whole conversation is sent each time."""

    def __init__(self, options: Any, llm: Any) -> None:
        self._options = options
        self._llm = llm
        self.model = ModelInfo(llm.model, "")
        self._called = False

    def request(self, messages: Sequence[Message], tools: Sequence[Tool]) -> HttpRequest:
        options, llm = self._options, self._llm
        headers = {
            "Authorization": f"Bearer {secret(options.api_key)}",
            "Content-Type": "application/json",
            "Accept": "text/event-stream",
            **options.headers,
        }
        body: dict[str, Any] = {
            "model": llm.model,
            "input": [item for message in messages for item in _items(message)],
            "stream": True,
            "store": False,
            "temperature": llm.temperature,
            "max_output_tokens": llm.max_tokens,
            "reasoning": {"effort": llm.effort} if llm.effort else None,
            "tools": [
                {
                    "type": "function",
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": dict(tool.parameters),
                }
                for tool in tools
            ]
            or None,
        }
        body = {key: value for key, value in body.items() if value is not None}
        return HttpRequest(address(options.base_url, "/responses", {}, llm.query), headers, merged(body, llm.extra))

    def decode(self, event: ServerEvent) -> Iterator[LlmEvent]:
        found = json.loads(event.data)
        match found.get("type"):
            case "response.created":
                self.model = ModelInfo(found["response"]["model"], "")
                yield Model(self.model)
            case "response.output_text.delta" | "response.refusal.delta":
                yield Text(found["delta"])
            case "response.output_item.done" if found["item"].get("type") == "function_call":
                item = found["item"]
                self._called = True
                yield Use(ToolUse(item["call_id"], item["name"], item["arguments"] or "{}"))
            case "response.completed":
                yield from self._ended(found["response"], "tools" if self._called else "stop")
            case "response.incomplete":
                response = found["response"]
                reason = (response.get("incomplete_details") or {}).get("reason", "")
                yield from self._ended(response, _REASONS.get(reason, "stop"))
            case "response.failed":
                yield _fault(found["response"].get("error") or {})
            case "error":
                yield _fault(found.get("error") or found)
            case None if found.get("error"):
                yield _fault(found["error"])

    @staticmethod
    def _ended(response: dict[str, Any], reason: str) -> Iterator[LlmEvent]:
        usage = response.get("usage") or {}
        yield Spent(
            input_tokens=usage.get("input_tokens", 0),
            cached_tokens=(usage.get("input_tokens_details") or {}).get("cached_tokens", 0),
            output_tokens=usage.get("output_tokens", 0),
        )
        yield Done(reason)


def _items(message: Message) -> Iterator[dict[str, Any]]:
    if message.role == "tool":
        yield {"type": "function_call_output", "call_id": message.call, "output": message.text}
        return
    if message.text:
        yield {"role": message.role, "content": message.text}
    for use in message.uses:
        yield {"type": "function_call", "call_id": use.call, "name": use.name, "arguments": use.arguments}


def _fault(error: dict[str, Any]) -> Fault:
    code = str(error.get("code") or error.get("type") or "")
    permanent = is_quota(code) or code.startswith(("invalid_", "unsupported_", "context_length"))
    return Fault(f"{code}: {error.get('message', '')}", not permanent, busy=code == "rate_limit_exceeded")
