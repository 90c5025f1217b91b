"""sherpa-onnx's online server, played: ends of segments by silence alone, no errors, no key."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tests.played.roles import SttScript
from tests.played.stage import Message

BYTES_PER_MS = 64
TRAILING_MS = 1200
"""So much silence is an end (``rule2``)."""


class OnlineServer(SttScript):
    limit_close = (1011, "")
    bytes_per_ms = BYTES_PER_MS
    segment = 0
    trailing = 0

    def sort(self, message: Message) -> tuple[str, bytes]:
        if isinstance(message, str):
            assert message == "Done"
            return "", b""
        assert len(message) % 4 == 0, "32-bit floats"
        assert all(-1 <= sample <= 1 for sample in memoryview(message).cast("f"))
        if len(message) < 200 * BYTES_PER_MS:
            self.trailing = 0
            return "audio", message
        before, self.trailing = self.trailing, self.trailing + len(message) // BYTES_PER_MS
        return ("end" if before < TRAILING_MS <= self.trailing else ""), b""

    def told(self, text: str, *, final: bool) -> str:
        more: dict[str, Any] = {"tokens": [], "timestamps": [], "start_time": 0.0, "is_eof": False}
        return json.dumps({"text": text, "segment": self.segment, "is_final": final, **more})

    def interim(self, text: str) -> Iterable[Message]:
        yield self.told(text, final=False)

    def final(self, text: str) -> Iterable[Message]:
        """Nothing if nothing was said: that end takes longer."""
        if text:
            yield self.told(text, final=True)
            self.segment += 1
