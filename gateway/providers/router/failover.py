"""What every role has in common: an ordered list of providers, one of which has the call's work at a time.

    work begins ─▶ first provider of the list that is well and connected ─▶ asked
                        failed: error, lost session, or its limit passed
                   ◀──── the next one is asked for all that is not answered yet, or the same one after a pause
    nobody is left, or patience is over ─▶ ``Failed``: the plug apologises

A role says what its work is and how all of it is asked for anew; results of a session that was replaced are told by
their epoch and ignored. No I/O and no clock (``gateway/machine.py``); the health that it consults and feeds is
shared by all calls.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Final

from gateway.errors import ProviderError
from gateway.machine import earliest
from gateway.providers.contract import Failed
from gateway.providers.router.effects import Ask, Close, Effect, Joined, Lost, Moved, Open
from gateway.providers.router.gate import Ticket
from gateway.providers.router.health import Health
from gateway.providers.router.latency import Latencies
from gateway.providers.router.options import FailoverOptions, Role
from gateway.units import MS, SECOND, Nanos

__all__ = ["Candidate", "Failover", "Link"]

_BACKOFF: Final = 100 * MS
"""Before the same provider is asked again; doubles, with jitter."""
_REOPEN: Final = (100 * MS, 3 * SECOND)
"""First and longest pause between a call's attempts to have a provider at all."""
_PERMANENT: Final = 60 * SECOND
"""For so long a provider is not asked again after an error that only its operator can mend."""


class Link(Enum):
    IDLE = "idle"
    OPENING = "opening"
    OPEN = "open"


@dataclass(slots=True)
class Candidate:
    """One provider of the list, as this call has it."""

    index: int
    health: Health
    link: Link = Link.IDLE
    epoch: int = 0
    attempts: int = 0
    """Failures in the work at hand."""
    failures: int = 0
    """In a row, whatever the work."""
    not_before: int = 0
    refused: bool = False
    """A permanent error in the work at hand."""

    @property
    def name(self) -> str:
        return self.health.provider


