"""What a role's script does, whoever's words it speaks: the same answers to the same questions, for one suite.

- STT: hears ``<n> ms`` of whatever was sent, in the format that was announced.
- LLM: says ``You said: <the last message>`` token by token; asked with tools, calls the first one.
- TTS: 20 ms of audio for each character.
- Realtime: answers each 300 ms that it hears with 100 ms of speech, then hears the caller break in.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any, ClassVar

from aiohttp import web

from tests.played.stage import Fault, Message, Script

LIMIT = 5.0


def silent(audio: bytes) -> bool:
    """Digital silence, in any of the encodings."""
    return not audio.strip(b"\xff\xd5\0")


class SttScript(Script):
    """Subclasses say ``bytes_per_ms``, sort the client's messages, and word the answers."""

    bytes_per_ms: float = 8

    def sort(self, message: Message) -> tuple[str, bytes]:
        """``("audio", bytes)``, ``("end", b"")``, or anything else with what is of no interest."""
        raise NotImplementedError

    def interim(self, text: str) -> Iterable[Message]:
        raise NotImplementedError

    def final(self, text: str) -> Iterable[Message]:
        """The answer to the end of a turn."""
        raise NotImplementedError

    heard = 0

    async def on_message(self, message: Message) -> None:
        kind, audio = self.sort(message)
        if kind == "audio" and not silent(audio):
            first = not self.heard
            self.heard += len(audio)
            if first:
                await self.say(self.interim("so far"))
        elif kind == "end":
            await self.on_end()

    async def on_end(self) -> None:
        if await self.misbehave():
            return
        text = f"{round(self.heard / self.bytes_per_ms)} ms" if self.heard else ""
        self.heard = 0
        if self.fault is Fault.DROP:
            await self.say(self.interim("half a"))
            self.drop()
            return
        await self.say(self.final(text))
        if self.fault is Fault.DUPLICATE:
            await self.say(self.final(text))


class QuietSttScript(SttScript):
    """Ends a turn by itself, when no audio has come for a moment: its protocol has no word for it."""

    _pending: asyncio.Task[None] | None = None

    async def on_message(self, message: Message) -> None:
        await super().on_message(message)
        kind, audio = self.sort(message)
        if kind == "audio" and not silent(audio):
            if self._pending is not None:
                self._pending.cancel()
            self._pending = asyncio.create_task(self.quiet())

    async def quiet(self) -> None:
        await asyncio.sleep(0.05)
        await self.on_end()


class TtsScript(Script):
    """Subclasses sort what the client says, and word the answers. ``silence`` is one sample."""

    sample: bytes = b"\xff"
    samples_per_ms: int = 8

    def sort(self, message: Message) -> tuple[str, str, str]:
        """``("speak", context, text)``, ``("cancel", context, "")``, or anything else."""
        raise NotImplementedError

    def audio(self, context: str, audio: bytes) -> Iterable[Message]:
        raise NotImplementedError

    def words(self, context: str, words: list[tuple[str, float, float]]) -> Iterable[Message]:
        """Times in seconds; nothing if the provider tells none."""
        return ()

    def done(self, context: str) -> Iterable[Message]:
        raise NotImplementedError

    def cancelled(self, context: str) -> Iterable[Message]:
        """What acknowledges a cancel."""
        return ()

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.speaking: dict[str, asyncio.Task[None]] = {}

    async def on_message(self, message: Message) -> None:
        kind, context, text = self.sort(message)
        if kind == "speak" and text.strip():
            self.speaking[context] = asyncio.create_task(self.speak(context, text))
        elif kind == "cancel":
            await self.cancel(context)

    async def cancel(self, context: str) -> None:
        task = self.speaking.pop(context, None)
        if task is not None:
            task.cancel()
        if self.fault is Fault.LATE:
            await self.say(self.audio(context, self.sample * self.samples_per_ms * 100))
        await self.say(self.cancelled(context))

    async def speak(self, context: str, text: str) -> None:
        if await self.misbehave():
            return
        await self.say(self.words(context, timed(text)))
        burst = self.sample * self.samples_per_ms * 20
        for number, _ in enumerate(text):
            await self.say(self.audio(context, burst))
            if self.fault is Fault.DROP and number == 2:
                self.drop()
                return
            await asyncio.sleep(0.002 if len(text) > 100 else 0)
        self.speaking.pop(context, None)
        await self.say(self.done(context))
        if self.fault is Fault.DUPLICATE:
            await self.say(self.done(context))


