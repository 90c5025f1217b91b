"""What the two client machines share: how the request is sent first, and what happens when it cannot be sent."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from gateway.sip.flow import Datagram, Flow
from gateway.sip.message import Request, Response
from gateway.sip.responses import build_response
from gateway.sip.transaction.base import State, Transaction
from gateway.sip.transaction.timers import Timers
from gateway.units import Nanos

__all__ = ["Sender", "Tell"]

Tell = Callable[[Response | None, Nanos], None]
"""Called with each response that the user must see, or with ``None`` when no final one came in time."""


def _nobody(response: Response | None, now: Nanos) -> None:
    """Nobody listens."""


class Sender(Transaction):
    """Sends ``request`` at once."""

    __slots__ = ("_data", "_tell", "request")

    def __init__(  # noqa: PLR0917
        self,
        key: Hashable,
        request: Request,
        flow: Flow,
        timers: Timers,
        outbox: list[Datagram],
        tell: Tell,
        now: Nanos,
        state: State,
    ) -> None:
        super().__init__(key, flow, timers, outbox, state)
        self.request = request
        self._tell = tell
        self._launch(now)

    def _launch(self, now: Nanos) -> None:
        """Timers A and E run only on an unreliable transport (RFC 3261 17.1.1.2, 17.1.2.2)."""
        self._data = self.request.encode()
        self._send(self._data)
        resend = None if self.flow.reliable else Nanos(now + self._timers.t1)
        self._schedule(resend, Nanos(now + self._timers.give_up))

    def reroute(self, request: Request, flow: Flow, now: Nanos) -> None:
        """The same request by another transport; nobody has seen the first one."""
        if self.state not in (State.CALLING, State.TRYING):
            return
        self.request, self.flow = request, flow
        self._launch(now)

    def abandon(self, tell: Tell) -> None:
        """Another server is asked instead: nothing is sent again, and ``tell`` hears what still comes."""
        self._tell = tell
        self._schedule(None, self._expires)

    def release(self) -> None:
        """It is over: nothing is told any more, and nobody kept alive who would be told. Whoever sent the request may
        know this transaction, and must not be kept by it in turn: what is not wanted any more is freed at once, and not
        when a garbage collector stops the loop to look for it."""
        self._tell = _nobody

    def fail(self, why: str, now: Nanos) -> None:
        """A transport error counts as 503 (RFC 3261 8.1.3.1); nothing if an answer has come nevertheless."""
        if self.state in (State.CALLING, State.TRYING):
            self._enter(State.TERMINATED)
            self._tell(build_response(self.request, 503, why), now)
