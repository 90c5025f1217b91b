"""The server's side of a stream, one class per role: messages in, models' work out, credit kept both ways."""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Protocol

from gateway.errors import RemoteError, ResourceError
from gateway.models.dialogue import Answer, Dialogue
from gateway.models.stt import MODEL_RATE, Recogniser, Result, Turn
from gateway.models.tts import Job, Spoken, Synthesiser
from gateway.wire.messages import MAX_AUDIO_BYTES, Flags
from gateway.wire.socket import AudioMessage

__all__ = ["EchoStream", "LlmStream", "Models", "Peer", "Stream", "SttStream", "TtsStream"]

_UPLINK_WINDOW_S: Final = 4
_PRE_ROLL_MS: Final = 300
"""Before the gateway's detector says that speech begins, there was some of it already."""
_RING_MS: Final = 1500
_TEXT_LIMIT: Final = 4000
_REQUEST_LIMIT: Final = 64
_TOKEN: Final = re.compile(r"\s*\S+")


class Peer(Protocol):
    """What a stream needs of its connection."""

    def send(self, kind: str, **fields: object) -> None: ...

    def send_audio(  # noqa: PLR0917 - the header, field by field
        self, stream: int, sequence: int, timestamp: int, request: int, flags: int, pcm: bytes
    ) -> bool: ...

    def drop(self, number: int) -> None: ...


class Models:
    """What the streams share."""

    def __init__(
        self, dialogue: Dialogue, recogniser: Recogniser, synthesiser: Synthesiser, token_delay_s: float
    ) -> None:
        self.dialogue = dialogue
        self.recogniser = recogniser
        self.synthesiser = synthesiser
        self.token_delay_s = token_delay_s


