"""Google's Gemini: ``streamGenerateContent``. To speak with it directly see ``gemini_live.py``."""

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
from gateway.providers.options import RoleOptions, VendorOptions, address, dumps, merged, secret
from gateway.providers.sessions.vendor import adapter

__all__ = ["SPEC", "GeminiDialect", "GeminiOptions"]

_FILTERED: Final = {"SAFETY", "RECITATION", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "LANGUAGE"}
_BROKEN: Final = {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"}
"""The model went astray: asking again may help."""
_TRANSIENT: Final = {"RESOURCE_EXHAUSTED", "INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED"}


class GeminiLlm(RoleOptions):
    """A Gemini."""

    model: str = "gemini-3.5-flash"
    """As Google names it; what answers is reported."""
    temperature: float | None = None
    """None leaves it to the model."""
    max_tokens: int | None = None
    """Of an answer, with what is thought for it."""
    thinking: str | None = "low"
    """``minimal``, ``low``, ``medium`` or ``high``, for models from 3 on; null leaves it to the model (and is what a
    2.5 wants)."""


class GeminiOptions(VendorOptions):
    """A provider of kind ``gemini``."""

    api_key: Secret
    """From aistudio.google.com; for Vertex, write the token under ``headers.Authorization`` and anything here."""
    base_url: str = "https://generativelanguage.googleapis.com/v1beta"
    """Up to ``/models``; Vertex's ends in ``/publishers/google``."""
    llm: GeminiLlm = Field(default_factory=GeminiLlm)


class GeminiDialect(LlmDialect):
    """The stream has no end mark: it is whole if a finish reason came. A tool call is signed, and its signature wants
    to be seen again."""

    def __init__(self, options: GeminiOptions) -> None:
        self._options = options
        self.model = ModelInfo(options.llm.model, "")
        self._finish = ""
        self._uses = 0
        self._spent: Spent | None = None

    def request(self, messages: Sequence[Message], tools: Sequence[Tool]) -> HttpRequest:
        options, llm = self._options, self._options.llm
        headers = {
            "x-goog-api-key": secret(options.api_key),
            "Content-Type": "application/json",
            **options.headers,
        }
        body: dict[str, Any] = {"contents": _contents(messages)}
        if system := "\n\n".join(message.text for message in messages if message.role == "system"):
            body["systemInstruction"] = {"parts": [{"text": system}]}
        if tools:
            declarations = [
                {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
                for tool in tools
            ]
            body["tools"] = [{"functionDeclarations": declarations}]
        config = {
            "temperature": llm.temperature,
            "maxOutputTokens": llm.max_tokens,
            "thinkingConfig": {"thinkingLevel": llm.thinking} if llm.thinking else None,
        }
        if config := {key: value for key, value in config.items() if value is not None}:
            body["generationConfig"] = config
        url = address(options.base_url, f"/models/{llm.model}:streamGenerateContent", {"alt": "sse"}, llm.query)
        return HttpRequest(url, headers, merged(body, llm.extra))

    def decode(self, event: ServerEvent) -> Iterator[LlmEvent]:
        found = json.loads(event.data)
        if error := found.get("error"):
            yield _fault(error)
            return
        version = found.get("modelVersion")
        if version and version != self.model.version:
            self.model = ModelInfo(self.model.name, version)
            yield Model(self.model)
        if usage := found.get("usageMetadata"):
            self._spent = _spent(usage)
        if (found.get("promptFeedback") or {}).get("blockReason"):
            self._finish = "SAFETY"
        for candidate in found.get("candidates") or ():
            for part in (candidate.get("content") or {}).get("parts") or ():
                yield from self._part(part)
            self._finish = candidate.get("finishReason") or self._finish

    def end(self) -> Iterator[LlmEvent]:
        """What it cost is told with every chunk anew, so the last counts."""
        if self._spent is not None:
            yield self._spent
        if not self._finish or self._finish in _BROKEN:
            yield Fault(f"the answer broke off {self._finish}".strip(), transient=True)
        elif self._finish in _FILTERED:
            yield Done("filtered")
        elif self._uses:
            yield Done("tools")
        else:
            yield Done("length" if self._finish == "MAX_TOKENS" else "stop")

    def _part(self, part: dict[str, Any]) -> Iterator[LlmEvent]:
        if call := part.get("functionCall"):
            self._uses += 1
            name = call["name"]
            arguments = dumps(call.get("args") or {})
            yield Use(
                ToolUse(call.get("id") or f"{name}-{self._uses}", name, arguments, part.get("thoughtSignature", ""))
            )
        elif part.get("text") and not part.get("thought"):
            yield Text(part["text"])


def _contents(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """User and model by turns, the user first; what follows each other in one role becomes one entry."""
    found: list[dict[str, Any]] = []
    names = {use.call: use.name for message in messages for use in message.uses}
    for message in messages:
        role = "model" if message.role == "assistant" else "user"
        parts = _parts(message, names)
        if not parts or message.role == "system":
            continue
        if found and found[-1]["role"] == role:
            found[-1]["parts"] += parts
        else:
            found.append({"role": role, "parts": parts})
    if not found or found[0]["role"] == "model":
        # The agent spoke first; the interface wants to have been spoken to.
        found.insert(0, {"role": "user", "parts": [{"text": "(The call has begun.)"}]})
    return found


def _parts(message: Message, names: dict[str, str]) -> list[dict[str, Any]]:
    if message.role == "tool":
        answer = {"id": message.call, "name": names.get(message.call, ""), "response": {"result": message.text}}
        return [{"functionResponse": answer}]
    parts: list[dict[str, Any]] = [{"text": message.text}] if message.text.strip() else []
    for use in message.uses:
        part: dict[str, Any] = {
            "functionCall": {"id": use.call, "name": use.name, "args": json.loads(use.arguments)},
        }
        if use.memo:
            part["thoughtSignature"] = use.memo
        parts.append(part)
    return parts


def _fault(error: dict[str, Any]) -> Fault:
    status = str(error.get("status") or error.get("code") or "")
    text = f"{status}: {error.get('message', '')}"
    return Fault(text, status in _TRANSIENT, status in {"RESOURCE_EXHAUSTED", "UNAVAILABLE"})


def _spent(usage: dict[str, Any]) -> Spent:
    thought = usage.get("thoughtsTokenCount") or 0
    return Spent(
        input_tokens=usage.get("promptTokenCount") or 0,
        cached_tokens=usage.get("cachedContentTokenCount") or 0,
        output_tokens=(usage.get("candidatesTokenCount") or 0) + thought,
    )


SPEC: Final = adapter("gemini", GeminiOptions, llm=GeminiDialect)
