"""How much a provider is asked at once: a limit that its own 429s lower and its answers raise again.

Additive increase, multiplicative decrease: a 429 takes a tenth off what was under way, once a second at most (those
that come together are one piece of news), and every fourth answer gives one back, up to the configured limit. Who
finds no room waits in a line, first come first served.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from gateway.units import SECOND, Nanos

__all__ = ["Gate", "Ticket"]

_LINE: Final = 1000
"""Who would come after so many is refused at once."""
_ANSWERS: Final = 4
_LEAST: Final = 4
"""No 429 lowers the limit below this: one that has nothing to do with how much is asked must not shut the gate."""
_AMPLE: Final = 8
"""A limit that nobody configured is forgotten when it is twice what is under way, and this at least."""


class Ticket:
    """A place inside the gate, or in the line before it. ``leave`` gives either up, once."""

    __slots__ = ("_gate", "granted", "on_granted")

    def __init__(self, gate: Gate, on_granted: Callable[[], None]) -> None:
        self._gate: Gate | None = gate
        self.granted = False
        self.on_granted = on_granted

    def leave(self) -> None:
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.left(self)


class Gate:
    """One provider's room in one role. ``limit`` None is as much as it bears."""

    def __init__(self, limit: int | None) -> None:
        self._configured = limit
        self.limit = limit
        self.inside = 0
        self._line: deque[Ticket] = deque()
        self._answered = 0
        self._refused_at: Nanos | None = None
        self._peak = 0
        """Most that were under way since the last 429: what the provider has borne, and just not any more."""

    def enter(self, on_granted: Callable[[], None]) -> Ticket | None:
        """A ticket: granted at once, or later by ``on_granted``. None if even the line is full."""
        ticket = Ticket(self, on_granted)
        if self._room:
            self._grant(ticket)
        elif len(self._line) >= _LINE:
            return None
        else:
            self._line.append(ticket)
        return ticket

    def refused(self, now: Nanos) -> None:
        """The provider said 429."""
        if self._refused_at is not None and now - self._refused_at < SECOND:
            return
        self._refused_at = now
        busy = self._peak if self.limit is None else min(self._peak, self.limit)
        self.limit = min(self._configured or _LEAST, _LEAST) if busy < _LEAST else max(_LEAST, busy * 9 // 10)
        self._peak = self.inside
        self._answered = 0

    def answered(self) -> None:
        """The provider served a request."""
        if self.limit is None or self.limit == self._configured:
            return
        self._answered += 1
        if self._answered >= _ANSWERS:
            self._answered = 0
            self.limit += 1
            if self._configured is None and self.limit > 2 * max(self.inside, _AMPLE):
                self.limit = None
            self._admit()

    def left(self, ticket: Ticket) -> None:
        if ticket.granted:
            self.inside -= 1
            self._admit()
        elif ticket in self._line:
            self._line.remove(ticket)

    @property
    def _room(self) -> bool:
        return self.limit is None or self.inside < self.limit

    def _grant(self, ticket: Ticket) -> None:
        self.inside += 1
        self._peak = max(self._peak, self.inside)
        ticket.granted = True

    def _admit(self) -> None:
        while self._line and self._room:
            ticket = self._line.popleft()
            self._grant(ticket)
            ticket.on_granted()
