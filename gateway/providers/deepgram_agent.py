"""Deepgram's Voice Agent: listening, thinking and speaking in one connection, G.711 both ways."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pydantic import Field

from gateway.audio import PCM_16K, PCM_24K, ULAW_8K
from gateway.options import Secret
from gateway.providers.contract import Brief, Interrupted, ModelInfo, Said, ToolUse
from gateway.providers.dialect import (
    Done,
    Fault,
    Heard,
    Life,
    Opening,
    Ready,
    RealtimeDialect,
    RealtimeEvent,
    Reply,
    Sound,
    Use,
    Wire,
)
from gateway.providers.options import RoleOptions, VendorOptions, address, dumps, merged, secret, web_socket
from gateway.providers.sessions.vendor import adapter

__all__ = ["SPEC", "DeepgramAgent", "DeepgramAgentOptions"]

_PERMANENT: Final = {"UNPARSABLE_CLIENT_MESSAGE"}


class AgentRole(RoleOptions):
    """What the agent is made of; more of it under ``extra.agent``."""

    listen: str = "flux-general-en"
    """Its speech to text."""
    think: str = "gpt-4o-mini"
    """Its language model."""
    think_provider: str = "open_ai"
    """Whose that is, as Deepgram names them."""
    speak: str = "aura-2-thalia-en"
    """Its voice."""


class DeepgramAgentOptions(VendorOptions):
    """A provider of kind ``deepgram-agent``."""

    api_key: Secret
    """From console.deepgram.com; temporary tokens are no keys."""
    base_url: str = "https://agent.deepgram.com"
    """Where the API is."""
    realtime: AgentRole = Field(default_factory=AgentRole)


class DeepgramAgent(RealtimeDialect):
    """The server takes the turns, and knows what it sent, not what was played: the playout here is flushed."""

    life = Life(greeted=True, flows=True)

    def __init__(self, options: DeepgramAgentOptions, rate: int, brief: Brief) -> None:
        self._options = options
        self.brief = brief
        self.hears, self.speaks = (ULAW_8K, ULAW_8K) if rate == 8000 else (PCM_16K, PCM_24K)
        self.model = ModelInfo(f"{options.realtime.listen} {options.realtime.think} {options.realtime.speak}", "")
        self._calls: dict[str, str] = {}

    def opening(self) -> Opening:
        options = self._options
        headers = {"Authorization": f"Token {secret(options.api_key)}", **options.headers}
        url = address(web_socket(options.base_url), "/v1/agent/converse", {}, options.realtime.query)
        return Opening(url, headers)

    def settings(self) -> dict[str, Any]:
        role, brief = self._options.realtime, self.brief
        hears, speaks = (
            {"encoding": "mulaw" if one == ULAW_8K else "linear16", "sample_rate": one.rate}
            for one in (self.hears, self.speaks)
        )
        listen = {
            "type": "deepgram",
            "version": "v2" if role.listen.startswith("flux-") else "v1",
            "model": role.listen,
        }
        think: dict[str, Any] = {"provider": {"type": role.think_provider, "model": role.think}, "prompt": brief.prompt}
        if brief.tools:
            think["functions"] = [
                {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
                for tool in brief.tools
            ]
        agent: dict[str, Any] = {
            "listen": {"provider": listen},
            "think": think,
            "speak": {"provider": {"type": "deepgram", "model": role.speak}},
        }
        if brief.greeting:
            agent["greeting"] = brief.greeting
        audio = {"input": hears, "output": {**speaks, "container": "none"}}
        return merged({"type": "Settings", "audio": audio, "agent": agent}, role.extra)

    def tool_result(self, call: str, text: str) -> Iterable[Wire]:
        name = self._calls.pop(call, "")
        return (dumps({"type": "FunctionCallResponse", "id": call, "name": name, "content": text}),)

    def decode(self, message: Wire) -> Iterator[RealtimeEvent]:
        if isinstance(message, bytes):
            yield Sound(message)
            return
        found = json.loads(message)
        match found.get("type"):
            case "Welcome":
                yield Reply(dumps(self.settings()))
            case "SettingsApplied":
                yield Ready()
            case "UserStartedSpeaking":
                yield Interrupted()
            case "ConversationText" if found["role"] == "user":
                yield Heard(found["content"], final=True)
            case "ConversationText":
                yield Said(found["content"], final=False)
            case "AgentAudioDone":
                yield Done()
            case "FunctionCallRequest":
                yield from self._uses(found["functions"])
            case "Error":
                code = str(found.get("code") or "")
                yield Fault(f"{code}: {found.get('description')}", transient=code not in _PERMANENT)

    def _uses(self, functions: list[dict[str, Any]]) -> Iterator[RealtimeEvent]:
        """Those that Deepgram calls itself are its own affair."""
        for one in functions:
            if one.get("client_side", True):
                self._calls[one["id"]] = one["name"]
                yield Use(ToolUse(one["id"], one["name"], one["arguments"]))


SPEC: Final = adapter("deepgram-agent", DeepgramAgentOptions, realtime=DeepgramAgent)
