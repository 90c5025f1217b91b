"""SignalWire's cXML ``<Stream>``: Twilio's messages with formats and ids of its own (signalwire/docs, stream.mdx)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal
from uuid import UUID

from gateway.audio import PCM_16K, PCM_24K, ULAW_8K
from gateway.options import Secret
from gateway.plugs.bots.dialect import BotCall, BotEvent, Keys
from gateway.plugs.bots.numbered import NumberedDialect
from gateway.plugs.bots.options import BotOptions
from gateway.plugs.bots.session import bot
from gateway.providers.dialect import Opening, Wire
from gateway.providers.options import dumps, secret

__all__ = ["SPEC", "SignalWireDialect", "SignalWireOptions"]

_FORMATS: Final = {"PCMU@8000h": ULAW_8K, "L16@16000h": PCM_16K, "L16@24000h": PCM_24K}


class SignalWireOptions(BotOptions):
    """A plug of kind `signalwire`: a bot that speaks SignalWire's streams."""

    codec: Literal["PCMU@8000h", "L16@16000h", "L16@24000h"] = "PCMU@8000h"
    """Format of both directions; L16 is little-endian."""
    auth_bearer_token: Secret | None = None
    """Sent in the handshake."""


class SignalWireDialect(NumberedDialect):
    def __init__(self, options: SignalWireOptions, call: BotCall) -> None:
        super().__init__({"streamSid": str(UUID(call.stream_token))})
        self._options = options
        self._call = call
        self._ids = {"accountSid": str(UUID(int=0)), "callSid": str(UUID(call.call_token))}
        self.hears = self.speaks = _FORMATS[options.codec]

    def opening(self) -> Opening:
        token = secret(self._options.auth_bearer_token)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return Opening(self._options.url, {**headers, **self._options.headers})

    def hello(self) -> Iterable[Wire]:
        return (dumps({"event": "connected", "protocol": "Call", "version": "0.2.0"}),)

    def start(self) -> Mapping[str, Any]:
        encoding = "audio/x-mulaw" if self.hears is ULAW_8K else "audio/x-L16"
        numbers = {"from_number": self._call.caller, "to_number": self._call.called}
        return {
            **self._stream,
            **self._ids,
            "tracks": ["inbound"],
            "customParameters": {**numbers, **self._call.parameters},
            "mediaFormat": {"encoding": encoding, "sampleRate": self.hears.rate, "channels": 1},
        }

    def stop(self) -> Mapping[str, Any]:
        return self._ids

    def decode(self, message: Wire) -> Iterator[BotEvent]:
        found = json.loads(message)
        if found.get("event") == "dtmf":
            keys = found["dtmf"]
            yield Keys(str(keys.get("digits") or keys["digit"]))
        else:
            yield from super().decode(message)


SPEC: Final = bot("signalwire", SignalWireOptions, SignalWireDialect)