def timed(text: str) -> list[tuple[str, float, float]]:
    """Where the words of a text lie, at 20 ms for each character."""
    found, at = [], 0
    for word in text.split(" "):
        found.append((word, at * 0.02, (at + len(word)) * 0.02))
        at += len(word) + 1
    return found


class LlmScript(Script):
    """Subclasses word the chunks of the body."""

    content_type: ClassVar[str] = "text/event-stream"

    def last_message(self, body: dict[str, Any]) -> str:
        raise NotImplementedError

    def head(self) -> Iterable[str]:
        return ()

    def token(self, text: str) -> Iterable[str]:
        raise NotImplementedError

    def tool_call(self, name: str, arguments: str) -> Iterable[str]:
        raise NotImplementedError

    def finish(self, *, tools: bool) -> Iterable[str]:
        """With 7 tokens in, 3 of them cached, and 5 out."""
        raise NotImplementedError

    def failure(self) -> Iterable[str]:
        """An error in mid-stream."""
        raise NotImplementedError

    async def answer(self) -> web.StreamResponse:
        body = await self.request.json()
        self.stage.requests.append((self.request, body))
        response = self.response = web.StreamResponse(headers={"Content-Type": self.content_type})
        await response.prepare(self.request)
        if await self.misbehave():
            return response
        await self.write(self.head())
        if body.get("tools"):
            await self.write(self.tool_call("weather", '{"city":"Köln"}'))
        else:
            await self.talk(f"You said: {self.last_message(body)}")
        if self.fault is not Fault.DROP:
            await self.write(self.finish(tools=bool(body.get("tools"))))
        return response

    async def talk(self, text: str) -> None:
        for number, word in enumerate(text.split(" ")):
            await self.write(self.token(word if number == 0 else f" {word}"))
            await asyncio.sleep(0.002 if len(text) > 500 else 0)
            if self.fault is Fault.DROP:
                self.drop()
                return

    async def write(self, chunks: Iterable[str]) -> None:
        for chunk in chunks:
            data = chunk.encode()
            half = len(data) // 2  # a chunk is cut anywhere, in the middle of a character as well
            await self.response.write(data[:half])
            await self.response.write(data[half:])

    async def misbehave(self) -> bool:
        fault, self.fault = self.fault, Fault.NONE
        match fault:
            case Fault.SLOW:
                await asyncio.sleep(0.15)
            case Fault.STALL:
                await asyncio.sleep(LIMIT)
                return True
            case Fault.ERROR:
                await self.write([*self.head(), *self.failure()])
                return True
            case Fault.MALFORMED:
                await self.write(["data: {%%%\n\n"])
                return True
            case Fault.BAD_FRAME:
                await self.response.write(b"data: \xff\xfe{\n\n")
                return True
            case Fault.LIMIT:
                self.drop()
                return True
            case Fault.UNKNOWN:
                await self.write([": keep-alive\n\n", 'event: something.new\r\ndata: {"type":"something.new"}\r\n\r\n'])
            case Fault.DROP:
                self.fault = fault
        return False


