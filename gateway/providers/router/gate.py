"""How much a provider is asked at once: a limit that its own 429s lower and its answers raise again.

Additive increase, multiplicative decrease: a 429 takes a quarter off what was under way, and each full round of answers
gives one back, up to the configured limit. Who finds no room waits in a line, first come first served.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

__all__ = ["Gate", "Ticket"]

_LINE: Final = 1000
"""Who would come after so many is refused at once."""


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

    def enter(self, on_granted: Callable[[], None]) -> Ticket | None:
        """A ticket: granted at once, or later by ``on_granted``. None if even the line is full."""
        ticket = Ticket(self, on_granted)
        if self._room:
            self.inside += 1
            ticket.granted = True
        elif len(self._line) >= _LINE:
            return None
        else:
            self._line.append(ticket)
        return ticket

    def refused(self) -> None:
        """The provider said 429."""
        self.limit = max(1, min(self.inside, self.limit or self.inside) * 3 // 4)
        self._answered = 0

    def answered(self) -> None:
        """The provider served a request: after a round of these it may be asked for one more at a time."""
        if self.limit is None or self.limit == self._configured:
            return
        self._answered += 1
        if self._answered >= self.limit:
            self._answered = 0
            self.limit += 1
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

    def _admit(self) -> None:
        while self._line and self._room:
            ticket = self._line.popleft()
            self.inside += 1
            ticket.granted = True
            ticket.on_granted()
