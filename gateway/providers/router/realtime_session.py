"""Speech to speech as a plug sees it: whose audio goes which way.

The long way is by the event loop and the failover machine, frame by frame. Past the machine goes, by ``straight``,
what comes of an answer that has begun; and past the event loop all audio of a session that can be patched to the leg.
What the failover needs of it then comes in pieces: that the caller speaks, that an answer has begun, and what was said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gateway.providers.contract import AnswerBegan, Patchable, Speech, Straight
from gateway.providers.router.effects import Open
from gateway.providers.router.realtime import RealtimeFailover
from gateway.providers.router.session import Routed
from gateway.units import Samples
from gateway.wire.messages import Flags
from gateway.wire.pipe import Frame, PatchLeg

__all__ = ["RoutedRealtime"]

_SPEECH = int(Flags.SPEECH)


class RoutedRealtime(Routed[RealtimeFailover]):
    """``play`` gets the audio of an answer that nobody waits for any more without a detour: from its second burst on,
    or while nobody has spoken. What begins an answer is a ``Speech`` to the listener, or ``AnswerBegan``."""

    def __init__(self, *arguments: Any, play: Callable[[bytes, int], None] | None = None, **more: Any) -> None:
        self._play = play
        self._straight: Straight | None = None
        self._leg: PatchLeg | None = None
        self._patched: Patchable | None = None
        super().__init__(*arguments, **more)

    # --- verbs --------------------------------------------------------------------------------------------------------

    def audio(self, pcm: bytes, media_time: Samples, flags: int) -> None:
        """The path of every frame that comes this way."""
        machine = self._machine
        if flags & _SPEECH:
            working = machine.working
            candidate = machine.audio(pcm, media_time, flags, self._drive.now())
            if machine.working and not working:
                self.attend()
                self._drive.poke()
        else:
            candidate = machine.silence(pcm, media_time, flags)
        if candidate is not None:
            session = self._sessions[candidate.index]
            if session is not None:
                session.audio(pcm, media_time, flags)

    def close(self) -> None:
        super().close()
        self._play = self._leg = None

    def join(self, leg: PatchLeg) -> None:
        """Whose audio this is: whichever session serves may be patched to it."""
        self._leg = leg
        self._patch()

    def attend(self) -> None:
        """The next audio begins an answer."""
        if self._patched is not None:
            self._patched.attend()
        elif self._straight is not None:
            self._straight.straight = None
            self._straight = None

    def interrupted(self, played_ms: int) -> None:
        self._do(self._machine.interrupted, played_ms)

    def tool_result(self, call: str, text: str) -> None:
        self._do(self._machine.tool_result, call, text)

    # --- a patch ------------------------------------------------------------------------------------------------------

    def on_patched(self, session: Patchable) -> None:
        if session is not self._serving:
            return
        waits = self._straight is None
        self._patched = self._straight = session
        session.straight = self._play
        if waits:
            session.attend()
        self._listen(session)

    def on_spoke(self, session: Patchable) -> None:
        if session is not self._serving:
            return
        working = self._machine.working
        self._do(self._machine.heard)
        if self._machine.working and not working:
            self.attend()
        self._listen(session)

    def on_kept(self, session: Patchable, frames: Sequence[Frame]) -> None:
        """Another session than the one that has heard them is told as if they came now."""
        if session is self._serving or self._serving is None:
            self._machine.kept(frames)
            return
        for pcm, media_time, _, flags in frames:
            self.audio(pcm, Samples(media_time), flags)

    def on_unpatched(self, session: Patchable) -> None:
        if self._patched is session:
            self._patched = self._straight = None
            session.straight = None
        self._patch()

    # --- inside -------------------------------------------------------------------------------------------------------

    @property
    def _serving(self) -> Any:
        candidate = self._machine.current
        return None if candidate is None else self._sessions[candidate.index]

    def _patch(self) -> None:
        session = self._serving
        if self._leg is not None and self._patched is None and hasattr(session, "patch"):
            session.patch(self._leg, self)

    def _listen(self, session: Patchable) -> None:
        """While an answer is owed, all that is said may have to be said again; after it, whether anything is."""
        session.keep(self._machine.working)
        if not self._machine.working:
            session.watch(self._machine.answer_until)

    async def _open(self, wanted: Open) -> None:
        await super()._open(wanted)
        self._patch()

    def _receive(self, index: int, epoch: int, result: Any) -> None:
        super()._receive(index, epoch, result)
        if not isinstance(result, Speech | AnswerBegan) or self._machine.working:
            return
        session, candidate = self._sessions[index], self._machine.current
        if candidate is None or (candidate.index, candidate.epoch) != (index, epoch):
            return
        if self._patched is not None and session is self._patched:
            self._listen(self._patched)
        elif hasattr(session, "straight"):
            self._straight, session.straight = session, self._play

    def _close(self, index: int) -> None:
        session = self._sessions[index]
        if session is not None and session is self._patched:
            self._patched = self._straight = None
        elif session is not None and session is self._straight:
            self.attend()
        super()._close(index)
