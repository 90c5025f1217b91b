"""Genesys Cloud Audio Connector (AudioHook v2): the gateway plays Genesys towards a bot
(github.com/purecloudlabs/audiohook-reference-implementation, protocol/message.ts)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final
from uuid import UUID

from gateway.audio import ULAW_8K
from gateway.options import Secret
from gateway.plugs.bots.dialect import BotCall, BotDialect, BotEvent, Clear, HangUp, Play
from gateway.plugs.bots.options import BotOptions
from gateway.plugs.bots.session import bot
from gateway.providers.dialect import Envelope, Fault, Life, Opening, Ready, Reply, Wire
from gateway.providers.options import dumps, secret

__all__ = ["SPEC", "GenesysDialect", "GenesysOptions"]

_FRAME_MS: Final = 100
_REFUSED: Final = ("unauthorized", "error")


class GenesysOptions(BotOptions):
    """A plug of kind `genesys`: a bot that speaks AudioHook as an Audio Connector. `parameters` are input variables."""

    organization_id: str = "00000000-0000-0000-0000-000000000000"
    """As the bot is told."""
    api_key: Secret | None = None
    """Sent in the handshake (`X-API-KEY`)."""
    language: str = "en-US"
    """As the bot is told the call's language."""


class GenesysDialect(BotDialect):
    life: ClassVar[Life] = Life(greeted=True, frame_ms=_FRAME_MS, probe=False)
    beat_every = 5000 // _FRAME_MS

    def __init__(self, options: GenesysOptions, call: BotCall) -> None:
        self._options = options
        self._call = call
        self._session = str(UUID(call.stream_token))
        self._sequence = self._theirs = 0
        self._sent_ms = 0
        self._playing = False
        self.hears = self.speaks = ULAW_8K

    def opening(self) -> Opening:
        conversation = str(UUID(self._call.call_token))
        headers = {
            "Audiohook-Organization-Id": self._options.organization_id,
            "Audiohook-Correlation-Id": conversation,
            "Audiohook-Session-Id": self._session,
        }
        if key := secret(self._options.api_key):
            headers["X-API-KEY"] = key
        self._sequence = self._theirs = 0
        first = self._say(
            "open",
            organizationId=self._options.organization_id,
            conversationId=conversation,
            participant={"id": conversation, "ani": self._call.caller, "aniName": "", "dnis": self._call.called},
            media=[{"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}],
            language=self._options.language,
            inputVariables=dict(self._call.parameters),
        )
        return Opening(self._options.url, {**headers, **self._options.headers}, (first,))

    def wrap(self) -> Envelope:
        self._sent_ms += _FRAME_MS
        return self.envelope

    def beat(self) -> Iterable[Wire]:
        return (self._say("ping"),)

    def digit(self, digit: str, duration_ms: int) -> Iterable[Wire]:
        return (self._say("dtmf", digit=digit),)

    def drained(self) -> Iterable[Wire]:
        playing, self._playing = self._playing, False
        return (self._say("playback_completed"),) if playing else ()

    def close(self) -> Iterable[Wire]:
        return (self._say("close", reason="end"),)

    def decode(self, message: Wire) -> Iterator[BotEvent | Ready | Reply | Fault]:
        if isinstance(message, bytes):
            if not self._playing:
                self._playing = True
                yield Reply(self._say("playback_started"))
            yield Play(message)
            return
        found = json.loads(message)
        self._theirs = int(found["seq"])
        parameters = found.get("parameters") or {}
        match found.get("type"):
            case "opened":
                yield Ready()
            case "disconnect" if parameters.get("reason") in _REFUSED:
                yield Fault(f"{parameters['reason']}: {parameters.get('info', '')}", transient=False)
            case "disconnect":
                yield HangUp("the bot is done", after_playout=True)
            case "event":
                yield from _entities(parameters.get("entities") or ())

    def _say(self, kind: str, **parameters: Any) -> str:
        self._sequence += 1
        message = {
            "version": "2",
            "id": self._session,
            "type": kind,
            "seq": self._sequence,
            "serverseq": self._theirs,
            "position": f"PT{self._sent_ms / 1000:g}S",
            "parameters": parameters,
        }
        return dumps(message)


def _entities(entities: Iterable[Mapping[str, Any]]) -> Iterator[BotEvent]:
    if any(entity.get("type") == "barge_in" for entity in entities):
        yield Clear()


SPEC: Final = bot("genesys", GenesysOptions, GenesysDialect)
