"""Retell's custom LLM: the gateway plays Retell towards a bot that converses in text.

``docs.retellai.com``, under LLM WebSocket; what is said there only in part is taken from Retell's own examples.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from gateway.providers.contract import Message, ModelInfo, Tool
from gateway.providers.dialect import (
    Done,
    HangUp,
    Life,
    LlmSocketDialect,
    LlmSocketEvent,
    Opening,
    Press,
    Reply,
    Text,
    Wire,
)
from gateway.providers.options import dumps, merged
from gateway.providers.sessions.vendor import adapter
from gateway.providers.text_bots import TextBotOptions
from gateway.units import SECOND, Nanos

__all__ = ["SPEC", "RetellLlm", "RetellLlmOptions"]

_ROLES: Final = {"assistant": "agent", "user": "user"}


class RetellLlmOptions(TextBotOptions):
    """A provider of kind ``retell-llm``: a bot that was written as Retell's custom LLM. The call's identifier is added
    to the path of its address."""


class RetellLlm(LlmSocketDialect):
    """The bot gets the transcript with every request; text of an older request is dropped by its number."""

    life = Life(keep_alive=Nanos(2 * SECOND))
    unasked = "0"

    def __init__(self, options: RetellLlmOptions) -> None:
        self._options = options
        self._call = f"call_{uuid.uuid4().hex}"
        self._pings = False
        self.model = ModelInfo("retell-llm", "")

    def opening(self) -> Opening:
        path, mark, query = self._options.url.partition("?")
        return Opening(f"{path.rstrip('/')}/{self._call}{mark}{query}", self._options.headers)

    def keep_alive(self) -> Iterable[Wire]:
        if self._pings:
            yield dumps({"interaction_type": "ping_pong", "timestamp": time.time_ns() // 1_000_000})

    def ask(self, request: int, messages: Sequence[Message], tools: Sequence[Tool]) -> Iterable[Wire]:
        said = [
            {"role": _ROLES[message.role], "content": message.text} for message in messages if message.role in _ROLES
        ]
        return (dumps({"interaction_type": "response_required", "response_id": request, "transcript": said}),)

    def decode(self, message: Wire) -> Iterator[LlmSocketEvent]:
        """The number 0 is for what is said unasked: the greeting, or ``agent_interrupt``."""
        found = json.loads(message)
        match found.get("response_type"):
            case "config":
                yield from self._configured(found.get("config") or {})
            case "response":
                context = str(int(found["response_id"]))
                yield Text(found.get("content") or "", context, not found.get("no_interruption_allowed"))
                if found.get("digit_to_press"):
                    yield Press(str(found["digit_to_press"]), context)
                if found.get("end_call"):
                    yield HangUp(context)
                elif found.get("content_complete"):
                    yield Done("stop", context)
            case "agent_interrupt":
                yield Text(found.get("content") or "", self.unasked, not found.get("no_interruption_allowed"))
                if found.get("content_complete"):
                    yield Done("stop", self.unasked)

    def _configured(self, config: Mapping[str, Any]) -> Iterator[LlmSocketEvent]:
        self._pings = bool(config.get("auto_reconnect"))
        if config.get("call_details"):
            call = {
                "call_type": "phone_call",
                "call_id": self._call,
                "direction": "inbound",
                "call_status": "ongoing",
                "from_number": self.party.caller,
                "to_number": self.party.called,
                "metadata": self._options.parameters,
                "retell_llm_dynamic_variables": self._options.parameters,
            }
            yield Reply(dumps({"interaction_type": "call_details", "call": merged(call, self._options.extra)}))


SPEC: Final = adapter("retell-llm", RetellLlmOptions, llm=RetellLlm)
