"""jambonz ``listen`` and FreeSWITCH's mod_audio_fork, from which it comes: binary linear audio beside JSON commands
(github.com/jambonz/schema, docs/verbs/listen.md; drachtio-freeswitch-modules, mod_audio_fork)."""

from __future__ import annotations

import io
import json
import wave
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal
from uuid import UUID

from gateway.audio import AudioFormat, Encoding
from gateway.options import Secret
from gateway.plugs.bots.dialect import BotCall, BotDialect, BotEvent, Clear, HangUp, Mark, Play
from gateway.plugs.bots.options import BotOptions
from gateway.plugs.bots.session import bot
from gateway.providers.dialect import Opening, Wire
from gateway.providers.options import dumps, secret

__all__ = ["AUDIO_FORK", "JAMBONZ", "AudioForkOptions", "JambonzDialect", "JambonzOptions"]

_PLAY_DONE: Final = "playAudio:"
"""Before the id of a recording, among the names of marks."""


class _LinearBot(BotOptions):
    sample_rate: Literal[8000, 16000, 24000, 48000] = 8000
    """Of both directions, in Hz."""
    user: str = ""
    """For basic authentication in the handshake."""
    password: Secret | None = None
    """The same."""


class JambonzOptions(_LinearBot):
    """A plug of kind `jambonz`: a bot that speaks jambonz' `listen`, with bidirectional streaming."""


class AudioForkOptions(_LinearBot):
    """A plug of kind `audio_fork`: a bot that speaks FreeSWITCH's mod_audio_fork."""


class JambonzDialect(BotDialect):
    subprotocol = "audio.jambonz.org"

    def __init__(self, options: _LinearBot, call: BotCall) -> None:
        self._options = options
        self._call = call
        self.hears = self.speaks = AudioFormat(Encoding.PCM, options.sample_rate)

    def opening(self) -> Opening:
        headers = {}
        if self._options.user:
            pair = f"{self._options.user}:{secret(self._options.password)}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        return Opening(self._options.url, {**headers, **self._options.headers}, subprotocols=(self.subprotocol,))

    def started(self) -> Iterable[Wire]:
        about = {
            "callSid": str(UUID(self._call.call_token)),
            "callId": self._call.call_id,
            "direction": "inbound",
            "from": self._call.caller,
            "to": self._call.called,
            "callStatus": "in-progress",
            "sampleRate": self.hears.rate,
            "mixType": "mono",
        }
        return (dumps({**about, **self._call.parameters}),)

    def digit(self, digit: str, duration_ms: int) -> Iterable[Wire]:
        return (dumps({"event": "dtmf", "dtmf": digit, "duration": str(duration_ms)}),)

    def played(self, name: str) -> Iterable[Wire]:
        if name.startswith(_PLAY_DONE):
            return (dumps({"type": "playDone", "data": {"id": name.removeprefix(_PLAY_DONE)}}),)
        return (_marked(name, "playout"),)

    def cleared(self, names: tuple[str, ...]) -> Iterable[Wire]:
        return tuple(_marked(name, "cleared") for name in names if not name.startswith(_PLAY_DONE))

    def decode(self, message: Wire) -> Iterator[BotEvent]:
        if isinstance(message, bytes):
            yield Play(message)
            return
        found = json.loads(message)
        data = found.get("data") or {}
        match found.get("type"):
            case "playAudio":
                yield _play(data)
                if data.get("id") is not None:
                    yield Mark(f"{_PLAY_DONE}{data['id']}")
            case "killAudio":
                yield Clear()
            case "mark":
                yield Mark(str(data["name"]))
            case "disconnect":
                yield HangUp("the bot hung up")


class AudioForkDialect(JambonzDialect):
    subprotocol = "audio.drachtio.org"


def _marked(name: str, event: str) -> str:
    return dumps({"type": "mark", "data": {"name": name, "event": event}})


def _play(data: Mapping[str, Any]) -> Play:
    """Raw samples, or a WAV file of them."""
    audio = b64decode(data["audioContent"], validate=True)
    rate = int(data.get("sampleRate") or 8000)
    if data.get("audioContentType") not in {"wav", "wave"}:
        return Play(audio, AudioFormat(Encoding.PCM, rate))
    try:
        with wave.open(io.BytesIO(audio)) as file:
            if (file.getnchannels(), file.getsampwidth()) != (1, 2):
                raise ValueError("a WAV file that is not 16-bit mono")
            return Play(file.readframes(file.getnframes()), AudioFormat(Encoding.PCM, file.getframerate()))
    except (wave.Error, EOFError) as error:
        raise ValueError(f"no WAV file: {error}") from error


JAMBONZ: Final = bot("jambonz", JambonzOptions, JambonzDialect)
AUDIO_FORK: Final = bot("audio_fork", AudioForkOptions, AudioForkDialect)