class Failover(ABC):
    """A machine: verbs and results take ``now``, ``outgoing`` drains the effects, ``events`` what goes up."""

    role: ClassVar[Role]
    stands_by: ClassVar[bool] = True
    """A session may stand unused beside the one that is asked."""
    gated: ClassVar[bool] = False
    """Requests count against the provider's concurrency (a session does so by itself when it is opened)."""

    def __init__(self, healths: Sequence[Health], options: FailoverOptions, jitter: random.Random) -> None:
        self.candidates = [Candidate(index, health) for index, health in enumerate(healths)]
        self.current: Candidate | None = None
        self.on_admitted: Callable[[], None] = lambda: None
        """Set by the shell: a place in a gate's line came up; it calls ``admitted``."""
        self._options = options
        self._jitter = jitter
        self._effects: list[Effect] = []
        self._events: list[Any] = []
        self._wake: Nanos | None = None
        self._engaged = False
        self._joining = False
        self._ticket: Ticket | None = None
        self._ticket_until: Nanos | None = None
        self._retry_at: Nanos | None = None
        self._reopen_at: Nanos | None = None
        self._reopen_pause: int = _REOPEN[0]
        self._lost_at: Nanos | None = None
        self._lost_by = ""
        self._error: ProviderError | None = None
        self._hedging = False
        """A second provider may be asked as well, so one stands by."""
        self._over = False

    # --- what a role adds ---------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def working(self) -> bool:
        """Something was asked and is not answered yet."""

    @abstractmethod
    def _issue(self, candidate: Candidate, now: Nanos) -> None:
        """Asks this candidate for all that is not answered yet."""

    @abstractmethod
    def _retract(self, candidate: Candidate, now: Nanos) -> bool:
        """The candidate has failed; if it is still there, it is told to stop. Its results do not count any more. True
        if somebody else is at the work already."""

    @abstractmethod
    def _abandon(self, error: ProviderError) -> None:
        """Nobody can do it: the work is forgotten, and ``Failed`` goes up."""

    @abstractmethod
    def _result(self, candidate: Candidate, result: Any, now: Nanos) -> None:
        """Anything but the end of the session."""

    def _due(self) -> Nanos | None:
        """When the work is late."""
        return None

    def _late(self, now: Nanos) -> None:  # noqa: B027 - not every role has one
        """It is."""

    def _adopted(self, candidate: Candidate, now: Nanos) -> None:  # noqa: B027 - not every role has one
        """It will get the next work."""

    def _side_lost(self, candidate: Candidate, now: Nanos) -> None:  # noqa: B027 - not every role has one
        """A session that did not have the work was lost."""

    # --- the machine's outputs ----------------------------------------------------------------------------------------

    def outgoing(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects

    def events(self) -> list[Any]:
        events, self._events = self._events, []
        return events

    def next_timer(self) -> Nanos | None:
        """May be earlier than what is due: a limit that moves with each token would re-arm a timer with each."""
        due = earliest(self._ticket_until, self._retry_at, self._reopen_at, self._patience_ends, self._due())
        if due is not None and (self._wake is None or due < self._wake):
            self._wake = due
        return None if self._over else self._wake

    def handle_timer(self, now: Nanos) -> None:
        if self._wake is not None and now >= self._wake:
            self._wake = None
        if self._over:
            return
        self._expire(now)

    @property
    def _patience_ends(self) -> Nanos | None:
        waiting = self._lost_at is not None and self.working
        return Nanos((self._lost_at or 0) + self._options.patience) if waiting else None

    def _expire(self, now: Nanos) -> None:
        if self._patience_ends is not None and now >= self._patience_ends:
            self._give_up(now)
        if self._ticket_until is not None and now >= self._ticket_until:
            self._not_admitted(now)
        if self._retry_at is not None and now >= self._retry_at:
            self._retry_at = None
            self._seek(now)
        if self._reopen_at is not None and now >= self._reopen_at:
            self._reopen_at = None
            self._reopen(now)
        due = self._due()
        if due is not None and now >= due:
            self._late(now)

    # --- life ---------------------------------------------------------------------------------------------------------

    def connect(self, now: Nanos) -> None:
        """Opens the first session that can be had; ``Joined`` tells."""
        self._joining = True
        if self._options.standby and self.stands_by:
            for candidate in self.candidates:
                self._open(candidate, now)
        self._seek(now)
        self._open_rival(now)

    def close(self) -> None:
        """The call is over: nothing is asked, opened or told after this."""
        self._over = True
        self._leave()
        self._effects.extend(Close(one.index) for one in self.candidates if one.link is not Link.IDLE)
        for candidate in self.candidates:
            candidate.link = Link.IDLE
            candidate.epoch += 1

    def opened(self, index: int, epoch: int, now: Nanos) -> None:
        candidate = self.candidates[index]
        if epoch != candidate.epoch:
            return
        candidate.link = Link.OPEN
        self._reopen_pause = _REOPEN[0]
        if self.working and not self._engaged:
            self._seek(now)
        elif self.current is None:
            self._adopt(candidate, now)
        if self._joining:
            self._joining = False
            self._events.append(Joined(True))

    def open_failed(self, index: int, epoch: int, error: ProviderError, now: Nanos) -> None:
        candidate = self.candidates[index]
        if epoch != candidate.epoch:
            return
        candidate.link = Link.IDLE
        self._blame(candidate, error, now)
        if not error.transient:  # the key is wrong, the voice unknown: the next work need not find out again
            candidate.not_before = Nanos(now + _PERMANENT)
        if self._joining or (self.working and not self._engaged):
            self._seek(now)

    def receive(self, index: int, epoch: int, result: Any, now: Nanos) -> None:
        """A result of a candidate's session; one of a session that was replaced comes too late."""
        candidate = self.candidates[index]
        if epoch != candidate.epoch or candidate.link is not Link.OPEN:
            return
        if isinstance(result, Failed) and result.request is None:
            candidate.link = Link.IDLE
            candidate.epoch += 1
            self._session_lost(candidate, result.error, now)
        else:
            self._result(candidate, result, now)

    def admitted(self, now: Nanos) -> None:
        """A place at the provider came up."""
        if self._ticket is not None and self._ticket.granted and self._ticket_until is not None:
            self._ticket_until = None
            if self.current is not None and self.working:
                self._hand_over(self.current, now)

    # --- choosing -----------------------------------------------------------------------------------------------------

    def _begin(self, now: Nanos) -> None:
        """New work: everybody has a clean sheet, and the first of the list who is well gets it. One who comes before
        the one that serves now and is not connected is called back in the background."""
        self._wipe()
        for candidate in self.candidates:
            if not candidate.health.available(now) or candidate.not_before > now:
                continue
            if candidate.link is Link.OPEN:
                self._use(candidate, now)
                return
            self._open(candidate, now)
        self._seek(now)

    def _wipe(self) -> None:
        """What happened with the work before this one counts no more."""
        self._lost_at = self._retry_at = None
        for candidate in self.candidates:
            candidate.attempts = 0
            candidate.refused = False

    def _able(self, candidate: Candidate, now: Nanos) -> bool:
        tried = candidate.refused or candidate.attempts >= self._options.attempts
        return not tried and candidate.health.available(now)

    def _seek(self, now: Nanos) -> None:
        """Somebody for the work, or for the call."""
        able = [one for one in self.candidates if self._able(one, now)]
        if not able:
            self._give_up(now)
            return
        best = min(able, key=lambda one: (one.not_before > now, one.attempts, one.link is not Link.OPEN, one.index))
        if best.not_before > now + self._options.patience:
            self._give_up(now)
        elif best.not_before > now:
            self._retry_at = Nanos(best.not_before)
            if self._lost_at is None and self.working:
                self._lost_at, self._lost_by = now, best.name
        elif best.link is not Link.OPEN:
            self._open(best, now)
        elif self.working:
            self._use(best, now)
        elif self.current is not best:
            self._adopt(best, now)

    def _adopt(self, candidate: Candidate, now: Nanos) -> None:
        self.current = candidate
        self._adopted(candidate, now)

    def _alternative(self, candidate: Candidate, now: Nanos) -> Candidate | None:
        """Who would be asked next."""
        others = (one for one in self.candidates if one is not candidate and self._able(one, now))
        return next(others, None)

    def _open_alternative(self, candidate: Candidate, now: Nanos) -> Candidate | None:
        """Who could be asked this very moment."""
        others = (one for one in self.candidates if one is not candidate and one.link is Link.OPEN)
        return next((one for one in others if self._able(one, now)), None)

    def _open_rival(self, now: Nanos) -> None:
        """Hedging needs a session that stands already: what must connect first will not be the first to answer."""
        if not self._hedging or sum(one.link is not Link.IDLE for one in self.candidates) > 1:
            return
        idle = (one for one in self.candidates if one.link is Link.IDLE and one.not_before <= now)
        rival = next((one for one in idle if self._able(one, now)), None)
        if rival is not None:
            self._open(rival, now)

    def _limit(self, candidate: Candidate, latencies: Latencies, longest: Nanos, now: Nanos) -> Nanos | None:
        """How long to wait for it; None if there is nobody else, so that its own limits are all there is."""
        if self._alternative(candidate, now) is None:
            return None
        return latencies.limit(self._options.fastest, longest)

    # --- asking -------------------------------------------------------------------------------------------------------

    def _open(self, candidate: Candidate, now: Nanos) -> None:
        if candidate.link is Link.IDLE:
            candidate.link = Link.OPENING
            candidate.epoch += 1
            limit = self._limit(candidate, candidate.health.connect, self._options.connect, now)
            self._effects.append(Open(candidate.index, candidate.epoch, limit or self._options.connect))

    def _ask(self, candidate: Candidate, verb: str, *arguments: object) -> None:
        if candidate.link is Link.OPEN:
            self._effects.append(Ask(candidate.index, verb, arguments))

    def _drop(self, candidate: Candidate) -> None:
        """Ends a session that still stands but is not trusted with more."""
        if candidate.link is not Link.IDLE:
            self._effects.append(Close(candidate.index))
        candidate.link = Link.IDLE
        candidate.epoch += 1

    def _use(self, candidate: Candidate, now: Nanos) -> None:
        self.current = candidate
        self._leave()
        if not self.gated:
            self._hand_over(candidate, now)
            return
        self._ticket = candidate.health.gate.enter(self.on_admitted)
        if self._ticket is not None and self._ticket.granted:
            self._hand_over(candidate, now)
        elif self._ticket is not None and candidate.health.queue:
            self._ticket_until = Nanos(now + candidate.health.queue)
        else:
            self._not_admitted(now)

    def _hand_over(self, candidate: Candidate, now: Nanos) -> None:
        self._engaged = True
        if self._lost_at is not None:
            reason = str(self._error or "")
            self._events.append(Moved(self.role, self._lost_by, candidate.name, reason, now - self._lost_at))
        self._issue(candidate, now)
        self._open_rival(now)

    def _not_admitted(self, now: Nanos) -> None:
        """The provider is at its limit: no fault, but somebody else is asked."""
        self._leave()
        candidate = self.current
        if candidate is not None:
            error = ProviderError(candidate.name, "its concurrency is used up", transient=True, busy=True)
            self._note_loss(candidate, error, now)
            candidate.attempts += 1
            candidate.not_before = Nanos(now + _BACKOFF)
        self._seek(now)

    def _leave(self) -> None:
        """Gives the place at the provider back."""
        self._ticket_until = None
        if self._ticket is not None:
            self._ticket.leave()
            self._ticket = None

    def _served(self, candidate: Candidate, now: Nanos) -> None:
        """An answer came to its end."""
        candidate.failures = 0
        candidate.health.succeeded(now)

    def _rest(self) -> None:
        """All work is done."""
        self._engaged = False
        self._lost_at = self._retry_at = None
        self._leave()

    # --- failing ------------------------------------------------------------------------------------------------------

    def _session_lost(self, candidate: Candidate, error: ProviderError, now: Nanos) -> None:
        if candidate is self.current and self.working:
            self._fail(candidate, error, now)
            return
        self._blame(candidate, error, now)
        self._side_lost(candidate, now)
        if candidate is self.current:
            self.current = None
            self._reopen(now)

    def _fail(self, candidate: Candidate, error: ProviderError, now: Nanos) -> None:
        """The work that this candidate had goes to somebody else."""
        self._blame(candidate, error, now)
        if self._retract(candidate, now):
            return
        self._engaged = False
        self._leave()
        if self.working:
            self._seek(now)

    def _blame(self, candidate: Candidate, error: ProviderError, now: Nanos) -> None:
        candidate.health.failed(error, now)
        candidate.attempts += 1
        candidate.failures += 1
        candidate.refused = candidate.refused or not error.transient
        pause = min(_BACKOFF * 2 ** min(candidate.failures - 1, 6), _REOPEN[1]) * (0.5 + self._jitter.random())
        candidate.not_before = Nanos(now + max(round(pause), error.retry_after or 0))
        self._note_loss(candidate, error, now)

    def _note_loss(self, candidate: Candidate, error: ProviderError, now: Nanos) -> None:
        self._error = error
        if self._lost_at is None and self.working:
            self._lost_at, self._lost_by = now, candidate.name
        self._events.append(Lost(self.role, candidate.name, error))

    def _give_up(self, now: Nanos) -> None:
        names = ", ".join(candidate.name for candidate in self.candidates)
        error = self._error or ProviderError(names, "left alone for a while after failures", transient=True)
        if self.working:
            if self._engaged and self.current is not None:
                self._retract(self.current, now)
            self._abandon(error)
        self._rest()
        if self._joining:
            self._joining = False
            self._events.append(Joined(False))
        if self.current is None or self.current.link is not Link.OPEN:
            self.current = None
            self._reopen_at = Nanos(now + round(self._reopen_pause * (0.5 + self._jitter.random())))
            self._reopen_pause = min(2 * self._reopen_pause, _REOPEN[1])

    def _reopen(self, now: Nanos) -> None:
        """Nobody is connected, and nobody waits for it yet."""
        if self.current is not None or self.working:
            return
        for candidate in self.candidates:
            candidate.attempts = 0
            candidate.refused = candidate.refused and candidate.not_before > now
        self._seek(now)
