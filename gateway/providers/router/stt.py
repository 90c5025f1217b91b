"""Failing over a listener: the turn's audio is kept, and replayed to the next one faster than it was said.

A journal holds the caller's audio from a little before the oldest turn that has no final yet, with the turns'
beginnings and ends in their places. The next provider gets all of it in that order, then what goes on live; what the
one before it might still answer is ignored.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from gateway.errors import ProviderError
from gateway.machine import earliest
from gateway.providers.contract import Failed, Transcript, Usage
from gateway.providers.router.effects import Spent
from gateway.providers.router.failover import Candidate, Failover, Link
from gateway.providers.router.health import Health
from gateway.providers.router.options import FailoverOptions
from gateway.units import MS, Nanos, Samples

__all__ = ["SttFailover"]

_FRAME: Final = 20 * MS
_PREROLL: Final = 25
"""Frames before a turn that are kept while nobody speaks: half a second."""
_AT_ONCE: Final = 100
_STEP: Final = 25
_PACE: Final = 20 * MS
"""A replay begins with two seconds of audio and goes on with half a second every 20 ms: a server's credit need not
hold more."""

Entry = tuple[Any, ...]
"""A verb and its arguments."""


class SttFailover(Failover):
    """``audio`` is the path of every frame: it returns who gets it, and no effect is made of it."""

    role = "stt"
    stands_by = False

    def __init__(
        self, healths: Sequence[Health], options: FailoverOptions, jitter: random.Random, *, rate: int
    ) -> None:
        super().__init__(healths, options, jitter)
        self._journal: deque[Entry] = deque()
        self._most = max(_PREROLL, options.replay // _FRAME)
        self._frames = 0
        self._turns: dict[int, Nanos | None] = {}
        """Those without a final: when the provider was told of the end, None if it was not yet."""
        self._live: tuple[int, int] | None = None
        """The candidate and epoch that has heard everything so far."""
        self._backlog: deque[Entry] = deque()
        self._pace_at: Nanos | None = None
        self._rate = rate
        self._heard = [0] * len(self.candidates)
        """Bytes that each provider was given and has not been counted for."""

    # --- verbs --------------------------------------------------------------------------------------------------------

    def audio(self, pcm: bytes, media_time: Samples, flags: int) -> Candidate | None:
        """Who gets the frame now; None if nobody does, or only after what waits."""
        self._journal.append(("audio", pcm, media_time, flags))
        self._frames += 1
        if self._frames > (self._most if self._turns else _PREROLL):
            self._forget()
        if self._backlog:
            self._backlog.append(self._journal[-1])
            return None
        candidate = self.current
        if candidate is None or self._live != (candidate.index, candidate.epoch):
            return None
        self._heard[candidate.index] += len(pcm)
        return candidate

    def begin_turn(self, turn: int, media_time: Samples, now: Nanos) -> None:
        idle = not self._turns
        self._turns[turn] = None
        self._journal.append(("begin_turn", turn, media_time))
        if idle:
            self._begin(now)
        elif self._engaged:
            self._tell(self._journal[-1], now)

    def end_turn(self, turn: int, media_time: Samples, now: Nanos) -> None:
        if turn in self._turns:
            self._journal.append(("end_turn", turn, media_time))
            if self._engaged:
                self._tell(self._journal[-1], now)

    def cancel_turn(self, turn: int, now: Nanos) -> None:
        if turn in self._turns:
            del self._turns[turn]
            if self._engaged:
                self._tell(("cancel_turn", turn), now)
            self._settle()

    # --- the machine's parts ------------------------------------------------------------------------------------------

    @property
    def working(self) -> bool:
        return bool(self._turns)

    def _issue(self, candidate: Candidate, now: Nanos) -> None:
        if self._live == (candidate.index, candidate.epoch):
            self._tell(self._journal[-1], now)  # the turn that just began: everything before it was heard
            return
        for other in self.candidates:
            if other is not candidate and other.link is Link.OPEN:  # it would be paid for silence
                self._drop(other)
        self._replay(candidate, now)

    def _adopted(self, candidate: Candidate, now: Nanos) -> None:
        self._replay(candidate, now)

    def _retract(self, candidate: Candidate, now: Nanos) -> bool:
        """A session that lost a turn is not asked for it again: a new one is."""
        self._drop(candidate)
        self._live = None
        self._backlog.clear()
        self._pace_at = None
        self._turns = dict.fromkeys(self._turns)
        return False

    def _abandon(self, error: ProviderError) -> None:
        self._events.append(Failed(error, next(iter(self._turns))))
        self._turns.clear()

    def _due(self) -> Nanos | None:
        return earliest(self._pace_at, self._final_due())

    def _final_due(self) -> Nanos | None:
        told = earliest(*self._turns.values()) if self._turns else None
        if told is None or not self._engaged or self.current is None:
            return None
        limit = self._limit(self.current, self.current.health.first, self._options.stt, told)
        return None if limit is None else Nanos(told + limit)

    def _late(self, now: Nanos) -> None:
        if self._pace_at is not None and now >= self._pace_at:
            self._pace_at = None
            self._go_on(_STEP, now)
        due = self._final_due()
        if due is not None and now >= due and self.current is not None:
            error = ProviderError(self.current.name, "no final transcript in time", transient=True)
            self._fail(self.current, error, now)

    def _result(self, candidate: Candidate, result: Any, now: Nanos) -> None:
        if self._live != (candidate.index, candidate.epoch):
            return
        match result:
            case Transcript(turn, _, final):
                if turn in self._turns:
                    if final:
                        self._answered(candidate, turn, now)
                    self._events.append(result)
                    self._settle()
            case Usage():  # seconds are counted here, for all alike
                self._events.append(Spent(self.role, candidate.name, replace(result, seconds=0.0)))
            case Failed(error, request):
                if request in self._turns:
                    self._fail(candidate, error, now)
            case _:
                self._events.append(result)

    def count(self) -> None:
        """Tells what was heard since the last time."""
        for candidate in self.candidates:
            size, self._heard[candidate.index] = self._heard[candidate.index], 0
            if size:
                usage = Usage(seconds=size / (2 * self._rate))
                self._events.append(Spent(self.role, candidate.name, usage))

    # --- the journal --------------------------------------------------------------------------------------------------

    def _answered(self, candidate: Candidate, turn: int, now: Nanos) -> None:
        told = self._turns.pop(turn)
        if told is not None:
            candidate.health.first.add(now - told, now)
        self._served(candidate, now)
        self.count()

    def _settle(self) -> None:
        if not self._turns:
            self._rest()
            self._forget()

    def _forget(self) -> None:
        """Drops the oldest audio that is too much, and the turns' marks that nobody asks about any more."""
        most = self._most if self._turns else _PREROLL
        kept: list[Entry] = []
        while self._frames > most:
            entry = self._journal.popleft()
            if entry[0] == "audio":
                self._frames -= 1
            elif entry[1] in self._turns:
                kept.append(entry)
        self._journal.extendleft(reversed(kept))

    def _replay(self, candidate: Candidate, now: Nanos) -> None:
        self._live = candidate.index, candidate.epoch
        self._backlog = deque(entry for entry in self._journal if entry[0] == "audio" or entry[1] in self._turns)
        self._go_on(_AT_ONCE, now)

    def _go_on(self, frames: int, now: Nanos) -> None:
        candidate = self.current
        while self._backlog and frames and candidate is not None:
            entry = self._backlog.popleft()
            frames -= entry[0] == "audio"
            self._send(candidate, entry, now)
        self._pace_at = Nanos(now + _PACE) if self._backlog else None

    def _tell(self, entry: Entry, now: Nanos) -> None:
        """After what waits to be heard."""
        if self._backlog:
            self._backlog.append(entry)
        elif self.current is not None:
            self._send(self.current, entry, now)

    def _send(self, candidate: Candidate, entry: Entry, now: Nanos) -> None:
        self._ask(candidate, *entry)
        if entry[0] == "audio":
            self._heard[candidate.index] += len(entry[1])
        if entry[0] == "end_turn" and entry[1] in self._turns:
            self._turns[entry[1]] = now
