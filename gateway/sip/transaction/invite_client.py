"""INVITE client transaction (RFC 3261 17.1.1, Accepted state of RFC 6026 7.2).

state       1xx          2xx          300-699             timer
CALLING     PROCEEDING   ACCEPTED     COMPLETED, ACK      A resend, B give up
PROCEEDING  PROCEEDING   ACCEPTED     COMPLETED, ACK      (none: the user limits ringing)
ACCEPTED    -            passed on    -                   M end
COMPLETED   -            -            ACK again           D end
"""

from __future__ import annotations

from collections.abc import Hashable

from gateway.sip.flow import Datagram, Flow
from gateway.sip.message import Request, Response
from gateway.sip.transaction.base import State
from gateway.sip.transaction.sender import Sender, Tell
from gateway.sip.transaction.timers import Timers
from gateway.units import Nanos

__all__ = ["InviteClient"]


class InviteClient(Sender):
    __slots__ = ("_abandoned", "_ack")

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
        super().__init__(key, request, flow, timers, outbox, tell, now, State.CALLING)
        self._ack = b""
        self._abandoned = False

    def abandon(self, tell: Tell) -> None:
        super().abandon(tell)
        self._abandoned = True

    def receive(self, response: Response, now: Nanos) -> None:
        status = response.status
        if self.state in (State.CALLING, State.PROCEEDING):
            if status < 200:
                # Nobody limits the ringing of one that was abandoned, but its CANCEL (RFC 3261 9.1).
                limit = Nanos(now + self._timers.give_up) if self._abandoned else None
                self._enter(State.PROCEEDING, expires=limit)
            elif status < 300:
                self._enter(State.ACCEPTED, expires=Nanos(now + self._timers.give_up))
            else:
                self._ack = self._build_ack(response).encode()
                self._send(self._ack)
                self._linger(State.COMPLETED, self._timers.absorb, now)
            self._tell(response, now)
        elif self.state is State.ACCEPTED and 200 <= status < 300:
            self._tell(response, now)  # each 2xx is acknowledged by the user, not here (RFC 6026 7.2)
        elif self.state is State.COMPLETED and status >= 300:
            self._send(self._ack)

    def handle_timer(self, now: Nanos) -> None:
        if self._expires is not None and now >= self._expires:
            timed_out = self.state is State.CALLING
            self._enter(State.TERMINATED)
            if timed_out:
                self._tell(None, now)
        elif self._resend is not None and now >= self._resend:
            self._send(self._data)
            self._interval = Nanos(2 * self._interval)  # timer A is not capped by T2 (RFC 3261 17.1.1.2)
            self._schedule(Nanos(now + self._interval), self._expires)

    def _build_ack(self, response: Response) -> Request:
        """ACK of a non-2xx: the INVITE's top Via, Request-URI, From, Route, the response's To (RFC 3261 17.1.1.3)."""
        invite = self.request
        headers = [("Via", invite.headers[0][1])]
        headers += [header for header in invite.headers if header[0] in ("Route", "Max-Forwards", "From", "Call-ID")]
        headers += [("To", response.get("To") or ""), ("CSeq", f"{invite.cseq.number} ACK")]
        return Request("ACK", invite.uri, headers)
