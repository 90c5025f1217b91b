"""One request of ours, sent to one server after the other until one answers (RFC 3263 4.3), and the memory of servers
that were no good.

next server after                 the server is then
no answer at all, transport error tried last for ``failover.rest``
503 with Retry-After              not tried before that time (RFC 3261 21.5.4)
503                               tried last for ``failover.rest``

Any other answer is the answer: a callee that is busy on one server is busy on the next.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from gateway.sip.flow import Flow
from gateway.sip.message import Request, Response
from gateway.sip.options import FailoverOptions
from gateway.sip.responses import build_response
from gateway.sip.transaction.invite_client import InviteClient
from gateway.sip.transaction.layer import ClientTransaction
from gateway.sip.transaction.sender import Tell
from gateway.units import SECOND, Nanos

if TYPE_CHECKING:
    from gateway.sip.context import Context

__all__ = ["Attempts", "Late", "Rests", "seconds"]

_SECONDS: Final = re.compile(r"\s*([0-9]{1,9})(?![0-9])")
_REMEMBERED: Final = 1_000

Late = Callable[[InviteClient, Response, Nanos], None]
"""A server that was given up answers the INVITE after all: what rings there must be cancelled, what answers hung up."""


def seconds(text: str | None) -> int | None:
    """Leading seconds of Retry-After and its like: ``120 (maintenance);duration=60``."""
    match = _SECONDS.match(text or "")
    return int(match[1]) if match else None


class Rests:
    """Which servers are better left alone, and until when; one memory for all calls of an endpoint."""

    def __init__(self, options: FailoverOptions) -> None:
        self._options = options
        self._until: dict[object, tuple[Nanos, bool]] = {}  # server -> when, and whether it asked for it

    def failed(self, flow: Flow, response: Response | None, now: Nanos) -> None:
        """No answer, or 503."""
        asked = seconds(response.get("Retry-After")) if response is not None else None
        span = self._options.rest if asked is None else min(asked * SECOND, self._options.longest_rest)
        if len(self._until) >= _REMEMBERED:
            self._until = {server: rest for server, rest in self._until.items() if rest[0] > now}
        if len(self._until) < _REMEMBERED:
            self._until[_server(flow)] = Nanos(now + span), asked is not None

    def answered(self, flow: Flow) -> None:
        self._until.pop(_server(flow), None)

    def order(self, flows: Sequence[Flow], now: Nanos) -> list[Flow]:
        """Those that may be tried, the doubtful ones last."""
        rests = [self._until.get(_server(flow)) for flow in flows]
        good = [flow for flow, rest in zip(flows, rests, strict=True) if rest is None or rest[0] <= now]
        doubtful = [flow for flow, rest in zip(flows, rests, strict=True) if rest and rest[0] > now and not rest[1]]
        return good + doubtful

    def wait(self, flows: Sequence[Flow], now: Nanos) -> int:
        """Seconds until the first of them may be tried again."""
        ends = [self._until[server][0] for flow in flows if (server := _server(flow)) in self._until]
        return max(1, -(-(min(ends, default=now) - now) // SECOND))


def _server(flow: Flow) -> object:
    return flow.transport, flow.remote


class Attempts:
    """``request`` was built for the first of ``flows``; on another one only Via and Contact differ (RFC 3263 4.3: the
    same request under a new branch, so that whoever sees both knows them for one). ``tell`` hears what the last server
    says, and every provisional response. A sleeper of the endpoint's."""

    def __init__(
        self,
        context: Context,
        request: Request,
        flows: Sequence[Flow],
        tell: Tell,
        now: Nanos,
        *,
        in_dialog: bool = False,
        late: Late | None = None,
        on_server: Callable[[Flow], None] = lambda flow: None,
        patience: Nanos | None = None,
    ) -> None:
        self.wake: Nanos | None = None
        self.provisional = False
        """Whether the server that is being asked has said anything."""
        self.flow = flows[0]
        self.request = request
        self.transaction: ClientTransaction | None = None
        self._context = context
        self._tell, self._late, self._on_server = tell, late, on_server
        self._built_for = flows[0]
        self._patience = patience
        # Within a dialog there is one way only, whoever asked to be left alone.
        self._rests = Rests(context.options.failover) if in_dialog else context.rests
        self._left = self._rests.order(flows, now)
        self._wait = 0 if self._left else self._rests.wait(flows, now)
        if self._left:
            self._next(now)
        else:
            self._sleep_until(now)  # told in a round of its own: whoever asks has no handle yet

    # -- verbs ---------------------------------------------------------------------------------------------------------

    def again(self, request: Request, now: Nanos) -> None:
        """Another request to the server that has answered the last one: with credentials, for example."""
        self._send(request, now)

    def stop(self) -> None:
        """No further server is asked."""
        self._left, self.wake = [], None

    def destroy(self) -> None:
        """Forgets everything without a word."""
        self.stop()
        if self.transaction is not None:
            self._context.layer.destroy(self.transaction)

    def handle_timer(self, now: Nanos) -> None:
        if self.wake is None or now < self.wake:
            return
        self.wake = None
        if self.transaction is None:
            refused = build_response(self.request, 503, "", headers=[("Retry-After", str(self._wait))])
            self._pass_on(refused, now)
        elif self._left:
            self._rests.failed(self.flow, None, now)
            self._abandon(self.transaction)
            self._next(now)
        else:  # nobody else is left, and the user will not wait for 64*T1
            self._rests.failed(self.flow, None, now)
            self._abandon(self.transaction)
            self._pass_on(None, now)

    # -- one server after the other ------------------------------------------------------------------------------------

    def _next(self, now: Nanos) -> None:
        self.flow = self._left.pop(0)
        self._on_server(self.flow)
        self._send(self.request, now)

    def _send(self, request: Request, now: Nanos) -> None:
        if self.flow != self._built_for:  # ``again`` need not: whoever asks has built it for this server
            request = self._context.readdressed(request, self._built_for, self.flow)
        self.request, self.provisional = request, False
        self._built_for = self.flow
        self.transaction = self._context.layer.open_client(request, self.flow, self._told, now)
        self.wake = None
        if self._left:
            self._sleep_until(Nanos(now + self._context.options.failover.after))
        elif self._patience is not None:
            self._sleep_until(Nanos(now + self._patience))

    def _told(self, response: Response | None, now: Nanos) -> None:
        rests = self._rests
        if response is None or response.status == 503:
            self.wake = None
            rests.failed(self.flow, response, now)
            self._left = rests.order(self._left, now)
            if self._left:
                self._next(now)
                return
        else:
            self.provisional = True
            self.wake = None
            rests.answered(self.flow)
        self._pass_on(response, now)

    def _pass_on(self, response: Response | None, now: Nanos) -> None:
        self._tell(response, now)

    def _abandon(self, transaction: ClientTransaction) -> None:
        """Only an INVITE can do harm when it is answered late."""
        late = self._late
        if late is None or not isinstance(transaction, InviteClient):
            self._context.layer.destroy(transaction)
            return

        def told(response: Response | None, now: Nanos) -> None:
            if response is not None and response.status < 300:
                late(transaction, response, now)

        self._context.layer.abandon(transaction, told)

    def _sleep_until(self, when: Nanos) -> None:
        self.wake = when
        self._context.wakeups.arm(self)
