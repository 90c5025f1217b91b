"""INVITE server transaction (RFC 3261 17.2.1, Accepted state of RFC 6026 7.1).

state       INVITE again     ACK          respond 1xx   2xx        300-699     timer
PROCEEDING  last response    -            send          ACCEPTED   COMPLETED   (none: the user limits ringing)
ACCEPTED    absorbed         passed on    -             -          -           L end
COMPLETED   last response    CONFIRMED    -             -          -           G resend, H give up
CONFIRMED   absorbed         absorbed     -             -          -           I end
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

from gateway.sip.flow import Datagram, Flow
from gateway.sip.message import Request, Response
from gateway.sip.transaction.base import State, Transaction
from gateway.sip.transaction.timers import Timers
from gateway.units import Nanos

__all__ = ["InviteServer", "InviteUser"]


class InviteUser(Protocol):
    """The call that an INVITE belongs to."""

    key: tuple[str, str]
    """Call-ID and our tag."""

    def on_cancel(self, transaction: InviteServer, request: Request, now: Nanos) -> None: ...


class InviteServer(Transaction):
    """``request`` carries the stamped Via; ``user`` is whoever took the INVITE, ``None`` if nobody did or it is
    answered: it need not live on for as long as retransmissions are absorbed."""

    __slots__ = ("last", "request", "tag", "user")

    def __init__(self, key: Hashable, request: Request, flow: Flow, timers: Timers, outbox: list[Datagram]) -> None:
        super().__init__(key, flow, timers, outbox, State.PROCEEDING)
        self.request = request
        self.user: InviteUser | None = None
        self.tag = ""
        """Ours in the responses, if ``user`` has one."""
        self.last = b""

    def serve(self, user: InviteUser) -> None:
        """``user`` takes the INVITE."""
        self.user, self.tag = user, user.key[1]

    def receive(self, request: Request, now: Nanos) -> bool:
        """An INVITE or ACK with this transaction's key. True if it is an ACK for the user (RFC 2543 peers)."""
        if request.method == "ACK":
            if self.state is State.COMPLETED:
                self._linger(State.CONFIRMED, self._timers.t4, now)
            return self.state is State.ACCEPTED
        if self.state in (State.PROCEEDING, State.COMPLETED) and self.last:
            self._send(self.last)
        return False

    def respond(self, response: Response, now: Nanos) -> None:
        """Sends a response; a second final one is a no-op. The user itself resends its 2xx (RFC 3261 13.3.1.4)."""
        status = response.status
        if self.state is State.PROCEEDING:
            self.last = response.encode()
            self._send(self.last)
            if status >= 200:
                self.user = None
            if status >= 300:
                resend = None if self.flow.reliable else Nanos(now + self._timers.t1)
                self._enter(State.COMPLETED, resend=resend, expires=Nanos(now + self._timers.give_up))
            elif status >= 200:
                self._enter(State.ACCEPTED, expires=Nanos(now + self._timers.give_up))

    def handle_timer(self, now: Nanos) -> None:
        if self._expires is not None and now >= self._expires:
            self._enter(State.TERMINATED)
        elif self._resend is not None and now >= self._resend:
            self._send(self.last)
            self._interval = min(Nanos(2 * self._interval), self._timers.t2)
            self._schedule(Nanos(now + self._interval), self._expires)
