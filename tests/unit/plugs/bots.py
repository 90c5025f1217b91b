"""Bots as their makers would write them: what each protocol says, by hand, from its documentation."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

Wire = str | bytes


def text(**content: Any) -> str:
    return json.dumps(content)


def b64(audio: bytes) -> str:
    return b64encode(audio).decode()


@dataclass(frozen=True)
class Words:
    """How a bot of one kind says and hears things. ``heard`` gives the audio of a message, or None."""

    play: Callable[[bytes], Wire]
    clear: Wire | None
    mark: Wire | None
    marked: Callable[[dict[str, Any]], bool]
    """The message reports the mark ``m1`` as played (or dropped)."""
    digit: Callable[[dict[str, Any]], str | None]
    heard: Callable[[Any], bytes | None]
    begun: Callable[[dict[str, Any]], bool]
    greeting: Callable[[dict[str, Any]], Wire | None] = lambda _: None
    """The answer that a message of the handshake wants."""
    width: int = 1
    """Bytes of a sample that it plays."""
    options: dict[str, Any] = field(default_factory=dict)
    numbers: tuple[str, str] | None = None
    """Where, dotted, the start tells caller and called."""


def payload(*path: str) -> Callable[[Any], bytes | None]:
    def heard(message: Any) -> bytes | None:
        if not isinstance(message, dict):
            return None
        for key in path:
            if not isinstance(message, dict) or key not in message:
                return None
            message = message[key]
        return b64decode(message)

    return heard


def binary(message: Any) -> bytes | None:
    return message if isinstance(message, bytes) else None


def event(name: str, key: str = "event") -> Callable[[dict[str, Any]], bool]:
    return lambda message: message.get(key) == name


def digit_of(name: str, *path: str, key: str = "event") -> Callable[[dict[str, Any]], str | None]:
    def digit(message: dict[str, Any]) -> str | None:
        if message.get(key) != name:
            return None
        found: Any = message
        for step in path:
            found = found[step]
        return str(found)

    return digit


def _marked(message: dict[str, Any]) -> bool:
    return message.get("event") == "mark" and message["mark"] == {"name": "m1"}


def _json_stream(numbers: tuple[str, str], **options: Any) -> Words:
    return Words(
        play=lambda audio: text(event="media", media={"payload": b64(audio)}),
        clear=text(event="clear"),
        mark=text(event="mark", mark={"name": "m1"}),
        marked=_marked,
        digit=digit_of("dtmf", "dtmf", "digit"),
        heard=payload("media", "payload"),
        begun=event("start"),
        numbers=numbers,
        **options,
    )


def _genesys_answer(message: dict[str, Any]) -> Wire | None:
    if message.get("type") != "open":
        return None
    return text(version="2", id=message["id"], type="opened", seq=1, clientseq=1, parameters={"media": []})


def _audiocodes_answer(message: dict[str, Any]) -> Wire | None:
    if message.get("type") == "session.resume":
        return text(type="session.accepted")
    if message.get("type") != "session.initiate":
        return None
    return text(type="session.accepted", mediaFormat=message["supportedMediaFormats"][0])


def _audiocodes_digit(message: dict[str, Any]) -> str | None:
    events = message.get("activities", [])
    return next((one["value"] for one in events if one["name"] == "dtmf"), None)


WORDS: dict[str, Words] = {
    "twilio": _json_stream(("start.customParameters.from_number", "start.customParameters.to_number")),
    "signalwire": _json_stream(("start.customParameters.from_number", "start.customParameters.to_number")),
    "telnyx": _json_stream(("start.from", "start.to")),
    "exotel": _json_stream(("start.from", "start.to"), width=2),
    "plivo": Words(
        play=lambda audio: text(
            event="playAudio", media={"contentType": "audio/x-mulaw", "sampleRate": 8000, "payload": b64(audio)}
        ),
        clear=text(event="clearAudio"),
        mark=text(event="checkpoint", name="m1"),
        marked=lambda message: message.get("event") == "playedStream" and message["name"] == "m1",
        digit=digit_of("dtmf", "dtmf", "digit"),
        heard=payload("media", "payload"),
        begun=event("start"),
    ),
    "vonage": Words(
        play=lambda audio: audio,
        clear=text(action="clear"),
        mark=text(action="notify", payload={"name": "m1"}),
        marked=lambda message: message.get("event") == "websocket:notify" and message["payload"] == {"name": "m1"},
        digit=digit_of("websocket:dtmf", "digit"),
        heard=binary,
        begun=event("websocket:connected"),
        width=2,
        options={"sample_rate": 8000},
    ),
    "jambonz": Words(
        play=lambda audio: audio,
        clear=text(type="killAudio"),
        mark=text(type="mark", data={"name": "m1"}),
        marked=lambda message: message.get("type") == "mark" and message["data"]["name"] == "m1",
        digit=digit_of("dtmf", "dtmf"),
        heard=binary,
        begun=lambda message: "callSid" in message,
        width=2,
        numbers=("from", "to"),
    ),
    "audio_fork": Words(
        play=lambda audio: text(
            type="playAudio", data={"audioContentType": "raw", "sampleRate": 8000, "audioContent": b64(audio)}
        ),
        clear=text(type="killAudio"),
        mark=None,
        marked=lambda _: False,
        digit=digit_of("dtmf", "dtmf"),
        heard=binary,
        begun=lambda message: "callSid" in message,
        width=2,
    ),
    "asterisk": Words(
        play=lambda audio: audio,
        clear=text(command="FLUSH_MEDIA"),
        mark=text(command="MARK_MEDIA", correlation_id="m1"),
        marked=lambda message: message.get("event") == "MEDIA_MARK_PROCESSED" and message["correlation_id"] == "m1",
        digit=digit_of("DTMF_END", "digit"),
        heard=binary,
        begun=event("MEDIA_START"),
        numbers=("channel_variables.CALLERID(num)", "channel_variables.EXTEN"),
    ),
    "audiocodes": Words(
        play=lambda audio: text(type="playStream.chunk", audioChunk=b64(audio)),
        clear=text(type="userStream.speech.hypothesis", alternatives=[{"text": "wait"}]),
        mark=None,
        marked=lambda _: False,
        digit=_audiocodes_digit,
        heard=payload("audioChunk"),
        begun=event("userStream.start", "type"),
        greeting=_audiocodes_answer,
        options={"media_format": "raw/mulaw"},
    ),
    "genesys": Words(
        play=lambda audio: audio,
        clear=text(version="2", type="event", seq=2, clientseq=1, parameters={"entities": [{"type": "barge_in"}]}),
        mark=None,
        marked=lambda _: False,
        digit=digit_of("dtmf", "parameters", "digit", key="type"),
        heard=binary,
        begun=event("open", "type"),
        greeting=_genesys_answer,
        numbers=("parameters.participant.ani", "parameters.participant.dnis"),
    ),
}


class PlayedBot:
    """One connection: everything that came, and a way to speak."""

    def __init__(self, words: Words) -> None:
        self.words = words
        self.messages: list[Any] = []
        self.audio = b""
        self.headers: dict[str, str] = {}
        self.closed = False
        self._socket: web.WebSocketResponse
        self._changed = asyncio.Event()

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        offered = request.headers.get("Sec-WebSocket-Protocol")
        self.headers = dict(request.headers)
        self._socket = web.WebSocketResponse(protocols=(offered,) if offered else ())
        await self._socket.prepare(request)
        async for message in self._socket:
            await self._take(message.data if message.type is WSMsgType.BINARY else json.loads(message.data))
        self.closed = True
        self._changed.set()
        return self._socket

    async def _take(self, message: Any) -> None:
        self.messages.append(message)
        if (heard := self.words.heard(message)) is not None:
            self.audio += heard
        if isinstance(message, dict) and (answer := self.words.greeting(message)) is not None:
            await self.say(answer)
        self._changed.set()

    async def say(self, message: Wire) -> None:
        if isinstance(message, str):
            await self._socket.send_str(message)
        else:
            await self._socket.send_bytes(message)

    async def leave(self, code: int = 1000) -> None:
        await self._socket.close(code=code)

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def texts(self) -> list[dict[str, Any]]:
        return [message for message in self.messages if isinstance(message, dict)]


@asynccontextmanager
async def played(words: Words) -> AsyncIterator[tuple[PlayedBot, str]]:
    """A bot that waits for one call, and its address."""
    bot = PlayedBot(words)
    application = web.Application()
    application.router.add_get("/media", bot.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield bot, f"ws://127.0.0.1:{runner.addresses[0][1]}/media"
    finally:
        await runner.cleanup()
