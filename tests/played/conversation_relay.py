"""A bot that speaks Twilio ConversationRelay, played."""

from __future__ import annotations

import json
from collections.abc import Iterable

from tests.played.roles import TextBotScript
from tests.played.stage import Message


class Relay(TextBotScript):
    """Answers each prompt, stops when it is interrupted, and ends the call when it is asked to."""

    async def on_message(self, message: Message) -> None:
        found = json.loads(message)
        match found["type"]:
            case "setup":
                assert {"sessionId", "callSid", "accountSid", "from", "to", "customParameters"} <= set(found)
            case "prompt":
                assert found["last"]
                self.begin(found["voicePrompt"])
            case "interrupt":
                self.stop()

    def token(self, text: str) -> Iterable[Message]:
        yield json.dumps({"type": "text", "token": text, "last": False, "interruptible": True})

    def finish(self) -> Iterable[Message]:
        yield json.dumps({"type": "text", "token": "", "last": True})

    @staticmethod
    def remark(text: str, *, last: bool = False) -> Iterable[Message]:
        """Said unasked."""
        yield json.dumps({"type": "text", "token": text, "last": last})

    def goodbye(self) -> Iterable[Message]:
        yield json.dumps({"type": "end", "handoffData": "{}"})
