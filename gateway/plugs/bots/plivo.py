"""Plivo audio streaming: the gateway plays Plivo towards a bot (types of plivo-stream-sdk 0.1.1)."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal
from uuid import UUID

from gateway.audio import PCM_8K, PCM_16K, ULAW_8K, AudioFormat, Encoding
from gateway.plugs.bots.dialect import BotCall, BotDialect, BotEvent, Clear, Keys, Mark, Play
from gateway.plugs.bots.options import BotOptions
from gateway.plugs.bots.session import bot
from gateway.providers.dialect import Envelope, Opening, Wire
from gateway.providers.options import dumps

__all__ = ["SPEC", "PlivoDialect", "PlivoOptions"]

_FORMATS: Final = {
    "audio/x-mulaw;rate=8000": ULAW_8K,
    "audio/x-l16;rate=8000": PCM_8K,
    "audio/x-l16;rate=16000": PCM_16K,
}


class PlivoOptions(BotOptions):
    """A plug of kind `plivo`: a bot that speaks Plivo's audio streams. `parameters` are its extra headers."""

    content_type: Literal["audio/x-mulaw;rate=8000", "audio/x-l16;rate=8000", "audio/x-l16;rate=16000"] = (
        "audio/x-mulaw;rate=8000"
    )
    """What the bot hears; what it speaks it says with every piece."""


class PlivoDialect(BotDialect):
    def __init__(self, options: PlivoOptions, call: BotCall) -> None:
        self._options = options
        self._call = call
        self._stream = str(UUID(call.stream_token))
        self._extra = dumps(dict(call.parameters))
        self._sequence = -1
        self._chunk = 0
        self.hears = _FORMATS[options.content_type]

    def opening(self) -> Opening:
        return Opening(self._options.url, self._options.headers)

    def started(self) -> Iterable[Wire]:
        encoding = self._options.content_type.partition(";")[0]
        start = {
            "callId": str(UUID(self._call.call_token)),
            "streamId": self._stream,
            "accountId": "MA" + "0" * 18,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": encoding, "sampleRate": self.hears.rate},
        }
        self._sequence += 1
        message = {"sequenceNumber": self._sequence, "event": "start", "start": start, "extra_headers": self._extra}
        return (dumps(message),)

    def wrap(self) -> Envelope:
        self._chunk += 1
        timestamp = str((self._chunk - 1) * self.life.frame_ms)
        media = {"track": "inbound", "timestamp": timestamp, "chunk": self._chunk, "payload": ""}
        text = self._event("media", extra_headers=self._extra, media=media)
        return Envelope(text[:-3].encode(), b'"}}', base64=True)  # the payload's closing quote, and two braces

    def digit(self, digit: str, duration_ms: int) -> Iterable[Wire]:
        timestamp = str(self._chunk * self.life.frame_ms)
        return (self._event("dtmf", dtmf={"track": "inbound", "digit": digit, "timestamp": timestamp}),)

    def played(self, name: str) -> Iterable[Wire]:
        return (self._event("playedStream", name=name),)

    def cleared(self, names: tuple[str, ...]) -> Iterable[Wire]:
        """A checkpoint that was cleared is not reported."""
        return (self._event("clearedAudio"),)

    def decode(self, message: Wire) -> Iterator[BotEvent]:
        found = json.loads(message)
        match found.get("event"):
            case "playAudio":
                yield _play(found["media"])
            case "checkpoint":
                yield Mark(str(found["name"]))
            case "clearAudio":
                yield Clear()
            case "sendDTMF":
                yield Keys(str(found["dtmf"]))

    def _event(self, event: str, **content: Any) -> str:
        self._sequence += 1
        return dumps({"event": event, "sequenceNumber": self._sequence, "streamId": self._stream, **content})


def _play(media: Mapping[str, Any]) -> Play:
    kind, rate = str(media.get("contentType", "audio/x-mulaw")).lower(), int(media.get("sampleRate", 8000))
    encoding = Encoding.ULAW if "mulaw" in kind else Encoding.PCM
    return Play(b64decode(media["payload"], validate=True), AudioFormat(encoding, rate))


SPEC: Final = bot("plivo", PlivoOptions, PlivoDialect)
