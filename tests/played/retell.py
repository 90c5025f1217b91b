"""A bot that was written as Retell's custom LLM, played."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tests.played.roles import TextBotScript
from tests.played.stage import Message


class CustomLlm(TextBotScript):
    """Answers what is asked with the highest number."""

    number = 0

    def allowed(self) -> bool:
        return self.request.path.startswith("/llm-websocket/call_")

    def greeting(self) -> Iterable[Message]:
        yield json.dumps({"response_type": "config", "config": {"auto_reconnect": True, "call_details": True}})
        yield self.response("Hello.", 0, content_complete=True)

    async def on_message(self, message: Message) -> None:
        found = json.loads(message)
        if found["interaction_type"] == "response_required":
            assert all(one["role"] in {"agent", "user"} for one in found["transcript"])
            self.stop()
            self.number = found["response_id"]
            self.begin(found["transcript"][-1]["content"])

    @staticmethod
    def response(text: str, number: int, **more: Any) -> str:
        body = {"response_type": "response", "response_id": number, "content": text, "content_complete": False}
        return json.dumps({**body, **more})

    def token(self, text: str) -> Iterable[Message]:
        yield self.response(text, self.number)

    def finish(self) -> Iterable[Message]:
        yield self.response("", self.number, content_complete=True)

    def remark(self, text: str, *, last: bool = False) -> Iterable[Message]:
        """Said unasked."""
        yield self.response(text, 0, content_complete=last)

    def goodbye(self) -> Iterable[Message]:
        yield self.response("", self.number, content_complete=True, end_call=True)
