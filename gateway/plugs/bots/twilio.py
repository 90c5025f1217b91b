"""Twilio Media Streams: the gateway plays Twilio towards a bot (twilio.com/docs/voice/media-streams)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from gateway.options import Address, Secret
from gateway.plugs.bots.dialect import BotCall
from gateway.plugs.bots.numbered import NumberedDialect
from gateway.plugs.bots.options import BotOptions
from gateway.plugs.bots.session import Bot, BotSession
from gateway.plugs.bots.twilio_rest import TwilioRest
from gateway.plugs.contract import CallView, Plug, PlugSpec
from gateway.providers.conversation_relay import signature
from gateway.providers.dialect import Opening, Wire
from gateway.providers.options import dumps, secret

__all__ = ["SPEC", "TwilioDialect", "TwilioOptions"]


class TwilioOptions(BotOptions):
    """A plug of kind `twilio`: a bot that speaks Twilio Media Streams."""

    account_sid: str = Field(default="AC" + "0" * 32, pattern=r"^AC[0-9a-fA-F]{32}$")
    """The account that the bot believes to be called by."""
    auth_token: Secret | None = None
    """Signs the handshake (`X-Twilio-Signature`), for bots that check it, and is asked for by `rest`."""
    rest: Address | None = None
    """Where to serve the part of Twilio's API with which bots hang up and transfer, like `127.0.0.1:8090`. Without
    `auth_token` whoever reaches it may end these calls."""


class TwilioDialect(NumberedDialect):
    def __init__(self, options: TwilioOptions, call: BotCall) -> None:
        super().__init__({"streamSid": f"MZ{call.stream_token}"})
        self._options = options
        self._call = call
        self._ids = {"accountSid": options.account_sid, "callSid": f"CA{call.call_token}"}

    def opening(self) -> Opening:
        headers = {"User-Agent": "Twilio.TmeWs/1.0"}
        if token := secret(self._options.auth_token):
            headers["X-Twilio-Signature"] = signature(self._options.url, token)
        return Opening(self._options.url, {**headers, **self._options.headers})

    def hello(self) -> Iterable[Wire]:
        return (dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}),)

    def start(self) -> Mapping[str, Any]:
        numbers = {"from_number": self._call.caller, "to_number": self._call.called}
        return {
            **self._stream,
            **self._ids,
            "tracks": ["inbound"],
            "customParameters": {**numbers, **self._call.parameters},
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        }

    def stop(self) -> Mapping[str, Any]:
        return self._ids


def _create(options: TwilioOptions) -> Plug:
    return Bot("twilio", options, TwilioDialect) if options.rest is None else RestBot(options)


class RestBot(Bot):
    """A bot whose calls can be ended and transferred over HTTP."""

    def __init__(self, options: TwilioOptions) -> None:
        super().__init__("twilio", options, TwilioDialect)
        self._rest = TwilioRest(options.account_sid, secret(options.auth_token))
        self._listen = options.rest or ("127.0.0.1", 0)

    def open(self, call: CallView) -> BotSession:
        session = super().open(call)
        self._rest.add(f"CA{session.about.call_token}", session)
        return session

    async def prepare(self, providers: Mapping[str, object], cache: Path | None) -> None:
        await self._rest.serve(*self._listen)


SPEC: Final = PlugSpec("twilio", TwilioOptions, _create, provider_roles={})
