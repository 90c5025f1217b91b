"""Twilio ConversationRelay: the gateway plays Twilio towards a bot that converses in text.

``twilio.com/docs/voice/conversationrelay/websocket-messages``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from pydantic import Field

from gateway.options import Secret
from gateway.providers.contract import Message, ModelInfo, Tool
from gateway.providers.dialect import (
    Done,
    HangUp,
    Language,
    LlmSocketDialect,
    LlmSocketEvent,
    Opening,
    Press,
    Text,
    Wire,
)
from gateway.providers.options import dumps, merged, secret
from gateway.providers.sessions.vendor import adapter
from gateway.providers.text_bots import News, TextBotOptions

__all__ = ["SPEC", "ConversationRelay", "ConversationRelayOptions", "signature"]


_BY_SPEECH: Final = (True, "any", "speech", None)
"""Values of ``interruptible`` with which the caller's voice ends an answer."""


class ConversationRelayOptions(TextBotOptions):
    """A provider of kind ``conversation-relay``: a bot that speaks Twilio ConversationRelay, as the LLM."""

    account_sid: str = Field(default="AC" + "0" * 32, pattern=r"^AC[0-9a-fA-F]{32}$")
    """The account that the bot believes to be called by."""
    auth_token: Secret | None = None
    """Signs the handshake (`X-Twilio-Signature`), for bots that check it."""
    language: str = "en-US"
    """In which the bot is told that the caller spoke."""


class ConversationRelay(LlmSocketDialect):
    """The bot remembers the conversation: it is told what is new, and how much of its words was heard."""

    def __init__(self, options: ConversationRelayOptions) -> None:
        self._options = options
        self._news = News()
        self._cut = False  # an answer that the bot may still be giving
        self.model = ModelInfo("conversation-relay", "")
        self._session, self._call = f"VX{uuid.uuid4().hex}", f"CA{uuid.uuid4().hex}"

    def opening(self) -> Opening:
        headers = {"User-Agent": "TwilioProxy/1.1"}
        if token := secret(self._options.auth_token):
            headers["X-Twilio-Signature"] = signature(self._options.url, token)
        return Opening(self._options.url, {**headers, **self._options.headers}, (dumps(self.setup()),))

    def setup(self) -> dict[str, Any]:
        options = self._options
        body = {
            "type": "setup",
            "sessionId": self._session,
            "accountSid": options.account_sid,
            "parentCallSid": "",
            "callSid": self._call,
            "from": self.party.caller,
            "to": self.party.called,
            "forwardedFrom": "",
            "callType": "SIP",
            "callerName": "",
            "direction": "inbound",
            "callStatus": "IN-PROGRESS",
            "customParameters": options.parameters,
        }
        return merged(body, options.extra)

    def ask(self, request: int, messages: Sequence[Message], tools: Sequence[Tool]) -> Iterable[Wire]:
        prompt = {"voicePrompt": self._news.of(messages), "lang": self._options.language, "last": True}
        if self._cut:
            yield from self.interrupted("", 0)
        yield dumps({"type": "prompt", **prompt})

    def cancel(self, request: int) -> Iterable[Wire]:
        """Said with what was heard, which is known in a moment."""
        self._cut = True
        return ()

    def interrupted(self, text: str, played_ms: int) -> Iterable[Wire]:
        self._cut = False
        heard = {"utteranceUntilInterrupt": text, "durationUntilInterruptMs": played_ms}
        return (dumps({"type": "interrupt", **heard}),)

    def digit(self, digit: str) -> Iterable[Wire]:
        return (dumps({"type": "dtmf", "digit": digit}),)

    def decode(self, message: Wire) -> Iterator[LlmSocketEvent]:
        """``play`` is for what an LLM cannot do here."""
        found = json.loads(message)
        match found.get("type"):
            case "text":
                yield Text(found.get("token") or "", interruptible=found.get("interruptible", True) in _BY_SPEECH)
                if found.get("last"):
                    yield Done("stop")
            case "sendDigits":
                yield Press(found["digits"])
            case "language":
                yield Language(found.get("ttsLanguage") or "", found.get("transcriptionLanguage") or "")
            case "end":
                yield HangUp()


def signature(url: str, token: str) -> str:
    """How Twilio signs a handshake (twilio.com/docs/usage/security)."""
    return base64.b64encode(hmac.new(token.encode(), url.encode(), hashlib.sha1).digest()).decode()


SPEC: Final = adapter("conversation-relay", ConversationRelayOptions, llm=ConversationRelay)
