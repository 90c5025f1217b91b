"""Keeping a NAT's binding open towards a registrar (RFC 5626 3.5, 4.4): an empty datagram now and then. Connections do
it themselves (``net/connection.py``), where an answer can be told from silence."""

from __future__ import annotations

from gateway.sip.context import Context
from gateway.sip.flow import Datagram, Flow
from gateway.sip.framing import PING_BYTES
from gateway.units import MS, Nanos

__all__ = ["KeepAlive"]


class KeepAlive:
    """A sleeper of the endpoint's. One for each registration, over UDP."""

    def __init__(self, context: Context) -> None:
        self.wake: Nanos | None = None
        self._context = context
        self._flow: Flow | None = None
        self._interval: Nanos | None = None

    def start(self, flow: Flow, interval: Nanos | None, now: Nanos) -> None:
        """From now on by this flow; ``None`` stops it."""
        self._flow, self._interval = flow, None if flow.reliable else interval
        self._rearm(now)

    def stop(self) -> None:
        self.wake = None

    def handle_timer(self, now: Nanos) -> None:
        if self.wake is not None and now >= self.wake and self._flow is not None:
            self._context.outbox.append(Datagram(PING_BYTES, self._flow))
            self._rearm(now)

    def _rearm(self, now: Nanos) -> None:
        """80 to 100 % of the interval, at random (RFC 5626 4.4): a thousand gateways must not ping in step."""
        if self._interval is None:
            self.wake = None
            return
        fifth = self._interval // 5
        self.wake = Nanos(now + self._interval - self._context.random_below(max(1, fifth // MS)) * MS)
        self._context.wakeups.arm(self)
