"""Our own offers within a call (RFC 3264 8): hold and resume, another address, another codec.

    idle ──offer──▶ waiting until nothing else is under way ──▶ re-INVITE or UPDATE ──2xx──▶ idle
                              ▲                                      │ 491, or 500 with Retry-After
                              └───────── pause (RFC 3261 14.1) ◀─────┘

A refusal leaves the session as it was, except where it says that the dialog is gone (RFC 5057 5.1). Of several offers
that wait, the last one counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from gateway.sip.message import Response
from gateway.sip.transaction.sender import Tell
from gateway.sip.usage import DIALOG_GONE
from gateway.sip.wakeups import Wakeups
from gateway.units import MS, SECOND, Nanos

__all__ = ["Offering", "Renegotiation", "glare_pause"]

_TRIES: Final = 6
"""A peer that answers 491 more often in a row will not take the offer."""
_LONGEST_PAUSE_S: Final = 30


class Offering(Protocol):
    """What the offers need of their session."""

    @property
    def owns_call_id(self) -> bool: ...

    @property
    def offer_method(self) -> str | None:
        """What an offer may be sent with now; ``None``: it must wait."""

    def send_offer(self, method: str, sdp: bytes, tell: Tell, now: Nanos) -> Callable[[], None]: ...

    def offer_accepted(self, response: Response, sdp: bytes, now: Nanos) -> None: ...

    def offer_refused(self, status: int, response: Response | None, now: Nanos) -> None: ...

    def lost(self, reason: str, now: Nanos) -> None:
        """The dialog is gone."""

    def random_below(self, limit: int) -> int: ...


class Renegotiation:
    """A sleeper of its own beside its session's."""

    __slots__ = ("_abandon", "_limit", "_session", "_stopped", "_tries", "_wakeups", "_wanted", "wake")

    def __init__(self, session: Offering, wakeups: Wakeups, limit: int) -> None:
        """``limit`` is how long a peer may take that has answered with a provisional response."""
        self.wake: Nanos | None = None
        self._session = session
        self._wakeups = wakeups
        self._wanted: bytes | None = None
        self._tries = 0
        self._limit = limit
        self._stopped = False
        self._abandon: Callable[[], None] | None = None

    @property
    def pending(self) -> bool:
        """Whether an offer of ours is under way."""
        return self._abandon is not None

    def offer(self, sdp: bytes, now: Nanos) -> None:
        """Empty: the peer is asked for an offer."""
        self._wanted, self._tries = sdp, 0
        if not self.pending:
            self.wake = None
        self.resume(now)

    def resume(self, now: Nanos) -> None:
        """Sends what waits, if it may be sent."""
        if self._wanted is None or self.pending or self.wake is not None:
            return
        method = self._session.offer_method
        if method is None:
            return
        sdp, self._wanted = self._wanted, None
        self._tries += 1
        done = False

        def told(response: Response | None, now: Nanos) -> None:
            nonlocal done
            if done or (response is not None and response.status < 200):
                return
            done, self._abandon = True, None
            self._on_final(sdp, response, now)

        self._abandon = self._session.send_offer(method, sdp, told, now)
        self._sleep_until(Nanos(now + self._limit))

    def stop(self, patience: int, now: Nanos) -> None:
        """The session is over. A re-INVITE that is under way must still be acknowledged, so it has ``patience``."""
        self._wanted, self._stopped, self.wake = None, True, None
        if self._abandon is not None:
            self._sleep_until(Nanos(now + patience))

    def abandon(self, now: Nanos) -> None:
        """What is under way will not be answered; it is made again."""
        abandon, self._abandon, self.wake = self._abandon, None, None
        if abandon is not None:
            abandon()

    def handle_timer(self, now: Nanos) -> None:
        if self.wake is None or now < self.wake:
            return
        self.wake = None
        abandon, self._abandon = self._abandon, None
        if abandon is not None:
            abandon()
            if not self._stopped:
                self._session.offer_refused(408, None, now)
        self.resume(now)

    def _on_final(self, sdp: bytes, response: Response | None, now: Nanos) -> None:
        self.wake = None
        status = response.status if response is not None else 408
        if self._stopped:
            return
        if response is not None and status < 300:
            self._session.offer_accepted(response, sdp, now)
        elif status in DIALOG_GONE:
            self._session.lost(f"our offer was answered with {status} (RFC 5057 5.1)", now)
            return
        elif (pause := self._pause(status, response)) is not None and self._tries < _TRIES:
            self._wanted = sdp if self._wanted is None else self._wanted
            self._sleep_until(Nanos(now + pause))
        else:
            self._session.offer_refused(status, response, now)
        self.resume(now)

    def _pause(self, status: int, response: Response | None) -> int | None:
        """Until the offer is made again; ``None``: it is refused."""
        if status == 491:
            return glare_pause(self._session)
        after = (response.get("Retry-After") or "").partition(";")[0].partition("(")[0].strip() if response else ""
        if status != 500 or not (after.isascii() and after.isdecimal() and len(after) <= 4):
            return None
        return min(int(after), _LONGEST_PAUSE_S) * SECOND

    def _sleep_until(self, when: Nanos) -> None:
        self.wake = when
        self._wakeups.arm(self)


class _Side(Protocol):
    @property
    def owns_call_id(self) -> bool: ...

    def random_below(self, limit: int) -> int: ...


def glare_pause(side: _Side) -> int:
    """Nanoseconds after a 491, in steps of 10 ms: the two sides' ranges do not overlap (RFC 3261 14.1)."""
    first, steps = (2100, 191) if side.owns_call_id else (0, 201)
    return (first + 10 * side.random_below(steps)) * MS
