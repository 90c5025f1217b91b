"""Anthropic: Messages, streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pydantic import Field

from gateway.options import Secret
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
from gateway.providers.options import RoleOptions, VendorOptions, address, merged, secret
from gateway.providers.sessions.vendor import adapter

__all__ = ["SPEC", "AnthropicOptions", "MessagesDialect"]

_REASONS: Final = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tools",
    "refusal": "filtered",
}
_TRANSIENT: Final = {"overloaded_error", "api_error", "rate_limit_error", "timeout_error", "gateway_timeout_error"}
_BUSY: Final = {"overloaded_error", "rate_limit_error"}


class AnthropicLlm(RoleOptions):
    """A Claude."""

    model: str = "claude-haiku-4-5"
    """A dated one does not change by itself; what answers is reported."""
    max_tokens: int = 400
    """Of an answer: the interface wants a limit."""


class AnthropicOptions(VendorOptions):
    """A provider of kind ``anthropic``."""

    api_key: Secret
    """From console.anthropic.com."""
    base_url: str = "https://api.anthropic.com"
    """Where the API is."""
    version: str = "2023-06-01"
    """Of the API, as the header ``anthropic-version`` pins it."""
    llm: AnthropicLlm = Field(default_factory=AnthropicLlm)


class MessagesDialect(LlmDialect):
    def __init__(self, options: AnthropicOptions) -> None:
        self._options = options
        self.model = ModelInfo(options.llm.model, "")
        self._tools: dict[int, dict[str, str]] = {}
        self._reason = ""
        self._spent = Spent()

    def request(self, messages: Sequence[Message], tools: Sequence[Tool]) -> HttpRequest:
        options, llm = self._options, self._options.llm
        headers = {
            "x-api-key": secret(options.api_key),
            "anthropic-version": options.version,
            "content-type": "application/json",
            **options.headers,
        }
        system = "\n\n".join(message.text for message in messages if message.role == "system")
        body: dict[str, Any] = {
            "model": llm.model,
            "max_tokens": llm.max_tokens,
            "stream": True,
            "messages": _alternating(messages),
        }
        if system:
            # What does not change from turn to turn is read from the cache.
            body["system"] = [{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}]
        if tools:
            body["tools"] = [
                {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)}
                for tool in tools
            ]
        url = address(options.base_url, "/v1/messages", {}, llm.query)
        return HttpRequest(url, headers, merged(body, llm.extra))

    def decode(self, event: ServerEvent) -> Iterator[LlmEvent]:
        found = json.loads(event.data)
        match found.get("type"):
            case "message_start":
                yield from self._started(found["message"])
            case "content_block_start" if found["content_block"]["type"] == "tool_use":
                block = found["content_block"]
                self._tools[found["index"]] = {"call": block["id"], "name": block["name"], "arguments": ""}
            case "content_block_delta":
                yield from self._delta(found["index"], found["delta"])
            case "content_block_stop" if tool := self._tools.pop(found["index"], None):
                yield Use(ToolUse(tool["call"], tool["name"], tool["arguments"] or "{}"))
            case "message_delta":
                self._reason = found["delta"].get("stop_reason") or self._reason
                usage = found.get("usage") or {}
                yield Spent(
                    input_tokens=self._spent.input_tokens,
                    cached_tokens=self._spent.cached_tokens,
                    output_tokens=usage.get("output_tokens", 0),
                )
            case "message_stop":
                yield Done(_REASONS.get(self._reason, "stop"))
            case "error":
                kind = found["error"]["type"]
                yield Fault(f"{kind}: {found['error']['message']}", kind in _TRANSIENT, kind in _BUSY)

    def _started(self, message: dict[str, Any]) -> Iterator[LlmEvent]:
        self.model = ModelInfo(message["model"], "")
        yield Model(self.model)
        usage = message.get("usage") or {}
        cached = usage.get("cache_read_input_tokens") or 0
        total = (usage.get("input_tokens") or 0) + cached + (usage.get("cache_creation_input_tokens") or 0)
        self._spent = Spent(input_tokens=total, cached_tokens=cached)

    def _delta(self, index: int, delta: dict[str, Any]) -> Iterator[LlmEvent]:
        match delta.get("type"):
            case "text_delta":
                yield Text(delta["text"])
            case "input_json_delta" if index in self._tools:
                self._tools[index]["arguments"] += delta["partial_json"]


def _alternating(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """User and assistant by turns, the user first; what follows each other in one role becomes one message."""
    found: list[dict[str, Any]] = []
    for message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message)
        if not blocks or message.role == "system":
            continue
        if found and found[-1]["role"] == role:
            found[-1]["content"] += blocks
        else:
            found.append({"role": role, "content": blocks})
    if found and found[0]["role"] == "assistant":
        # The agent spoke first; the interface wants to have been spoken to.
        found.insert(0, {"role": "user", "content": [{"type": "text", "text": "(The call has begun.)"}]})
    return found


def _blocks(message: Message) -> list[dict[str, Any]]:
    if message.role == "tool":
        return [{"type": "tool_result", "tool_use_id": message.call, "content": message.text}]
    text = [{"type": "text", "text": message.text}] if message.text.strip() else []
    return text + [
        {"type": "tool_use", "id": use.call, "name": use.name, "input": json.loads(use.arguments)}
        for use in message.uses
    ]


SPEC: Final = adapter("anthropic", AnthropicOptions, llm=MessagesDialect)