class TextBotScript(Script):
    """A bot in text: like an LLM, but of the messages it gets only what the caller said. ``goodbye`` ends the call."""

    talking: asyncio.Task[None] | None = None

    def token(self, text: str) -> Iterable[Message]:
        raise NotImplementedError

    def finish(self) -> Iterable[Message]:
        raise NotImplementedError

    def goodbye(self) -> Iterable[Message]:
        raise NotImplementedError

    def begin(self, text: str) -> None:
        self.talking = asyncio.create_task(self.talk(text))

    def stop(self) -> None:
        if self.talking is not None:
            self.talking.cancel()

    async def talk(self, text: str) -> None:
        if await self.misbehave():
            return
        for number, word in enumerate(f"You said: {text}".split(" ")):
            await self.say(self.token(word if number == 0 else f" {word}"))
            await asyncio.sleep(0.002 if len(text) > 500 else 0)
            if self.fault is Fault.DROP:
                self.drop()
                return
        await self.say(self.finish())
        if self.fault is Fault.DUPLICATE:
            await self.say(self.finish())
        if text == "goodbye":
            await self.say(self.goodbye())

    def error(self) -> Iterable[Message]:
        self.drop()
        return ()


class HttpTtsScript(Script):
    """Raw audio in the body."""

    sample: bytes = b"\x00\x00"
    samples_per_ms: int = 24
    content_type: ClassVar[str] = "audio/pcm"

    def text(self, body: dict[str, Any]) -> str:
        raise NotImplementedError

    async def answer(self) -> web.StreamResponse:
        body = await self.request.json()
        self.stage.requests.append((self.request, body))
        fault, self.fault = self.fault, Fault.NONE
        if fault is Fault.STALL:
            await asyncio.sleep(LIMIT)
        if fault in {Fault.ERROR, Fault.MALFORMED, Fault.BAD_FRAME}:
            return web.json_response(json.loads(self.refusal(500)), status=500)
        if fault is Fault.SLOW:
            await asyncio.sleep(0.15)
        response = web.StreamResponse(headers={"Content-Type": self.content_type})
        await response.prepare(self.request)
        text = self.text(body)
        for number, _ in enumerate(text):
            await response.write(self.sample * self.samples_per_ms * 20)
            if fault in {Fault.DROP, Fault.LIMIT} and number == 2:
                self.drop()
                return response
            await asyncio.sleep(0.002 if len(text) > 100 else 0)
        return response


class RealtimeScript(Script):
    """Subclasses sort what the client says, and word the answers."""

    bytes_per_ms: float = 8
    """Of what it hears."""
    out_bytes_per_ms: float = 8
    sample: bytes = b"\xff"

    def sort(self, message: Message) -> tuple[str, bytes]:
        """``("audio", bytes)``, ``("interrupted", b"<ms>")``, ``("tool_result", text)``, or anything else."""
        raise NotImplementedError

    def heard_text(self, text: str) -> Iterable[Message]:
        return ()

    def said(self, text: str) -> Iterable[Message]:
        return ()

    def audio(self, audio: bytes) -> Iterable[Message]:
        raise NotImplementedError

    def done(self) -> Iterable[Message]:
        raise NotImplementedError

    def interrupted(self) -> Iterable[Message]:
        raise NotImplementedError

    def tool_call(self, call: str, name: str, arguments: str) -> Iterable[Message]:
        return ()

    heard = 0
    interrupts: tuple[bytes, ...] = ()
    results: tuple[bytes, ...] = ()

    async def on_message(self, message: Message) -> None:
        kind, data = self.sort(message)
        match kind:
            case "audio" if not silent(data):
                self.heard += len(data)
                if self.heard >= 300 * self.bytes_per_ms:
                    self.heard = 0
                    await self.reply()
            case "interrupted":
                self.interrupts += (data,)
            case "tool_result":
                self.results += (data,)

    async def reply(self) -> None:
        if await self.misbehave():
            return
        await self.say(self.heard_text("hello"))
        await self.say(self.said("good morning"))
        count = round(20 * self.out_bytes_per_ms) // len(self.sample)
        for number in range(5):
            await self.say(self.audio(self.sample * count))
            if self.fault is Fault.DROP and number == 2:
                self.drop()
                return
        await self.say(self.tool_call("call-1", "weather", '{"city":"Köln"}'))
        await self.say(self.done())
        await self.say(self.interrupted())
        if self.fault is Fault.LATE:
            await self.say(self.audio(self.sample * count))
