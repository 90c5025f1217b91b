"""vosk-server, played: one answer to each message, no errors, no key."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tests.played.roles import SttScript
from tests.played.stage import Message

CONTROL = {'{"reset" : 1}': "end", '{"eof" : 1}': "end"}
"""Compared byte for byte."""


class AsrServer(SttScript):
    limit_close = (1011, "")

    def sort(self, message: Message) -> tuple[str, bytes]:
        if isinstance(message, bytes):
            return "audio", message
        if message in CONTROL:
            return "end", b""
        config: dict[str, Any] = json.loads(message)["config"]
        self.bytes_per_ms = 2 * config["sample_rate"] / 1000
        return "", b""

    async def on_message(self, message: Message) -> None:
        again = bool(self.heard)
        await super().on_message(message)
        if again and isinstance(message, bytes):
            await self.say(self.interim("so far"))

    def interim(self, text: str) -> Iterable[Message]:
        yield json.dumps({"partial": text})

    def final(self, text: str) -> Iterable[Message]:
        words = [{"word": word, "start": 0.1, "end": 0.5, "conf": 0.9} for word in text.split()]
        yield json.dumps({"text": text, "result": words} if words else {"text": text})
