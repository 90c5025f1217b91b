"""Non-INVITE client transaction (RFC 3261 17.1.2).

state       1xx          final        timer
TRYING      PROCEEDING   COMPLETED    E resend (doubling to T2), F give up
PROCEEDING  PROCEEDING   COMPLETED    E resend (every T2), F give up
COMPLETED   -            -            K end
"""

from __future__ import annotations

from collections.abc import Hashable

from gateway.sip.flow import Datagram, Flow
from gateway.sip.message import Request, Response
from gateway.sip.transaction.base import State
from gateway.sip.transaction.sender import Sender, Tell
from gateway.sip.transaction.timers import Timers
from gateway.units import Nanos

__all__ = ["Client"]


class Client(Sender):
    __slots__ = ()

    def __init__(  # noqa: PLR0917
        self,
        key: Hashable,
        request: Request,
        flow: Flow,
        timers: Timers,
        outbox: list[Datagram],
        tell: Tell,
        now: Nanos,
    ) -> None:
        super().__init__(key, request, flow, timers, outbox, tell, now, State.TRYING)

    def receive(self, response: Response, now: Nanos) -> None:
        if self.state not in (State.TRYING, State.PROCEEDING):
            return
        if response.status < 200:
            self.state = State.PROCEEDING  # E and F go on (RFC 3261 17.1.2.2)
        else:
            self._linger(State.COMPLETED, self._timers.t4, now)
        self._tell(response, now)

    def handle_timer(self, now: Nanos) -> None:
        if self._expires is not None and now >= self._expires:
            timed_out = self.state is not State.COMPLETED
            self._enter(State.TERMINATED)
            if timed_out:
                self._tell(None, now)
        elif self._resend is not None and now >= self._resend:
            self._send(self._data)
            doubled = self._timers.t2 if self.state is State.PROCEEDING else Nanos(2 * self._interval)
            self._interval = min(doubled, self._timers.t2)
            self._schedule(Nanos(now + self._interval), self._expires)
