"""Keeping an agreed session timer (RFC 4028 10): refreshing at half of the interval, or hanging up when nobody did.

    idle ──half of the interval──▶ UPDATE, or re-INVITE if the peer has no UPDATE ──2xx──▶ idle
      └──interval - min(32 s, a third)──▶ the session has expired: BYE

A refresh that fails changes nothing until the session expires, except where the answer says that the dialog is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from gateway.sip.message import Header, Response
from gateway.sip.renegotiation import glare_pause
from gateway.sip.session_timer import LEAST, Agreement, Role, agree_as_client, least, request_headers
from gateway.sip.transaction.sender import Tell
from gateway.sip.wakeups import Wakeups
from gateway.units import SECOND, Nanos

__all__ = ["Refresh", "Refreshable"]

_TRIES: Final = 3
"""Refreshes in a row without a pause; then the expiry decides."""
_PATIENCE: Final = 2 * SECOND
"""While another request of either side is under way."""


class Refreshable(Protocol):
    """What a refresh needs of its session."""

    @property
    def owns_call_id(self) -> bool: ...

    @property
    def may_update(self) -> bool:
        """Whether the peer's Allow names UPDATE."""

    def send_refresh(self, method: str, headers: list[Header], tell: Tell, now: Nanos) -> Callable[[], None]:
        """Sends UPDATE or re-INVITE; returns what abandons it."""

    def refreshed(self, response: Response, now: Nanos) -> None:
        """A 2xx has come."""

    @property
    def busy(self) -> bool:
        """Whether a request of either side would collide with an INVITE."""

    def freed(self, now: Nanos) -> None:
        """No refresh is under way any more."""

    def lost(self, reason: str, now: Nanos) -> None:
        """Hangs up."""

    def random_below(self, limit: int) -> int: ...


class Refresh:
    """A sleeper of its own beside its session's."""

    __slots__ = (
        "_abandon", "_by_update", "_expires", "_interval", "_least", "_ours", "_session", "_tries", "_wakeups", "wake",
    )  # fmt: skip

    def __init__(self, session: Refreshable, wakeups: Wakeups) -> None:
        self.wake: Nanos | None = None
        self._session = session
        self._wakeups = wakeups
        self._interval = 0
        self._least = LEAST
        self._expires: Nanos | None = None
        self._tries = 0
        self._by_update = True
        self._ours = False
        self._abandon: Callable[[], None] | None = None

    @property
    def pending(self) -> bool:
        """Whether a refresh of ours is under way."""
        return self._abandon is not None

    def start(self, agreement: Agreement | None, role: Role, now: Nanos) -> None:
        """From a 2xx on; ``role`` is ours in its transaction. Starts again with each refresh, whoever sends it."""
        self._tries = 0
        if agreement is None:
            self._expires = self.wake = None
            return
        self._interval = agreement.interval
        self._expires = Nanos(now + (agreement.interval - min(32, agreement.interval // 3)) * SECOND)
        self._ours = agreement.refresher == role
        self._sleep_until(Nanos(now + agreement.interval * SECOND // 2) if self._ours else self._expires)

    def stop(self, patience: int, now: Nanos) -> None:
        """The session is over. A re-INVITE that is under way must still be acknowledged, so it has ``patience``."""
        self.wake = self._expires = None
        if self._abandon is not None:
            self._sleep_until(Nanos(now + patience))

    def handle_timer(self, now: Nanos) -> None:
        if self.wake is None or now < self.wake:
            return
        if self._expires is None:
            self.wake = None
            if self._abandon is not None:
                self._abandon()
                self._abandon = None
        elif now >= self._expires:
            self.wake = None
            self._session.lost("session expired (RFC 4028 10)", now)
        elif self._session.busy:
            self._sleep_until(min(self._expires, Nanos(now + _PATIENCE)))
        else:
            self._send(now)

    def headers(self) -> list[Header]:
        """For an offer of ours, which refreshes the session as well; the refresher stays (RFC 4028 7.4)."""
        if self._expires is None:
            return []
        return request_headers(self._interval, "uac" if self._ours else "uas", self._least)

    def _send(self, now: Nanos) -> None:
        self._tries += 1
        self._sleep_until(self._expires)
        method = "UPDATE" if self._by_update and self._session.may_update else "INVITE"
        headers = request_headers(self._interval, "uac", self._least)
        done = False

        def told(response: Response | None, now: Nanos) -> None:
            nonlocal done
            if done or (response is not None and response.status < 200):
                return
            done, self._abandon = True, None
            if self._expires is None:
                self.wake = None  # the session has ended meanwhile
            else:
                self._on_final(response, now)
            self._session.freed(now)

        self._abandon = self._session.send_refresh(method, headers, told, now)

    def _on_final(self, response: Response | None, now: Nanos) -> None:
        status = response.status if response is not None else 408
        if response is not None and status < 300:
            self._session.refreshed(response, now)
            self.start(agree_as_client(response), "uac", now)
        elif status in (408, 481):  # RFC 4028 10, RFC 5057 5.1: the dialog is gone
            self._session.lost(f"refresh failed with {status} (RFC 4028 10)", now)
        elif response is not None and status == 422 and self._tries < _TRIES:
            self._least = max(self._least, least(response))
            self._interval = max(self._interval, self._least)
            self._send(now)
        elif status in (405, 501) and self._by_update and self._tries < _TRIES:
            self._by_update = False
            self._send(now)
        elif self._expires is not None:
            self._sleep_until(min(self._expires, Nanos(now + self._pause(status, self._expires - now))))

    def _pause(self, status: int, left: int) -> int:
        """Until the next try: after a glare what RFC 3261 14.1 says, else half of what is left of the session."""
        if status != 491:
            return max(left // 2, 5 * SECOND)
        return glare_pause(self._session)

    def _sleep_until(self, when: Nanos | None) -> None:
        self.wake = when
        self._wakeups.arm(self)
