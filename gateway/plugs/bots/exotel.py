"""Exotel AgentStream (Voicebot applet): linear audio in Twilio-like messages (developer.exotel.com, AgentStream)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, Literal

from gateway.audio import AudioFormat, Encoding
from gateway.plugs.bots.dialect import BotCall
from gateway.plugs.bots.numbered import NumberedDialect
from gateway.plugs.bots.options import BotOptions
from gateway.plugs.bots.session import bot
from gateway.providers.dialect import Life, Opening, Wire
from gateway.providers.options import dumps

__all__ = ["SPEC", "ExotelDialect", "ExotelOptions"]


class ExotelOptions(BotOptions):
    """A plug of kind `exotel`: a bot that speaks Exotel's AgentStream."""

    sample_rate: Literal[8000, 16000, 24000] = 8000
    """Of both directions, in Hz."""


class ExotelDialect(NumberedDialect):
    sequence_key = "sequence_number"
    life: ClassVar[Life] = Life(frame_ms=100)

    def __init__(self, options: ExotelOptions, call: BotCall) -> None:
        super().__init__({"stream_sid": call.stream_token})
        self._options = options
        self._call = call
        self._ids = {"call_sid": call.call_token, "account_sid": "linecard"}
        self.hears = self.speaks = AudioFormat(Encoding.PCM, options.sample_rate)

    def opening(self) -> Opening:
        return Opening(self._options.url, self._options.headers)

    def hello(self) -> Iterable[Wire]:
        return (dumps({"event": "connected"}),)

    def start(self) -> Mapping[str, Any]:
        return {
            **self._stream,
            **self._ids,
            "from": self._call.caller,
            "to": self._call.called,
            "custom_parameters": dict(self._call.parameters),
            "media_format": {"encoding": "base64", "sample_rate": str(self.hears.rate), "bit_rate": "16"},
        }

    def stop(self) -> Mapping[str, Any]:
        return {**self._ids, "reason": "callended"}

    def digit(self, digit: str, duration_ms: int) -> Iterable[Wire]:
        return (self.event("dtmf", dtmf={"digit": digit, "duration": str(duration_ms)}),)


SPEC: Final = bot("exotel", ExotelOptions, ExotelDialect)
