"""Asterisk's chan_websocket: the gateway plays Asterisk towards an application (docs.asterisk.org, WebSocket channel).

Commands of the application are read in both spellings, plain and JSON; events are written in the one configured.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

from gateway.audio import ALAW_8K, PCM_8K, PCM_16K, ULAW_8K
from gateway.plugs.bots.dialect import BotCall, BotDialect, BotEvent, Clear, HangUp, Mark, Play, StatusWanted
from gateway.plugs.bots.options import BotOptions
from gateway.plugs.bots.session import bot
from gateway.providers.dialect import Opening, Wire
from gateway.providers.options import dumps

__all__ = ["SPEC", "AsteriskDialect", "AsteriskOptions"]

_FORMATS: Final = {"ulaw": ULAW_8K, "alaw": ALAW_8K, "slin": PCM_8K, "slin16": PCM_16K}
_FRAME_MS: Final = 20
_XON, _XOFF, _FULL = 800, 900, 1000
"""Frames; told to applications that ask. Our queue is longer, so that none is ever held off."""
_BUFFERING: Final = "buffering:"
"""Before the id of a bulk transfer, among the names of marks."""


class AsteriskOptions(BotOptions):
    """A plug of kind `asterisk`: an application that speaks chan_websocket. `parameters` are channel variables."""

    codec: Literal["ulaw", "alaw", "slin", "slin16"] = "ulaw"
    """Of both directions."""
    control: Literal["json", "plain"] = "json"
    """How events are written."""


class AsteriskDialect(BotDialect):
    def __init__(self, options: AsteriskOptions, call: BotCall) -> None:
        self._options = options
        self._call = call
        self._wants_drained = False
        self.hears = self.speaks = _FORMATS[options.codec]

    def opening(self) -> Opening:
        return Opening(self._options.url, self._options.headers, subprotocols=("media",))

    def started(self) -> Iterable[Wire]:
        about: dict[str, Any] = {
            "connection_id": self._call.stream_token,
            "channel": f"WebSocket/linecard/{self._call.call_token[:8]}",
            "channel_id": self._call.call_token,
            "format": self._options.codec,
            "optimal_frame_size": self.hears.bytes_per_second * _FRAME_MS // 1000,
            "ptime": _FRAME_MS,
        }
        if self._options.control == "json":
            numbers = {"CALLERID(num)": self._call.caller, "EXTEN": self._call.called}
            about["channel_variables"] = {**numbers, **self._call.parameters}
        return (self._event("MEDIA_START", about),)

    def digit(self, digit: str, duration_ms: int) -> Iterable[Wire]:
        about = {"digit": digit} if self._options.control == "plain" else self._channel(digit=digit)
        return (self._event("DTMF_END", about),)

    def played(self, name: str) -> Iterable[Wire]:
        if name.startswith(_BUFFERING):
            return (self._correlated("MEDIA_BUFFERING_COMPLETED", name.removeprefix(_BUFFERING)),)
        return (self._correlated("MEDIA_MARK_PROCESSED", name),)

    def drained(self) -> Iterable[Wire]:
        wanted, self._wants_drained = self._wants_drained, False
        return (self._event("QUEUE_DRAINED", self._channel()),) if wanted else ()

    def status(self, queued_ms: int) -> Iterable[Wire]:
        frames = queued_ms // _FRAME_MS
        about = {"queue_length": frames, "xon_level": _XON, "xoff_level": _XOFF, "queue_full": frames >= _FULL}
        return (self._event("STATUS", self._channel(**about, bulk_media=False, media_paused=False)),)

    def decode(self, message: Wire) -> Iterator[BotEvent]:
        if isinstance(message, bytes):
            yield Play(message)
            return
        command, correlation = _command(message)
        match command:
            case "FLUSH_MEDIA":
                yield Clear()
            case "MARK_MEDIA":
                yield Mark(correlation)
            case "STOP_MEDIA_BUFFERING":
                yield Mark(f"{_BUFFERING}{correlation}")
            case "HANGUP":
                yield HangUp("the application hung up")
            case "GET_STATUS":
                yield StatusWanted()
            case "REPORT_QUEUE_DRAINED":
                self._wants_drained = True

    def _channel(self, **more: Any) -> dict[str, Any]:
        return {"channel_id": self._call.call_token, **more}

    def _correlated(self, event: str, correlation: str) -> Wire:
        return self._event(event, self._channel(**({"correlation_id": correlation} if correlation else {})))

    def _event(self, event: str, about: Mapping[str, Any]) -> Wire:
        if self._options.control == "json":
            return dumps({"event": event, **about})
        return " ".join([event, *(f"{key}:{value}" for key, value in about.items())])


def _command(message: str) -> tuple[str, str]:
    """Name and correlation id, from ``{"command": "MARK_MEDIA", "correlation_id": "a"}`` or ``MARK_MEDIA a``."""
    if message.startswith("{"):
        found = json.loads(message)
        return str(found["command"]), str(found.get("correlation_id", ""))
    name, _, correlation = message.strip().partition(" ")
    return name, correlation.strip().removeprefix("correlation_id:")


SPEC: Final = bot("asterisk", AsteriskOptions, AsteriskDialect)
