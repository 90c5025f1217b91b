"""Non-INVITE server transaction (RFC 3261 17.2.2). It never sends 100 or 408 by itself (RFC 4320 4.1, 4.2).

state       request again    respond 1xx   final
TRYING      absorbed         PROCEEDING    COMPLETED
PROCEEDING  last response    PROCEEDING    COMPLETED
COMPLETED   last response    -             -            timer J end
"""

from __future__ import annotations

from collections.abc import Hashable

from gateway.sip.flow import Datagram, Flow
from gateway.sip.message import Request, Response
from gateway.sip.transaction.base import State, Transaction
from gateway.sip.transaction.timers import Timers
from gateway.units import Nanos

__all__ = ["Server"]


class Server(Transaction):
    __slots__ = ("last", "request")

    def __init__(self, key: Hashable, request: Request, flow: Flow, timers: Timers, outbox: list[Datagram]) -> None:
        super().__init__(key, flow, timers, outbox, State.TRYING)
        self.request = request
        self.last = b""

    def receive(self, request: Request, now: Nanos) -> bool:
        """The request again. Never for the user."""
        if self.last:
            self._send(self.last)
        return False

    def respond(self, response: Response, now: Nanos) -> None:
        """Sends a response; a second final one is a no-op."""
        if self.state not in (State.TRYING, State.PROCEEDING):
            return
        self.last = response.encode()
        self._send(self.last)
        if response.status < 200:
            self.state = State.PROCEEDING
        else:
            self._linger(State.COMPLETED, self._timers.give_up, now)

    def handle_timer(self, now: Nanos) -> None:
        if self._expires is not None and now >= self._expires:
            self._enter(State.TERMINATED)
