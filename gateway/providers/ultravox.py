"""Ultravox: speech to speech; a call is made over HTTP, and joined over a WebSocket."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pydantic import Field

from gateway.audio import PCM_8K, PCM_16K
from gateway.options import Secret
from gateway.providers.contract import Brief, Interrupted, ModelInfo, Said, Tool, ToolUse
from gateway.providers.dialect import (
    Done,
    Heard,
    HttpRequest,
    Life,
    Opening,
    Ready,
    RealtimeDialect,
    RealtimeEvent,
    Sound,
    Use,
    Wire,
)
from gateway.providers.options import RoleOptions, VendorOptions, address, dumps, merged, secret
from gateway.providers.sessions.vendor import adapter

__all__ = ["SPEC", "Ultravox", "UltravoxOptions"]

_AHEAD_MS: Final = 30_000
"""How far ahead of real time it may send: what waits is flushed here when it says so."""


class UltravoxRealtime(RoleOptions):
    """A call at Ultravox."""

    model: str = "ultravox-v0.7"
    """As Ultravox names it."""
    voice: str | None = None
    """Name of the voice; None is that of the model or the agent."""
    agent: str | None = None
    """Identifier of an agent that is kept at Ultravox; it brings its own prompt, tools and model."""


class UltravoxOptions(VendorOptions):
    """A provider of kind ``ultravox``."""

    api_key: Secret
    """From app.ultravox.ai."""
    base_url: str = "https://api.ultravox.ai"
    """Where the API is."""
    realtime: UltravoxRealtime = Field(default_factory=UltravoxRealtime)


class Ultravox(RealtimeDialect):
    """It takes the turns, and follows by its own clock what was played."""

    life = Life(greeted=True, flows=True)

    def __init__(self, options: UltravoxOptions, rate: int, brief: Brief) -> None:
        self._options = options
        self.brief = brief
        self.hears = self.speaks = PCM_8K if rate == 8000 else PCM_16K
        self.model = ModelInfo(options.realtime.agent or options.realtime.model, "")
        self._url = ""
        self._state = ""

    def booking(self) -> HttpRequest:
        options, role, brief = self._options, self._options.realtime, self.brief
        rates = {"inputSampleRate": self.hears.rate, "outputSampleRate": self.speaks.rate}
        body: dict[str, Any] = {"medium": {"serverWebSocket": {**rates, "clientBufferSizeMs": _AHEAD_MS}}}
        if role.agent is None:
            body |= {"systemPrompt": brief.prompt, "model": role.model}
            if brief.language:
                body["languageHint"] = brief.language
            if brief.tools:
                body["selectedTools"] = [self._tool(tool) for tool in brief.tools]
        if role.voice:
            body["voice"] = role.voice
        if brief.greeting:
            body["firstSpeakerSettings"] = {"agent": {"text": brief.greeting}}
        path = "/api/calls" if role.agent is None else f"/api/agents/{role.agent}/calls"
        headers = {"X-API-Key": secret(options.api_key), "Content-Type": "application/json", **options.headers}
        return HttpRequest(address(options.base_url, path, {}, role.query), headers, merged(body, role.extra))

    def booked(self, answer: dict[str, Any]) -> None:
        self._url = str(answer["joinUrl"])

    def opening(self) -> Opening:
        """Its address is the key."""
        return Opening(self._url)

    def tool_result(self, call: str, text: str) -> Iterable[Wire]:
        body = {"invocationId": call, "result": text, "responseType": "tool-response"}
        return (dumps({"type": "client_tool_result", **body}),)

    def close(self) -> Iterable[Wire]:
        return ('{"type":"hang_up"}',)

    def decode(self, message: Wire) -> Iterator[RealtimeEvent]:
        if isinstance(message, bytes):
            yield Sound(message)
            return
        found = json.loads(message)
        match found.get("type"):
            case "call_started":
                yield Ready()
            case "state":
                before, self._state = self._state, found["state"]
                if before == "speaking" and self._state != "speaking":
                    yield Done()
            case "playback_clear_buffer":
                yield Interrupted()
            case "transcript" if found["role"] == "user":
                if found.get("final"):
                    yield Heard(found.get("text") or "", final=True)
            case "transcript":
                text = found.get("text")
                yield Said(found.get("delta") or "" if text is None else text, final=text is not None)
            case "client_tool_invocation":
                arguments = dumps(found.get("parameters") or {})
                yield Use(ToolUse(found["invocationId"], found["toolName"], arguments))

    @staticmethod
    def _tool(tool: Tool) -> dict[str, Any]:
        """Ultravox wants each argument by itself."""
        schema: Any = tool.parameters
        required = schema.get("required", ())
        arguments = [
            {"name": name, "location": "PARAMETER_LOCATION_BODY", "schema": one, "required": name in required}
            for name, one in schema.get("properties", {}).items()
        ]
        about = {"modelToolName": tool.name, "description": tool.description, "client": {}}
        return {"temporaryTool": {**about, "dynamicParameters": arguments}}


SPEC: Final = adapter("ultravox", UltravoxOptions, realtime=Ultravox)
