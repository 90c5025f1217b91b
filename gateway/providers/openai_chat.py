"""Chat Completions, as OpenAI defined them and everybody speaks them: Groq, xAI, vLLM, llama.cpp, Ollama, LiteLLM."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

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
from gateway.providers.faults import is_quota
from gateway.providers.options import RoleOptions, VendorOptions, address, merged, secret
from gateway.providers.sessions.vendor import adapter

__all__ = ["SPEC", "ChatDialect", "ChatLlm", "ChatOptions"]

_FINISHES: Final = {"length": "length", "content_filter": "filtered", "tool_calls": "tools", "function_call": "tools"}
_THINKING: Final = ("<think>", "</think>")


class ChatLlm(RoleOptions):
    """A model behind Chat Completions."""

    model: str = "gpt-5-mini"
    """As the server names it."""
    temperature: float | None = None
    """None leaves it to the server; reasoning models refuse it."""
    max_tokens: int | None = None
    """Of an answer; sent as ``max_completion_tokens`` to OpenAI, as ``max_tokens`` to others."""


class ChatOptions(VendorOptions):
    """A provider of kind ``openai-compatible``: any server of Chat Completions."""

    base_url: str
    """Up to ``/v1``: ``https://api.groq.com/openai/v1``, ``http://127.0.0.1:11434/v1``."""
    api_key: Secret | None = None
    """Sent as ``Authorization: Bearer``; servers of one's own often want none."""
    llm: ChatLlm


class ChatDialect(LlmDialect):
    def __init__(self, options: Any, llm: ChatLlm) -> None:
        """``options`` has ``base_url``, ``api_key`` and ``headers``, whoever's block it is."""
        self._options = options
        self._llm = llm
        self.model = ModelInfo(llm.model, "")
        self._calls: dict[Any, dict[str, str]] = {}
        self._finish = ""
        self._thoughts = _Thoughts()

    def request(self, messages: Sequence[Message], tools: Sequence[Tool]) -> HttpRequest:
        options, llm = self._options, self._llm
        key = secret(options.api_key)
        headers = {
            **({"Authorization": f"Bearer {key}"} if key else {}),
            "Content-Type": "application/json",
            "Accept": "text/event-stream",
            **options.headers,
        }
        limit = "max_completion_tokens" if "api.openai.com" in options.base_url else "max_tokens"
        body = {
            "model": llm.model,
            "messages": [_message(message) for message in messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": llm.temperature,
            limit: llm.max_tokens,
            "tools": [_tool(tool) for tool in tools] or None,
        }
        body = {key: value for key, value in body.items() if value is not None}
        return HttpRequest(
            address(options.base_url, "/chat/completions", {}, llm.query), headers, merged(body, llm.extra)
        )

    def decode(self, event: ServerEvent) -> Iterator[LlmEvent]:
        if event.data.strip() == "[DONE]":
            yield from self.end()
            return
        found = json.loads(event.data)
        if found.get("error"):
            yield _fault(found["error"])
            return
        if "model" in found and found["model"] != self.model.name:
            self.model = ModelInfo(found["model"], found.get("system_fingerprint") or "")
            yield Model(self.model)
        for choice in found.get("choices") or ():
            yield from self._choice(choice)
        if usage := found.get("usage") or (found.get("x_groq") or {}).get("usage"):
            yield _spent(usage)

    def end(self) -> Iterator[LlmEvent]:
        """Some servers leave ``[DONE]`` out; without a finish reason the answer is not whole."""
        if not self._finish:
            yield Fault("the answer broke off", transient=True)
            return
        yield from (Text(text) for text in self._thoughts.end())
        for call in self._calls.values():
            yield Use(ToolUse(call["id"], call["name"], call["arguments"] or "{}"))
        yield Done("tools" if self._calls else _FINISHES.get(self._finish, "stop"))

    # --- inside -------------------------------------------------------------------------------------------------------

    def _choice(self, choice: dict[str, Any]) -> Iterator[LlmEvent]:
        delta = choice.get("delta") or {}
        if content := delta.get("content"):
            yield from (Text(text) for text in self._thoughts.feed(content))
        for piece in delta.get("tool_calls") or ():
            self._collect(piece)
        self._finish = choice.get("finish_reason") or self._finish

    def _collect(self, piece: dict[str, Any]) -> None:
        """A call comes in pieces; some servers leave the index out, and some send the whole at once."""
        index = piece.get("index", piece.get("id", len(self._calls) - 1))
        call = self._calls.setdefault(index, {"id": "", "name": "", "arguments": ""})
        function = piece.get("function") or {}
        call["id"] = piece.get("id") or call["id"]
        call["name"] = function.get("name") or call["name"]
        call["arguments"] += function.get("arguments") or ""


class _Thoughts:
    """Leaves out what a model writes between ``<think>`` and ``</think>``: it is not to be spoken."""

    def __init__(self) -> None:
        self._inside = False
        self._held = ""

    def feed(self, text: str) -> Iterable[str]:
        text, said = self._held + text, []
        while True:
            before, tag, text_after = text.partition(_THINKING[self._inside])
            if not tag:
                break
            if not self._inside:
                said.append(before)
            self._inside, text = not self._inside, text_after
        # The beginning of a tag may be the end of this piece.
        tag = _THINKING[self._inside]
        keep = next((size for size in range(len(tag) - 1, 0, -1) if text.endswith(tag[:size])), 0)
        self._held = text[len(text) - keep :]
        if not self._inside:
            said.append(text[: len(text) - keep])
        return [piece for piece in said if piece]

    def end(self) -> Iterable[str]:
        return [self._held] if self._held and not self._inside else []


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.call, "content": message.text}
    if not message.uses:
        return {"role": message.role, "content": message.text}
    calls = [
        {"id": use.call, "type": "function", "function": {"name": use.name, "arguments": use.arguments}}
        for use in message.uses
    ]
    return {"role": message.role, "content": message.text or None, "tool_calls": calls}


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def _fault(error: Any) -> Fault:
    """An error in mid-stream; some servers send only its text."""
    text = str(error.get("message", error)) if isinstance(error, dict) else str(error)
    code = str(error.get("code") or error.get("type") or "") if isinstance(error, dict) else ""
    permanent = is_quota(code) or code in {"400", "401", "403", "404", "invalid_request_error", "invalid_api_key"}
    return Fault(f"{code}: {text}" if code else text, not permanent, busy=code in {"429", "rate_limit_exceeded"})


def _spent(usage: dict[str, Any]) -> Spent:
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return Spent(
        input_tokens=usage.get("prompt_tokens", 0),
        cached_tokens=cached,
        output_tokens=usage.get("completion_tokens", 0),
    )


def _llm(options: ChatOptions) -> ChatDialect:
    return ChatDialect(options, options.llm)


SPEC: Final = adapter("openai-compatible", ChatOptions, llm=_llm)
