"""Asterisk's AudioSocket: frames of type, length and payload on plain TCP (docs.asterisk.org, AudioSocket).

There is no flush and there are no marks: a bot that wants to be interrupted sends no faster than it speaks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final, Literal, cast
from urllib.parse import urlsplit

from pydantic import field_validator

from gateway.audio import AudioFormat, Encoding
from gateway.errors import ProviderError
from gateway.plugs.bots.dialect import LEFT, BotCall, BotDialect, BotEvent, HangUp, Play
from gateway.plugs.bots.options import BotOptions
from gateway.plugs.bots.session import bot
from gateway.providers import faults
from gateway.providers.dialect import Envelope, Fault, Opening, Wire
from gateway.providers.sessions.link import READ_ERRORS, Limits, Role
from gateway.units import SECOND

__all__ = ["SPEC", "AudioSocketDialect", "AudioSocketOptions", "TcpLink"]

_HANG_UP, _ID, _DTMF, _ERROR = 0x00, 0x01, 0x03, 0xFF
_RATES: Final = {0x10: 8000, 0x12: 16000, 0x13: 24000, 0x16: 48000}
"""Kind -> Hz, of those that the plane plays as they are."""
_KINDS: Final = {rate: kind for kind, rate in _RATES.items()}
_HEAD: Final = 3
_UNSENT_LIMIT: Final = 1 << 20


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


class AudioSocketDialect(BotDialect):
    """A message is one frame."""

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


class TcpLink(asyncio.Protocol):
    """A ``BotLink`` on plain TCP."""

    def __init__(self, name: str, dialect: BotDialect, role: Role, limits: Limits) -> None:
        self.name = name
        self.model = dialect.model
        self._dialect = dialect
        self._role = role
        self._limits = limits
        self._transport: asyncio.Transport | None = None
        self._waiting = bytearray()
        self._ended = False

    @property
    def alive(self) -> bool:
        return self._transport is not None and not self._ended

    async def open(self) -> None:
        """Raises ``ProviderError``."""
        opening = self._dialect.opening()
        parts = urlsplit(opening.url)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._limits.connect / SECOND):
                await loop.create_connection(lambda: self, parts.hostname or "", parts.port or 0)
        except TimeoutError as error:
            raise ProviderError(self.name, "cannot connect: no answer in time", transient=True) from error
        except OSError as error:
            raise ProviderError(self.name, f"cannot connect: {error}", transient=True) from error
        self.send(opening.first)

    def send(self, wires: Iterable[Wire]) -> None:
        for wire in wires:
            if self._transport is not None and isinstance(wire, bytes):
                self._transport.write(wire)

    def send_audio(self, audio: bytes, envelope: Envelope | None = None) -> bool:
        transport = self._transport
        if transport is None or transport.get_write_buffer_size() > _UNSENT_LIMIT:
            return False
        kind = (envelope or self._dialect.envelope).before
        transport.write(kind + len(audio).to_bytes(2, "big") + audio)
        return True

    def close(self) -> None:
        if not self._ended:
            self._ended = True
            self.send(self._dialect.close())
            if self._transport is not None:
                self._transport.close()

    # --- asyncio ------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        while not self._ended and len(self._waiting) >= _HEAD:
            size = _HEAD + int.from_bytes(self._waiting[1:_HEAD], "big")
            if len(self._waiting) < size:
                return
            message = bytes(self._waiting[:size])
            del self._waiting[:size]
            self._take(message)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._lose(LEFT if error is None else Fault(f"the connection broke: {error}", transient=True))

    def _take(self, message: bytes) -> None:
        try:
            events = list(self._dialect.decode(message))
        except READ_ERRORS as error:
            self._lose(faults.broken(error))
            return
        for event in events:
            if isinstance(event, Fault):
                self._lose(event)
            elif not self._ended:
                self._role.on_event(event)

    def _lose(self, fault: Fault) -> None:
        if not self._ended:
            self._ended = True
            if self._transport is not None:
                self._transport.abort()
            self._role.on_lost(fault)


SPEC: Final = bot("audiosocket", AudioSocketOptions, AudioSocketDialect, TcpLink)
