"""The sessions of the native plug protocol: verbs to control messages, messages to results. ``native_realtime.py`` has
the fourth.

A session is a stream on the provider's connection. Its audio path makes no task and waits for nothing; what the
server's credit does not cover is left out and counted, because late audio is worth nothing to a model that listens
live.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, Generic, TypeVar

from codecs_ext.wsframe import Voice
from gateway.errors import ProviderError, RemoteError
from gateway.providers.contract import (
    Failed,
    Generated,
    LlmResult,
    Message,
    ModelInfo,
    Speech,
    SpeechDone,
    SttResult,
    Token,
    Tool,
    Transcript,
    TtsResult,
    Word,
    Words,
)
from gateway.providers.native_connection import Connection
from gateway.units import MS, SECOND, Nanos, Samples, from_ms
from gateway.wire.messages import Flags, from_clock
from gateway.wire.socket import AudioMessage

__all__ = ["CREDIT_MAX", "TOLD", "Llm", "Session", "Stt", "Tts"]

_R = TypeVar("_R")

_BYTES_PER_SAMPLE: Final = 2
CREDIT_MAX: Final = 1 << 62
_GRAINS: Final = 10
"""While audio comes, credit is given back by the tenth of the window: a message costs as much as much audio does."""
_BUSY: Final = {"busy", "too_many_requests"}
"""Codes of an error that say no more than "too much at once"."""
TOLD: Final = int(Flags.SPEECH | Flags.CONCEALED)
"""Of what the plane knows of a frame, what the protocol has a word for."""


class Session(Generic[_R]):
    """What all roles share: opening, credit both ways, deadlines, and ending exactly once."""

    role: ClassVar[str]

    def __init__(
        self, connection: Connection, listener: Callable[[_R | Failed], None], *, rate: int = 0, timeout: Nanos
    ) -> None:
        self.model = ModelInfo("", "")
        self.opened: asyncio.Future[None] = connection.loop.create_future()
        self.dropped = 0
        """Audio messages left out because the server gave no credit or did not read."""
        self._connection = connection
        self._listener = listener
        self._rate = rate
        self._timeout = timeout / SECOND
        self._ended = False
        self._pending: dict[int, bool] = {}  # request -> its cancel was sent
        self._timed: dict[int, float] = {}  # request -> when it last made progress
        self._timer: asyncio.TimerHandle | None = None
        self._allowed = round(rate * _BYTES_PER_SAMPLE * connection.limits.window / SECOND)
        self._grain = self._allowed // _GRAINS
        self._owed = 0
        self._played = 0
        """Of what is owed."""
        self._fresh = False
        """Audio has come since credit was last looked at: the server does not wait for any."""
        self._choked_since: float | None = None
        self.number = connection.attach(self)
        self._voice = Voice(self.number, rate, TOLD, Flags.GAP)

    # --- verbs --------------------------------------------------------------------------------------------------------

    def open(self, **fields: object) -> None:
        self._send("open", role=self.role, credit=self._allowed, **fields)

    def close(self) -> None:
        """Ends the session; no result follows."""
        if not self._ended:
            self._send("close")
            self._end()

    # --- from the connection ------------------------------------------------------------------------------------------

    def on_message(self, kind: str, message: Mapping[str, Any]) -> None:
        match kind:
            case "opened":
                self._on_opened(message)
            case "credit":
                self._credited(message["bytes"])
            case "closed":
                self.fail("the server closed the session", transient=True)
            case "error":
                self._on_error(message)
            case "mark":
                # Nothing is held back here, so what came before the mark has been handed on.
                self._send("marked", mark=message["mark"])
            case _:
                self.on_reply(kind, message)

    def on_reply(self, kind: str, message: Mapping[str, Any]) -> None:
        """A message of the role; messages of another role, or of no version known here, are ignored."""

    def on_audio(self, message: AudioMessage) -> None:
        """Raises ``RemoteError`` for half a sample; what exceeds the credit ends the session."""
        size = len(message[5])
        if size % _BYTES_PER_SAMPLE:
            raise RemoteError("an audio message with half a sample")
        if size > self._allowed:
            self._send("error", transient=False, code="flow_violation", message="more audio than the credit allows")
            self.fail("the server sent more audio than its credit allows", transient=False)
            return
        self._allowed -= size
        self._owed += size
        self._fresh = True
        self._connection.owes(self)
        self.on_speech(message[3], message[5])

    def on_speech(self, request: int, pcm: bytes) -> None:
        """Audio of the role; ignored by roles that get none."""

    def on_lost(self, reason: str) -> None:
        self.fail(reason, transient=True)

    def give_credit(self, elapsed: float) -> bool:
        self._played = min(self._owed, self._played + int(self._rate * elapsed) * _BYTES_PER_SAMPLE)
        if self._played > self._grain or not self._fresh:
            self._return(self._played)
        self._fresh = False
        return self._owed > 0

    # --- for the roles ------------------------------------------------------------------------------------------------

    def fail(self, text: str, *, transient: bool) -> None:
        """The session is over; the listener is told once, or whoever opens it."""
        self._fail(ProviderError(self._connection.name, text, transient=transient))

    def _fail(self, error: ProviderError) -> None:
        if self._ended:
            return
        waiting = not self.opened.done()
        self._end(error)
        if not waiting:
            self._tell(Failed(error))

    def _tell(self, result: _R | Failed) -> None:
        try:
            self._listener(result)
        except Exception as error:  # noqa: BLE001 - one call's bug must not end the connection of all the others
            self._connection.loop.call_exception_handler(
                {"message": f"a listener of {self._connection.name} raised", "exception": error}
            )

    def _send(self, kind: str, **fields: object) -> None:
        self._connection.send(kind, stream=self.number, **fields)

    def _send_audio(self, pcm: bytes, media_time: int, flags: int) -> None:
        if self._voice.send(self._connection.outbox, pcm, media_time, flags):
            self._choked_since = None
        else:
            self._choked()

    def _choked(self) -> None:
        """No credit: leave the frame out; a server that takes nothing for a whole timeout has failed."""
        if self._ended or not self.opened.done():
            return
        self.dropped += 1
        self._stalled()

    def _stalled(self) -> None:
        """A frame was left out and none was sent since the last time."""
        if self._ended:
            return
        now = self._connection.loop.time()
        if self._choked_since is None:
            self._choked_since = now
        elif now - self._choked_since > self._timeout:
            self._send("close")
            self.fail("the server takes no more audio", transient=True)

    def _request(self, request: int, kind: str, **fields: object) -> None:
        self._pending[request] = False
        self._send(kind, request=request, **fields)

    def _expect(self, request: int) -> None:
        """From now on the request must make progress."""
        self._timed[request] = self._connection.loop.time()
        if self._timer is None:
            self._timer = self._connection.loop.call_later(self._timeout, self._check)

    def _progress(self) -> None:
        """The server works; requests behind the one it works on wait their turn and are not late."""
        now = self._connection.loop.time()
        for request in self._timed:
            self._timed[request] = now

    def _finish(self, request: int) -> bool | None:
        """The request is answered: whether it had been cancelled, None if nobody waits for it."""
        self._timed.pop(request, None)
        self._progress()
        return self._pending.pop(request, None)

    def _cancel(self, request: int) -> None:
        if self._pending.get(request) is False:
            self._pending[request] = True
            self._send("cancel", request=request)
            self._expect(request)
            # What was sent ahead will not be played, so its room is free again.
            self._return(self._owed)

    def _wanted(self, request: int) -> bool:
        return self._pending.get(request) is False

    # --- inside -------------------------------------------------------------------------------------------------------

    def _return(self, size: int) -> None:
        if size > 0 and not self._ended:
            self._owed -= size
            self._played = max(0, self._played - size)
            self._allow(size)
            self._send("credit", bytes=size)

    def _allow(self, size: int) -> None:
        """The server may send so much more."""
        self._allowed += size

    def _credited(self, size: int) -> None:
        """The server takes so much more."""
        self._voice.credit = min(self._voice.credit + size, CREDIT_MAX)

    def _on_opened(self, message: Mapping[str, Any]) -> None:
        model = message["model"]
        self.model = ModelInfo(str(model.get("name", "?")), str(model.get("version", "?")))
        self._voice.credit = message["credit"]
        if not self.opened.done():
            self.opened.set_result(None)

    def _on_error(self, message: Mapping[str, Any]) -> None:
        text = f"{message['code']}: {message['message']}"
        pause = message.get("retry_after_ms")
        error = ProviderError(
            self._connection.name,
            text,
            transient=message["transient"],
            busy=message["code"] in _BUSY,
            retry_after=None if pause is None else pause * MS,
        )
        request = message.get("request")
        if request is None:
            self._fail(error)
        elif request in self._pending:
            self._finish(request)
            self._tell(Failed(error, request))

    def _check(self) -> None:
        self._timer = None
        now = self._connection.loop.time()
        late = [request for request, since in self._timed.items() if now - since >= self._timeout]
        for request in late:
            self._timed.pop(request, None)
            cancelled = self._pending.pop(request, True)
            if not cancelled:
                self._send("cancel", request=request)
            error = ProviderError(self._connection.name, f"no {self.role} answer in time", transient=True)
            self._tell(Failed(error, request))
        if self._timed and not self._ended:
            due = min(self._timed.values()) + self._timeout
            self._timer = self._connection.loop.call_at(due, self._check)

    def _end(self, error: ProviderError | None = None) -> None:
        self._ended = True
        self._connection.detach(self.number)
        self._pending.clear()
        self._timed.clear()
        if self._timer is not None:
            self._timer.cancel()
        if not self.opened.done():
            if error is None:
                self.opened.cancel()
            else:
                self.opened.set_exception(error)


def _nanos(message: Mapping[str, Any]) -> Nanos | None:
    elapsed = message.get("elapsed_us")
    return None if elapsed is None else Nanos(elapsed * 1000)


def _words(told: Sequence[Any]) -> tuple[Word, ...]:
    """Raises ``RemoteError`` for anything but texts with two times."""
    try:
        return tuple(Word(str(one["text"]), from_ms(one["start_ms"]), from_ms(one["end_ms"])) for one in told)
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise RemoteError("words that are no list of text, start_ms and end_ms") from error


class Stt(Session[SttResult]):
    """Speech to text. A turn is a request: it begins, may be cancelled, and its end asks for the final."""

    role = "stt"

    def audio(self, pcm: bytes, media_time: Samples, flags: int) -> None:
        self._send_audio(pcm, media_time, flags)

    def begin_turn(self, turn: int, media_time: Samples) -> None:
        for open_turn in [request for request in self._pending if request not in self._timed]:
            del self._pending[open_turn]  # it is replaced, and nothing will answer it
        self._request(turn, "begin", at=from_clock(media_time, self._rate))

    def end_turn(self, turn: int, media_time: Samples) -> None:
        if self._wanted(turn):
            self._send("end", request=turn, at=from_clock(media_time, self._rate))
            self._expect(turn)

    def cancel_turn(self, turn: int) -> None:
        self._cancel(turn)

    def on_reply(self, kind: str, message: Mapping[str, Any]) -> None:
        if kind == "done":
            self._finish(message["request"])
        elif kind == "transcript" and self._wanted(message["request"]):
            self._on_transcript(message)

    def _on_transcript(self, message: Mapping[str, Any]) -> None:
        turn, final = message["request"], message["final"]
        if final:
            self._finish(turn)
        self._tell(
            Transcript(
                turn,
                message["text"],
                final,
                message.get("understood", True),
                message.get("end_of_turn", False),
                message.get("confidence"),
                _nanos(message),
            )
        )


class Llm(Session[LlmResult]):
    """Text in, tokens out."""

    role = "llm"

    def generate(self, request: int, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> None:
        self._request(request, "generate", messages=[{"role": m.role, "text": m.text} for m in messages])
        self._expect(request)

    def cancel(self, request: int) -> None:
        self._cancel(request)

    def interrupted(self, text: str, played_ms: int) -> None:
        """The messages of the next request say so."""

    def digit(self, digit: str) -> None:
        """The protocol has no word for it."""

    def on_reply(self, kind: str, message: Mapping[str, Any]) -> None:
        if kind == "token" and self._wanted(message["request"]):
            self._progress()
            self._tell(Token(message["request"], message["text"], _nanos(message)))
        elif kind == "done":
            request = message["request"]
            cancelled = self._finish(request)
            if cancelled is not None:
                ended = cancelled or message.get("cancelled", False)
                self._tell(Generated(request, ended, not ended and message.get("hang_up", False)))


class Tts(Session[TtsResult]):
    """Sentences in, bursts of speech out, in order."""

    role = "tts"
    _elapsed: Nanos | None = None

    def speak(self, request: int, text: str) -> None:
        self._request(request, "speak", text=text)
        self._expect(request)

    def cancel(self, request: int) -> None:
        self._cancel(request)

    def on_speech(self, request: int, pcm: bytes) -> None:
        if self._wanted(request):
            self._progress()
            elapsed, self._elapsed = self._elapsed, None
            self._tell(Speech(request, pcm, self._rate, elapsed))

    def on_reply(self, kind: str, message: Mapping[str, Any]) -> None:
        if kind == "started" and self._wanted(message["request"]):
            self._progress()
            self._elapsed = _nanos(message)
        elif kind == "words" and self._wanted(message["request"]):
            self._tell(Words(message["request"], _words(message["words"])))
        elif kind == "done":
            request = message["request"]
            cancelled = self._finish(request)
            if cancelled is not None:
                self._tell(SpeechDone(request, cancelled or message.get("cancelled", False)))
