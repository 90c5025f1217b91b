"""Asterisk's AudioSocket: frames of type, length and payload on plain TCP (docs.asterisk.org, AudioSocket).

There is no flush and there are no marks: a bot that wants to be interrupted sends no faster than it speaks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar, Final, Literal
from urllib.parse import urlsplit

from pydantic import field_validator

from gateway.audio import AudioFormat, Encoding
from gateway.plugs.bots.dialect import LEFT, BotCall, BotDialect, BotEvent, HangUp, Play
from gateway.plugs.bots.options import BotOptions
from gateway.plugs.bots.session import bot
from gateway.providers.dialect import Envelope, Fault, Life, Opening, Wire
from gateway.wire.tcp import CLOSED

__all__ = ["SPEC", "AudioSocketDialect", "AudioSocketOptions"]

_HANG_UP, _ID, _DTMF, _ERROR = 0x00, 0x01, 0x03, 0xFF
_RATES: Final = {0x10: 8000, 0x12: 16000, 0x13: 24000, 0x16: 48000}
"""Kind -> Hz, of those that the plane plays as they are."""
_KINDS: Final = {rate: kind for kind, rate in _RATES.items()}
_HEAD: Final = 3


class AudioSocketOptions(BotOptions):
    """A plug of kind `audiosocket`: a server that speaks Asterisk's AudioSocket. It knows the call by a UUID alone,
    which is in the call record."""

    url: str
    """Address of the server, like `tcp://bot.example.com:9092`."""
    sample_rate: Literal[8000, 16000] = 8000
    """Of what the server gets; 16000 is understood by peers of Asterisk 21 and later."""

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme != "tcp" or not parts.hostname or not parts.port:
            raise ValueError(f"{url!r} is no TCP address; write one like tcp://bot.example.com:9092")
        return url


def frame(kind: int, payload: bytes = b"") -> bytes:
    """One message."""
    return bytes([kind]) + len(payload).to_bytes(2, "big") + payload


class _Framing:
    def size(self, waiting: bytearray) -> int | None:
        return _HEAD + int.from_bytes(waiting[1:_HEAD], "big") if len(waiting) >= _HEAD else None

    def wrap(self, before: bytes, audio: bytes) -> bytes:
        return before + len(audio).to_bytes(2, "big") + audio


class AudioSocketDialect(BotDialect):
    """A message is one frame."""

    framing = _Framing()
    life: ClassVar[Life] = Life(probe=False)

    def __init__(self, options: AudioSocketOptions, call: BotCall) -> None:
        self._options = options
        self._call = call
        self.hears = AudioFormat(Encoding.PCM, options.sample_rate)
        self.envelope = Envelope(bytes([_KINDS[options.sample_rate]]))

    def opening(self) -> Opening:
        return Opening(self._options.url, first=(frame(_ID, bytes.fromhex(self._call.call_token)),))

    def digit(self, digit: str, duration_ms: int) -> Iterable[Wire]:
        return (frame(_DTMF, digit.encode()),)

    def close(self) -> Iterable[Wire]:
        return (frame(_HANG_UP),)

    def closed(self, code: int | None, reason: str) -> Fault | None:
        """TCP has no codes: whoever closes in an orderly way has nothing more to say."""
        return LEFT if reason == CLOSED else None

    def decode(self, message: Wire) -> Iterator[BotEvent | Fault]:
        if isinstance(message, str):
            raise TypeError("AudioSocket has no text")
        kind, payload = message[0], message[_HEAD:]
        if kind in _RATES:
            yield Play(payload, AudioFormat(Encoding.PCM, _RATES[kind]))
        elif kind == _HANG_UP:
            yield HangUp("the bot hung up", after_playout=True)
        elif kind == _ERROR:
            yield Fault(f"error {payload.hex()}", transient=True)


SPEC: Final = bot("audiosocket", AudioSocketOptions, AudioSocketDialect)
