"""What the four machines share: states, the flow, one retransmission timer and one expiry."""

from __future__ import annotations

from collections.abc import Hashable
from enum import Enum, auto

from gateway.sip.flow import Datagram, Flow
from gateway.sip.transaction.timers import Timers
from gateway.units import Nanos

__all__ = ["State", "Transaction"]


class State(Enum):
    CALLING = auto()
    TRYING = auto()
    PROCEEDING = auto()
    ACCEPTED = auto()
    """RFC 6026: a 2xx has passed, more of them (or more INVITEs) are still expected."""
    COMPLETED = auto()
    CONFIRMED = auto()
    TERMINATED = auto()


class Transaction:
    """Base of the machines. ``outbox`` is the list that datagrams are appended to; its owner drains it."""

    __slots__ = ("_expires", "_interval", "_outbox", "_resend", "_timers", "flow", "key", "state", "wake")

    def __init__(self, key: Hashable, flow: Flow, timers: Timers, outbox: list[Datagram], state: State) -> None:
        self.key = key
        self.flow = flow
        self.state = state
        self.wake: Nanos | None = None
        self._timers = timers
        self._outbox = outbox
        self._resend: Nanos | None = None
        self._expires: Nanos | None = None
        self._interval = timers.t1

    def _send(self, data: bytes) -> None:
        self._outbox.append(Datagram(data, self.flow))

    def _enter(self, state: State, *, resend: Nanos | None = None, expires: Nanos | None = None) -> None:
        """Changes state with the timers of the new one; those of the old one end."""
        self.state = state
        self._schedule(resend, expires)

    def _schedule(self, resend: Nanos | None, expires: Nanos | None) -> None:
        self._resend, self._expires = resend, expires
        self.wake = resend if expires is None or (resend is not None and resend < expires) else expires

    def destroy(self) -> None:
        """Ends it without a word; for its user, who has waited long enough (RFC 3261 9.1)."""
        self._enter(State.TERMINATED)

    def _linger(self, state: State, span: Nanos, now: Nanos) -> None:
        """A state that only absorbs retransmissions; it is empty on a reliable flow (timers D, I, J, K)."""
        if self.flow.reliable:
            self._enter(State.TERMINATED)
        else:
            self._enter(state, expires=Nanos(now + span))
