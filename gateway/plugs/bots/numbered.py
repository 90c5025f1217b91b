"""JSON messages in which everything is numbered and audio is base64: the family of Twilio's Media Streams.

Twilio, SignalWire, Telnyx and Exotel differ in names, ids and formats; they agree on events (``start``, ``media``,
``dtmf``, ``mark``, ``stop`` to the bot, ``media``, ``mark``, ``clear`` from it) and on counting them.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from gateway.plugs.bots.dialect import BotDialect, BotEvent, Clear, Mark, Play
from gateway.providers.dialect import Envelope, Wire
from gateway.providers.options import dumps

__all__ = ["NumberedDialect"]


class NumberedDialect(BotDialect):
    """``stream`` is what every message carries to name the stream, like ``{"streamSid": "MZ..."}``."""

    sequence_key: ClassVar[str] = "sequenceNumber"

    def __init__(self, stream: Mapping[str, str]) -> None:
        self._stream = stream
        self._sequence = 0
        self._chunk = 0
        self._elapsed_ms = 0

    def started(self) -> Iterable[Wire]:
        return (*self.hello(), self.event("start", start=self.start()))

    def hello(self) -> Iterable[Wire]:
        """What comes before ``start``."""
        return ()

    def start(self) -> Mapping[str, Any]:
        """What ``start`` tells of the call."""
        raise NotImplementedError

    def stop(self) -> Mapping[str, Any]:
        """What ``stop`` tells of it."""
        raise NotImplementedError

    def event(self, name: str, **content: Any) -> str:
        """A numbered message; counts are text, as Twilio writes them."""
        self._sequence += 1
        return dumps({"event": name, self.sequence_key: str(self._sequence), **self._stream, **content})

    def wrap(self) -> Envelope:
        """Everything around the base64 of one frame. The time stamp is that of its first sample."""
        self._chunk += 1
        media = {"track": "inbound", "chunk": str(self._chunk), "timestamp": str(self._elapsed_ms), "payload": ""}
        self._elapsed_ms += self.life.frame_ms
        text = self.event("media", media=media)
        return Envelope(text[:-3].encode(), b'"}}', base64=True)  # the payload's closing quote, and two braces

    def digit(self, digit: str, duration_ms: int) -> Iterable[Wire]:
        return (self.event("dtmf", dtmf={"track": "inbound_track", "digit": digit}),)

    def played(self, name: str) -> Iterable[Wire]:
        return (self.event("mark", mark={"name": name}),)

    def cleared(self, names: tuple[str, ...]) -> Iterable[Wire]:
        """The platforms report marks that were dropped like those that were played."""
        return tuple(self.event("mark", mark={"name": name}) for name in names)

    def close(self) -> Iterable[Wire]:
        return (self.event("stop", stop=self.stop()),) if self._sequence else ()

    def decode(self, message: Wire) -> Iterator[BotEvent]:
        found = json.loads(message)
        match found.get("event"):
            case "media":
                yield Play(b64decode(found["media"]["payload"], validate=True))
            case "mark":
                yield Mark(str(found["mark"]["name"]))
            case "clear":
                yield Clear()