class Stream:
    """What every role does: credit for what comes up, credit for what goes down."""

    role: ClassVar[str]
    rates: ClassVar[tuple[int, ...]] = ()

    def __init__(self, peer: Peer, models: Models, number: int, rate: int, credit: int) -> None:
        self.peer = peer
        self.models = models
        self.number = number
        self.rate = rate
        self._credit = credit
        self.window = rate * 2 * _UPLINK_WINDOW_S
        self._allowed = self.window
        self._taken = 0
        self._sequence = 0
        self._outbox: deque[tuple[int, int, bytes]] = deque()

    def model(self) -> dict[str, str]:
        raise NotImplementedError

    def on_message(self, kind: str, message: Mapping[str, Any]) -> None:
        match kind:
            case "credit":
                self._credit += message["bytes"]
                self._pump()
            case "mark":
                self.send("marked", mark=message["mark"])
            case _:
                self.on_verb(kind, message)

    def on_verb(self, kind: str, message: Mapping[str, Any]) -> None:
        """A verb of the role; others are ignored."""

    def on_audio(self, message: AudioMessage) -> None:
        size = len(message[5])
        if size > self._allowed or size % 2:
            self.fail("flow_violation" if size % 2 == 0 else "bad_audio", "audio beyond the credit, or half a sample")
            return
        self._allowed -= size
        self.on_frame(message[2], message[4], message[5])
        self.grant()

    def on_frame(self, timestamp: int, flags: int, pcm: bytes) -> None:
        """Audio of the stream."""

    def consumed(self, size: int) -> None:
        """So much audio was taken in for good; its credit is given back in portions."""
        self._taken += size

    def grant(self) -> None:
        if self._taken >= self.window // 4:
            self._allowed += self._taken
            self.send("credit", bytes=self._taken)
            self._taken = 0

    def send(self, kind: str, **fields: object) -> None:
        self.peer.send(kind, stream=self.number, **fields)

    def refuse(self, request: int, code: str, text: str, *, transient: bool) -> None:
        """One request cannot be done; the stream goes on."""
        self.send("error", request=request, transient=transient, code=code, message=text)

    def fail(self, code: str, text: str) -> None:
        """The stream is over."""
        self.send("error", transient=False, code=code, message=text)
        self.peer.drop(self.number)

    def close(self) -> None:
        """The stream is over; stop working for it."""

    # --- audio down ---------------------------------------------------------------------------------------------------

    def queue(self, request: int, timestamp: int, pcm: bytes) -> None:
        """Sends audio as far as the credit goes, and the rest when there is more."""
        for at in range(0, len(pcm), MAX_AUDIO_BYTES):
            self._outbox.append((request, timestamp + at // 2, pcm[at : at + MAX_AUDIO_BYTES]))
        self._pump()

    def unqueue(self, request: int) -> None:
        self._outbox = deque(item for item in self._outbox if item[0] != request)

    def _pump(self) -> None:
        while self._outbox:
            request, timestamp, pcm = self._outbox[0]
            size = min(len(pcm), self._credit - self._credit % 2)
            if size <= 0:
                return
            self.peer.send_audio(self.number, self._sequence, timestamp, request, 0, pcm[:size])
            self._sequence = (self._sequence + 1) & 0xFFFFFFFF
            self._credit -= size
            self._outbox.popleft()
            if size < len(pcm):
                self._outbox.appendleft((request, timestamp + size // 2, pcm[size:]))
        self.on_drained()

    def on_drained(self) -> None:
        """Everything queued was sent."""


class SttStream(Stream):
    """Audio in, transcripts out."""

    role = "stt"
    rates = (MODEL_RATE,)

    def __init__(self, peer: Peer, models: Models, number: int, rate: int, credit: int) -> None:
        super().__init__(peer, models, number, rate, credit)
        self._ring: deque[tuple[int, bytes]] = deque()
        self._ring_samples = 0
        self._turn: Turn | None = None
        self._request = 0
        """Of the open turn: begun and not ended."""
        self._ended: dict[int, Turn] = {}
        """Turns whose final is still to come, oldest first."""
        self._given = 0
        self._cmn: bytes | None = None

    def model(self) -> dict[str, str]:
        return {"name": f"pocketsphinx/{self.models.dialogue.script.name}", "version": self.models.recogniser.version}

    def on_frame(self, timestamp: int, flags: int, pcm: bytes) -> None:
        self._remember(timestamp, pcm)
        if self._turn is None:
            self.consumed(len(pcm))
        else:
            self._turn.audio(pcm)
            self._settle(self._turn)

    def on_verb(self, kind: str, message: Mapping[str, Any]) -> None:
        match kind:
            case "begin":
                self._begin(message["request"], message["at"])
            case "end" if message["request"] == self._request and self._turn is not None:
                self._ended[self._request] = self._turn
                self._turn.end()
                self._leave()
            case "cancel":
                self._cancel(message["request"])

    def close(self) -> None:
        for turn in self._ended.values():
            turn.cancel()
        self._ended.clear()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def _cancel(self, request: int) -> None:
        if self._turn is not None and request == self._request:
            self._turn.cancel()
            self._leave()
        elif (turn := self._ended.pop(request, None)) is not None:
            turn.cancel()
        else:
            return
        self.send("done", request=request, cancelled=True)

    def _begin(self, request: int, at: int) -> None:
        if self._turn is not None:
            self._cancel(self._request)
        before = next(reversed(self._ended.values()), None)
        try:
            self._turn = self.models.recogniser.begin(
                self._cmn, lambda result: self._settled(request, result), after=before
            )
        except ResourceError as error:
            self.refuse(request, "busy", str(error), transient=True)
            return
        self._request = request
        self._given = 0
        since = at - self.rate * _PRE_ROLL_MS // 1000
        for timestamp, pcm in self._ring:
            if timestamp >= since:
                self._turn.audio(pcm)
                self._given -= len(pcm)  # its credit was given back when it came

    def _settled(self, request: int, result: Result | Exception) -> None:
        if self._ended.pop(request, None) is None:
            self._leave()  # only an error comes before the end
        if isinstance(result, Exception):
            self.refuse(request, "internal", repr(result), transient=True)
            return
        if result.text:  # what was not understood says little of the caller's voice and line
            self._cmn = result.cmn
        self.send(
            "transcript",
            request=request,
            text=result.text,
            final=True,
            understood=result.understood,
            elapsed_us=result.elapsed_ns // 1000,
        )

    def _remember(self, timestamp: int, pcm: bytes) -> None:
        self._ring.append((timestamp, pcm))
        self._ring_samples += len(pcm) // 2
        while self._ring_samples > self.rate * _RING_MS // 1000:
            self._ring_samples -= len(self._ring.popleft()[1]) // 2

    def _settle(self, turn: Turn) -> None:
        """Credit comes back as fast as the decoder works, so a slow machine slows the sender down."""
        fresh = turn.decoded + self._given
        if fresh > 0:
            self._given -= fresh
            self.consumed(fresh)

    def _leave(self) -> None:
        self._turn = None
        self.consumed(max(0, self.window - self._allowed - self._taken))
        self.grant()


class LlmStream(Stream):
    """Messages in, tokens out."""

    role = "llm"

    def __init__(self, peer: Peer, models: Models, number: int, rate: int, credit: int) -> None:
        super().__init__(peer, models, number, rate, credit)
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def model(self) -> dict[str, str]:
        script = self.models.dialogue.script
        return {"name": f"scripted/{script.name}", "version": script.version}

    def on_verb(self, kind: str, message: Mapping[str, Any]) -> None:
        match kind:
            case "generate":
                self._generate(message["request"], message["messages"])
            case "cancel" if (task := self._tasks.pop(message["request"], None)) is not None:
                task.cancel()
                self.send("done", request=message["request"], cancelled=True)

    def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    def _generate(self, request: int, messages: list[object]) -> None:
        asked = time.monotonic_ns()
        if len(self._tasks) >= _REQUEST_LIMIT:
            self.refuse(request, "too_many_requests", f"{_REQUEST_LIMIT} are under way", transient=True)
            return
        answer = self.models.dialogue.answer([_entry(entry) for entry in messages])
        if self.models.token_delay_s <= 0:
            for token in _TOKEN.findall(answer.text):
                self._token(request, token, asked)
                asked = 0
            self._done(request, answer)
            return
        self._tasks[request] = asyncio.get_running_loop().create_task(self._pace(request, answer, asked))

    async def _pace(self, request: int, answer: Answer, asked: int) -> None:
        for token in _TOKEN.findall(answer.text):
            await asyncio.sleep(self.models.token_delay_s)
            self._token(request, token, asked)
            asked = 0
        self._tasks.pop(request, None)
        self._done(request, answer)

    def _token(self, request: int, token: str, asked: int) -> None:
        elapsed = (time.monotonic_ns() - asked) // 1000 if asked else None
        self.send("token", request=request, text=token, elapsed_us=elapsed)

    def _done(self, request: int, answer: Answer) -> None:
        self.send("done", request=request, hang_up=answer.hang_up)


def _entry(entry: object) -> tuple[str, str]:
    if not isinstance(entry, dict) or not isinstance(entry.get("role"), str) or not isinstance(entry.get("text"), str):
        raise RemoteError("'generate' has a message without role and text")
    return entry["role"], entry["text"]


class TtsStream(Stream):
    """Sentences in, bursts of speech out, one after the other."""

    role = "tts"
    rates = (8000, 16000, 24000, 48000)

    def __init__(self, peer: Peer, models: Models, number: int, rate: int, credit: int) -> None:
        super().__init__(peer, models, number, rate, credit)
        self._waiting: deque[tuple[int, str]] = deque()
        self._job: Job | None = None
        self._request = 0
        self._position = 0
        self._complete = False

    def model(self) -> dict[str, str]:
        return {"name": "espeak-ng", "version": self.models.synthesiser.version}

    def on_verb(self, kind: str, message: Mapping[str, Any]) -> None:
        match kind:
            case "speak":
                self._speak(message["request"], message["text"])
            case "cancel":
                self._cancel(message["request"])

    def close(self) -> None:
        self._waiting.clear()
        if self._job is not None:
            self._job.cancel()
            self._job = None

    def _speak(self, request: int, text: str) -> None:
        if len(text) > _TEXT_LIMIT:
            self.refuse(request, "too_long", f"more than {_TEXT_LIMIT} characters in one sentence", transient=False)
        elif len(self._waiting) >= _REQUEST_LIMIT:
            self.refuse(request, "too_many_requests", f"{_REQUEST_LIMIT} are waiting", transient=True)
        else:
            self._waiting.append((request, text))
            self._next()

    def _next(self) -> None:
        if self._job is None and self._waiting:
            self._request, text = self._waiting.popleft()
            self._position, self._complete = 0, False
            self._job = self.models.synthesiser.speak(text, self.rate, self)

    # --- from the synthesiser -----------------------------------------------------------------------------------------

    def on_words(self, words: list[Spoken]) -> None:
        told = [{"text": text, "start_ms": start, "end_ms": end} for text, start, end in words]
        self.send("words", request=self._request, words=told)

    def on_burst(self, pcm: bytes, elapsed_ns: int) -> None:
        if self._position == 0:
            self.send("started", request=self._request, elapsed_us=elapsed_ns // 1000)
        at, self._position = self._position, self._position + len(pcm) // 2
        self.queue(self._request, at, pcm)

    def on_complete(self, error: Exception | None) -> None:
        if error is None:
            self._complete = True
            self._pump()
            return
        self._job = None
        self.unqueue(self._request)
        self.refuse(self._request, "internal", repr(error), transient=True)
        self._next()

    def on_drained(self) -> None:
        if self._job is not None and self._complete:
            self._job = None
            self.send("done", request=self._request)
            self._next()

    def _cancel(self, request: int) -> None:
        if self._job is not None and request == self._request:
            self._job.cancel()
            self._job = None
            self.unqueue(request)
        elif any(waiting == request for waiting, _ in self._waiting):
            self._waiting = deque(item for item in self._waiting if item[0] != request)
        else:
            return
        self.send("done", request=request, cancelled=True)
        self._next()


class EchoStream(Stream):
    """A speech-to-speech model that says what it hears: a load test of the protocol."""

    role = "realtime"
    rates = (8000, 16000, 24000, 48000)

    def model(self) -> dict[str, str]:
        return {"name": "echo", "version": "1"}

    def on_frame(self, timestamp: int, flags: int, pcm: bytes) -> None:
        self.consumed(len(pcm))
        if self._credit >= len(pcm):
            self._credit -= len(pcm)
            self.peer.send_audio(self.number, self._sequence, timestamp, 1, flags & ~Flags.GAP, pcm)
            self._sequence = (self._sequence + 1) & 0xFFFFFFFF
