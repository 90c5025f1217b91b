"""A 200 to an INVITE that is repeated until its ACK comes (RFC 3261 13.3.1.4), on reliable transports too."""

from __future__ import annotations

from gateway.sip.transaction.invite_server import InviteServer
from gateway.sip.transaction.timers import Timers
from gateway.units import Nanos

__all__ = ["Unacknowledged"]


class Unacknowledged:
    """``initial`` tells the 200 that answers a call from that to a re-INVITE."""

    __slots__ = ("_interval", "_longest", "cseq", "data", "flow", "give_up", "initial", "offered")

    def __init__(self, data: bytes, transaction: InviteServer, timers: Timers, *, initial: bool, now: Nanos) -> None:
        self.data = data
        self.flow = transaction.flow
        self.cseq = transaction.request.cseq.number
        self.offered = transaction.request.sdp is None  # then the ACK carries the answer
        self.initial = initial
        self.give_up = Nanos(now + timers.give_up)
        self._interval = timers.t1
        self._longest = timers.t2

    def next(self, now: Nanos) -> Nanos:
        """When to send it again: after T1, then twice as long each time up to T2; ``give_up`` is the last time."""
        wake = min(Nanos(now + self._interval), self.give_up)
        self._interval = min(Nanos(2 * self._interval), self._longest)
        return wake
