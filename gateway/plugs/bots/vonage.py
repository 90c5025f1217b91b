"""Vonage Voice WebSockets: binary linear audio beside JSON events (developer.vonage.com, Voice API, WebSockets)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Final, Literal

from gateway.audio import AudioFormat, Encoding
from gateway.options import Secret
from gateway.plugs.bots.dialect import BotCall, BotDialect, BotEvent, Clear, Mark, Play
from gateway.plugs.bots.options import BotOptions
from gateway.plugs.bots.session import bot
from gateway.providers.dialect import Opening, Wire
from gateway.providers.options import dumps, secret

__all__ = ["SPEC", "VonageDialect", "VonageOptions"]


class VonageOptions(BotOptions):
    """A plug of kind `vonage`: a bot that speaks Vonage's WebSockets. `parameters` are its custom headers."""

    sample_rate: Literal[8000, 16000, 24000] = 16000
    """Of both directions, in Hz."""
    authorization: Secret | None = None
    """The handshake's Authorization header, like `Bearer ...`."""


class VonageDialect(BotDialect):
    def __init__(self, options: VonageOptions, call: BotCall) -> None:
        self._options = options
        self._call = call
        self.hears = self.speaks = AudioFormat(Encoding.PCM, options.sample_rate)

    def opening(self) -> Opening:
        token = secret(self._options.authorization)
        headers = {"Authorization": token} if token else {}
        return Opening(self._options.url, {**headers, **self._options.headers})

    def started(self) -> Iterable[Wire]:
        about = {"event": "websocket:connected", "content-type": f"audio/l16;rate={self.hears.rate}"}
        return (dumps({**about, **self._call.parameters}),)

    def digit(self, digit: str, duration_ms: int) -> Iterable[Wire]:
        return (dumps({"event": "websocket:dtmf", "digit": digit, "duration": duration_ms}),)

    def played(self, name: str) -> Iterable[Wire]:
        """``name`` is the payload as it came."""
        return (f'{{"event":"websocket:notify","payload":{name}}}',)

    def cleared(self, names: tuple[str, ...]) -> Iterable[Wire]:
        return (dumps({"event": "websocket:cleared"}),)

    def decode(self, message: Wire) -> Iterator[BotEvent]:
        if isinstance(message, bytes):
            yield Play(message)
            return
        found = json.loads(message)
        match found.get("action"):
            case "clear":
                yield Clear()
            case "notify":
                yield Mark(dumps(found.get("payload") or {}))


SPEC: Final = bot("vonage", VonageOptions, VonageDialect)
