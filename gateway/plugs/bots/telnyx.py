"""Telnyx media streaming: the gateway plays Telnyx towards a bot (developers.telnyx.com, media streaming)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal
from uuid import UUID

from gateway.audio import ALAW_8K, PCM_8K, PCM_16K, ULAW_8K, AudioFormat
from gateway.options import Secret
from gateway.plugs.bots.dialect import BotCall
from gateway.plugs.bots.numbered import NumberedDialect
from gateway.plugs.bots.options import BotOptions
from gateway.plugs.bots.session import bot
from gateway.providers.dialect import Opening, Wire
from gateway.providers.options import dumps, secret

__all__ = ["SPEC", "TelnyxDialect", "TelnyxOptions"]

_FORMATS: Final[Mapping[str, tuple[str, AudioFormat]]] = {
    "PCMU": ("PCMU", ULAW_8K),
    "PCMA": ("PCMA", ALAW_8K),
    "L16@8000": ("L16", PCM_8K),
    "L16@16000": ("L16", PCM_16K),
}


class TelnyxOptions(BotOptions):
    """A plug of kind `telnyx`: a bot that speaks Telnyx' media streaming."""

    codec: Literal["PCMU", "PCMA", "L16@8000", "L16@16000"] = "PCMU"
    """Format of both directions; L16 is little-endian."""
    auth_token: Secret | None = None
    """`stream_auth_token`, sent in the handshake."""


class TelnyxDialect(NumberedDialect):
    sequence_key = "sequence_number"

    def __init__(self, options: TelnyxOptions, call: BotCall) -> None:
        super().__init__({"stream_id": str(UUID(call.stream_token))})
        self._options = options
        self._call = call
        self._ids = {"user_id": str(UUID(int=0)), "call_control_id": f"v3:{call.call_token}"}
        self._encoding, self.hears = _FORMATS[options.codec]
        self.speaks = self.hears

    def opening(self) -> Opening:
        token = secret(self._options.auth_token)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return Opening(self._options.url, {**headers, **self._options.headers})

    def hello(self) -> Iterable[Wire]:
        return (dumps({"event": "connected", "version": "1.0.0"}),)

    def start(self) -> Mapping[str, Any]:
        return {
            **self._ids,
            "call_session_id": str(UUID(self._call.call_token)),
            "from": self._call.caller,
            "to": self._call.called,
            "custom_parameters": dict(self._call.parameters),
            "media_format": {"encoding": self._encoding, "sample_rate": self.hears.rate, "channels": 1},
        }

    def stop(self) -> Mapping[str, Any]:
        return self._ids

    def digit(self, digit: str, duration_ms: int) -> Iterable[Wire]:
        return (self.event("dtmf", dtmf={"digit": digit}),)


SPEC: Final = bot("telnyx", TelnyxOptions, TelnyxDialect)
