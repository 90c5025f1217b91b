"""The speech-to-speech session of the native plug protocol: by way of the event loop, or patched to a leg.

While it is patched, the media thread frames and parses its audio and uses up its credit; everything else stays here.
The account of either direction is one sum that was given, written here, and one that was used, written there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from gateway.errors import ProviderError
from gateway.providers.contract import (
    AnswerBegan,
    Interrupted,
    PatchEar,
    RealtimeResult,
    Speech,
    SpeechDone,
    Transcript,
)
from gateway.providers.native_sessions import CREDIT_MAX, TOLD, Session
from gateway.units import Nanos
from gateway.wire.messages import Flags
from gateway.wire.pipe import Frame, Patch, PatchLeg, PatchTerms
from gateway.wire.socket import AudioMessage

__all__ = ["Realtime"]

_RETRY: Final = 0.02
_TRIES: Final = 50
"""For a second; a connection whose bytes are not sent by then has other troubles."""


class Realtime(Session[RealtimeResult]):
    """A speech-to-speech model: it takes the turns, the gateway plays."""

    role = "realtime"
    straight: Callable[[bytes, int], None] | None = None

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._patch: Patch | None = None
        self._ear: PatchEar | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._live = False
        self._given = 0
        """Credit of the server's, altogether, for what is sent while patched."""
        self._seen = (0, 0, 0)
        """Of the patch: what was counted when last looked at."""

    # --- verbs --------------------------------------------------------------------------------------------------------

    def audio(self, pcm: bytes, media_time: int, flags: int) -> None:
        self._send_audio(pcm, media_time, flags)

    def interrupted(self, played_ms: int) -> None:
        self._send("interrupted", played_ms=played_ms)
        self._look()
        self._return(self._owed)

    def tool_result(self, call: str, text: str) -> None:
        """The protocol knows no tools."""

    def patch(self, leg: PatchLeg, ear: PatchEar) -> None:
        """Frames pass between leg and server in the plane as soon as that can be; ``ear`` is told. Never with TLS."""
        if self._connection.is_plain and not self._ended and self._patch is None and self._retry is None:
            self._try(leg, ear, _TRIES)

    def attend(self) -> None:
        """The next audio begins an answer, and is told of."""
        if self._patch is not None:
            self._patch.attend()

    def keep(self, on: bool) -> None:
        """What the caller says is remembered by ``ear`` from here on (half a second of it before), or not."""
        if self._patch is not None:
            self._patch.keep(on)

    def watch(self, since: Nanos) -> None:
        """``ear`` is told when the caller speaks then or later, once."""
        if self._patch is not None:
            self._patch.watch(max(1, since))

    # --- the connection's ---------------------------------------------------------------------------------------------

    def on_audio(self, message: AudioMessage) -> None:
        self._look()
        if self._patch is not None:
            self._patch.allow(-len(message[5]))
        super().on_audio(message)

    def on_speech(self, request: int, pcm: bytes) -> None:
        if self._live and self._patch is not None and self._patch.attended():
            self._tell(Speech(0, pcm, self._rate))
        elif self.straight is not None:
            self.straight(pcm, self._rate)
        else:
            self._tell(Speech(0, pcm, self._rate))

    def on_reply(self, kind: str, message: Any) -> None:
        match kind:
            case "interrupted":
                self._look()
                self._return(self._owed)
                self._tell(Interrupted())
            case "done":
                self._tell(SpeechDone(0, message.get("cancelled", False)))
            case "transcript":
                self._tell(Transcript(message["request"], message["text"], message["final"]))

    def give_credit(self, elapsed: float) -> bool:
        self._look()
        return super().give_credit(elapsed) or self._patch is not None

    # --- the patch's --------------------------------------------------------------------------------------------------

    def on_patched(self) -> None:
        if self._patch is not None and self._ear is not None:
            self._given = self._voice.credit
            self._patch.go(*self._voice.hand_over(), self._given)
            self._live = True
            self._ear.on_patched(self)

    def on_spoke(self, arrival: int) -> None:
        if self._ear is not None:
            self._ear.on_spoke(self)

    def on_answered(self, arrival: int) -> None:
        self._tell(AnswerBegan(Nanos(arrival)))

    def on_kept(self, frames: list[Frame]) -> None:
        if self._ear is not None:
            self._ear.on_kept(self, frames)

    def on_unpatched(self, sequence: int, behind: int) -> None:
        patch, ear, self._ear = self._patch, self._ear, None
        self._look()
        self._patch = None
        if patch is not None and self._live:
            self._voice.take_back(sequence, behind, self._given - patch.counts()[0])
        if ear is not None:
            ear.on_unpatched(self)
        self._live = False

    # --- inside -------------------------------------------------------------------------------------------------------

    def _try(self, leg: PatchLeg, ear: PatchEar, tries: int) -> None:
        self._retry = None
        socket = self._connection.socket
        if socket is None or self._ended:
            return
        terms = PatchTerms(self.number, self._rate, TOLD, int(Flags.GAP), self._allowed)
        patch = leg.patch(socket, self, terms)
        if patch is not None:
            self._patch, self._ear, self._seen = patch, ear, (0, 0, 0)
            self._connection.owes(self)
        elif tries > 1:
            self._retry = self._connection.loop.call_later(_RETRY, self._try, leg, ear, tries - 1)

    def _look(self) -> None:
        """Takes over what the media thread has counted since."""
        if self._patch is None:
            return
        spent, left_out, played = self._patch.counts()
        before, self._seen = self._seen, (spent, left_out, played)
        if played > before[2]:
            self._allowed -= played - before[2]
            self._owed += played - before[2]
            self._fresh = True
        if left_out > before[1]:
            self.dropped += left_out - before[1]
            self._stalled()
        if spent > before[0]:
            self._choked_since = None

    def _credited(self, size: int) -> None:
        if self._live and self._patch is not None:
            size = min(size, CREDIT_MAX - self._given)
            self._given += size
            self._patch.credit(size)
        else:
            super()._credited(size)

    def _allow(self, size: int) -> None:
        super()._allow(size)
        if self._patch is not None:
            self._patch.allow(size)

    def _end(self, error: ProviderError | None = None) -> None:
        super()._end(error)
        if self._retry is not None:
            self._retry.cancel()
        if self._patch is not None:
            self._patch.end()
