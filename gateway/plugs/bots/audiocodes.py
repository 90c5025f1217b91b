"""AudioCodes Bot API (VoiceAI Connect, LiveHub), WebSocket mode: the gateway plays VoiceAI Connect towards a bot."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final, Literal

from gateway.audio import PCM_8K, PCM_16K, ULAW_8K
from gateway.options import Secret
from gateway.plugs.bots.dialect import BotCall, BotDialect, BotEvent, Clear, HangUp, Mark, Play
from gateway.plugs.bots.options import BotOptions
from gateway.plugs.bots.session import bot
from gateway.providers.dialect import Envelope, Fault, Life, Opening, Ready, Wire
from gateway.providers.options import dumps, secret

__all__ = ["SPEC", "AudioCodesDialect", "AudioCodesOptions"]

_FORMATS: Final = {"raw/mulaw": ULAW_8K, "raw/lpcm16_8": PCM_8K, "raw/lpcm16": PCM_16K}


class AudioCodesOptions(BotOptions):
    """A plug of kind `audiocodes`: a bot that speaks the AudioCodes Bot API."""

    media_format: Literal["raw/mulaw", "raw/lpcm16_8", "raw/lpcm16"] = "raw/lpcm16"
    """What is offered first; the bot chooses."""
    bot_name: str = "bot"
    """As the bot is told its name."""
    language: str = "en-US"
    """As the bot is told the call's language."""
    token: Secret | None = None
    """Sent in the handshake (`Authorization: Bearer ...`)."""


class AudioCodesDialect(BotDialect):
    life: ClassVar[Life] = Life(greeted=True)

    def __init__(self, options: AudioCodesOptions, call: BotCall) -> None:
        self._options = options
        self._call = call
        self._streaming = False
        self._stream = ""
        self._activity = 0
        self.hears = self.speaks = _FORMATS[options.media_format]

    def opening(self) -> Opening:
        token = secret(self._options.token)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return Opening(self._options.url, {**headers, **self._options.headers}, (self._first(),))

    def _first(self) -> str:
        if self._streaming:
            return self._say("session.resume")
        return self._say(
            "session.initiate",
            botName=self._options.bot_name,
            caller=self._call.caller,
            expectAudioMessages=True,
            supportedMediaFormats=[self._options.media_format],
        )

    def started(self) -> Iterable[Wire]:
        parameters = {"caller": self._call.caller, "callee": self._call.called, **self._call.parameters}
        about = {"language": self._options.language, "parameters": parameters}
        self._streaming = True
        return self._event("start", **about), self._say("userStream.start")

    def resume(self) -> bool:
        """A bot that closes its socket, politely or not, has not hung up: VoiceAI Connect dials it again."""
        return self._streaming

    def resumed(self) -> Iterable[Wire]:
        return (self._say("userStream.start"),)

    def wrap(self) -> Envelope:
        text = self._say("userStream.chunk", audioChunk="")
        return Envelope(text[:-2].encode(), b'"}', base64=True)

    def digit(self, digit: str, duration_ms: int) -> Iterable[Wire]:
        return (self._event("dtmf", value=digit),)

    def played(self, name: str) -> Iterable[Wire]:
        return (self._event("playFinished", value=name),)

    def close(self) -> Iterable[Wire]:
        end = self._say("session.end", reasonCode="client-disconnected", reason="the call has ended")
        return (self._say("userStream.stop"), end) if self._streaming else (end,)

    def decode(self, message: Wire) -> Iterator[BotEvent | Ready | Fault]:
        found = json.loads(message)
        match found.get("type"):
            case "session.accepted":
                chosen = found.get("mediaFormat", self._options.media_format)
                if chosen != self._options.media_format:
                    yield Fault(f"the bot chose {chosen}, which was not offered", transient=False)
                yield Ready()
            case "session.error":
                yield Fault(str(found.get("reason", "the bot refused the session")), transient=False)
            case "playStream.start":
                self._stream = str(found.get("streamId", ""))
            case "playStream.chunk" if str(found.get("streamId", self._stream)) == self._stream:
                yield Play(b64decode(found["audioChunk"], validate=True))
            case "playStream.stop":
                yield Mark(self._stream)  # what the bot sent until then is played: chunks come about in real time
            case "userStream.speech.hypothesis":
                yield Clear()  # the bot hears the caller: VoiceAI Connect stops playing by itself
            case "activities":
                yield from _activities(found["activities"])

    def _say(self, kind: str, **content: Any) -> str:
        return dumps({"type": kind, "conversationId": self._call.call_token, **content})

    def _event(self, name: str, **content: Any) -> str:
        self._activity += 1
        event = {"type": "event", "name": name, "id": f"{self._call.stream_token[:8]}-{self._activity}", **content}
        return self._say("activities", activities=[event])


def _activities(activities: Iterable[Mapping[str, Any]]) -> Iterator[BotEvent]:
    for activity in activities:
        if activity.get("type") == "event" and activity.get("name") == "hangup":
            yield HangUp("the bot hung up", after_playout=True)


SPEC: Final = bot("audiocodes", AudioCodesOptions, AudioCodesDialect)
