"""Failing over a speech-to-speech model: what the caller said and got no answer to is said to the next one.

An answer that broke off was none: the caller's words before it are said again. What was spoken before that, the next
model is told by its brief, if the models wrote it down. It keeps the call for as long as it lives, for the first one,
should it return, knows less of it.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from gateway.errors import ProviderError
from gateway.providers.contract import AnswerBegan, Failed, Interrupted, Speech, SpeechDone, Usage
from gateway.providers.router.effects import Spent
from gateway.providers.router.failover import Candidate, Failover, Link
from gateway.providers.router.health import Health
from gateway.providers.router.options import FailoverOptions
from gateway.units import MS, Nanos, Samples
from gateway.wire.messages import Flags

__all__ = ["RealtimeFailover"]

_FRAME: Final = 20 * MS
_PREROLL: Final = 25
"""Frames before speech that are kept: half a second."""
_PAUSE: Final = 500 * MS
"""Silence after which the model should think of an answer."""
_OVERLAP: Final = _PREROLL * _FRAME
"""So long a caller may speak on after the model has begun."""
_SPEECH: Final = int(Flags.SPEECH)

Frame = tuple[bytes, Samples, int]


class RealtimeFailover(Failover):
    """Its work is an answer: owed from when the caller has spoken, done with its first audio."""

    role = "realtime"
    stands_by = False

    def __init__(self, healths: Sequence[Health], options: FailoverOptions, jitter: random.Random) -> None:
        super().__init__(healths, options, jitter)
        self._unanswered: deque[Frame] = deque()
        self._most = max(_PREROLL, options.replay // _FRAME)
        self._spoke: Nanos | None = None
        """When the caller was last heard to speak, until the answer begins."""
        self._answer_until = 0
        """What is said over the beginning of an answer belongs to the turn that it answers; it is kept all the same."""
        self._question: tuple[Frame, ...] = ()
        """What the answer that is being spoken is about, until all of it came."""

    # --- verbs --------------------------------------------------------------------------------------------------------

    def audio(self, pcm: bytes, media_time: Samples, flags: int, now: Nanos) -> Candidate | None:
        """Who gets the frame now."""
        self._unanswered.append((pcm, media_time, flags))
        if flags & _SPEECH and self._spoke is not None:
            self._spoke = now
        elif flags & _SPEECH:
            self.heard(now)
        return self._who()

    def heard(self, now: Nanos) -> None:
        """The caller begins to speak: an answer is owed, unless it is about the beginning of one."""
        if self._spoke is None and now >= self._answer_until:
            self._spoke, self._question = now, ()
            self._begin(now)

    def kept(self, frames: Sequence[tuple[bytes, int, int, int]]) -> None:
        """Frames (pcm, media time, arrival, flags) that the serving session has heard already."""
        self._unanswered.extend((pcm, Samples(media_time), flags) for pcm, media_time, _, flags in frames)
        if self._spoke is not None:
            self._spoke = Nanos(max(self._spoke, *(at for _, _, at, flags in frames if flags & _SPEECH), 0))
        for _ in frames:
            self._who()

    @property
    def answer_until(self) -> Nanos:
        """Speech before then belongs to the turn that is being answered."""
        return Nanos(self._answer_until)

    def silence(self, pcm: bytes, media_time: Samples, flags: int) -> Candidate | None:
        """Who gets a frame in which nobody speaks."""
        self._unanswered.append((pcm, media_time, flags))
        return self._who()

    def _who(self) -> Candidate | None:
        if len(self._unanswered) > (self._most if self._spoke is not None else _PREROLL):
            self._unanswered.popleft()
        return self.current

    def interrupted(self, played_ms: int, now: Nanos) -> None:
        if self.current is not None:
            self._ask(self.current, "interrupted", played_ms)

    def tool_result(self, call: str, text: str, now: Nanos) -> None:
        if self.current is not None:
            self._ask(self.current, "tool_result", call, text)

    # --- the machine's parts ------------------------------------------------------------------------------------------

    @property
    def working(self) -> bool:
        return self._spoke is not None

    def _begin(self, now: Nanos) -> None:
        if self.current is not None and self.current.link is Link.OPEN:
            self._wipe()
            self._use(self.current, now)
        else:
            super()._begin(now)

    def _session_lost(self, candidate: Candidate, error: ProviderError, now: Nanos) -> None:
        if candidate is self.current and self._question:
            self._unanswered.extendleft(reversed(self._question))
            self._question = ()
            self._spoke = now
        super()._session_lost(candidate, error, now)

    def _issue(self, candidate: Candidate, now: Nanos) -> None:
        if self._lost_at is None:
            return  # it has heard all of it
        for frame in list(self._unanswered)[:-1]:
            self._ask(candidate, "audio", *frame)

    def _retract(self, candidate: Candidate, now: Nanos) -> bool:
        self._drop(candidate)
        return False

    def _abandon(self, error: ProviderError) -> None:
        self._spoke = None
        self._events.append(Failed(error))

    def _due(self) -> Nanos | None:
        if self._spoke is None or not self._engaged or self.current is None:
            return None
        limit = self._limit(self.current, self.current.health.first, self._options.realtime, self._spoke)
        return None if limit is None else Nanos(self._spoke + _PAUSE + limit)

    def _late(self, now: Nanos) -> None:
        if self.current is not None:
            self._fail(self.current, ProviderError(self.current.name, "no answer in time", transient=True), now)

    def _result(self, candidate: Candidate, result: Any, now: Nanos) -> None:
        if candidate is not self.current:
            return
        if isinstance(result, Failed):
            self._session_lost(candidate, result.error, now)
            return
        if isinstance(result, Usage):
            self._events.append(Spent(self.role, candidate.name, result))
            return
        if isinstance(result, Speech | AnswerBegan) and self._spoke is not None:
            candidate.health.first.add(max(0, now - self._spoke), now)
            self._served(candidate, now)
            self._spoke = None
            self._answer_until = now + _OVERLAP
            self._question = tuple(self._unanswered)
            self._unanswered.clear()
            self._rest()
        elif isinstance(result, SpeechDone | Interrupted):
            self._question = ()
        self._events.append(result)
