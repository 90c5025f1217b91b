"""What we ask of the peer within a call: to refresh the session, to take another offer, to take a digit.

Every INVITE that is answered is acknowledged here. If the 2xx has made an offer, because ours had none, the ACK waits
for the user's answer to it (RFC 3261 13.2.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from weakref import proxy

from gateway.sip.bodies import Body, sdp_body
from gateway.sip.context import Context
from gateway.sip.digits import digit_body
from gateway.sip.events import OfferAnswered, OfferRefused, Refreshed, Reoffered
from gateway.sip.flow import Datagram
from gateway.sip.message import Header, Response
from gateway.sip.reasons import refusal_text
from gateway.sip.refresh import Refresh
from gateway.sip.renegotiation import Renegotiation
from gateway.sip.session_timer import agree_as_client
from gateway.sip.transaction.sender import Tell
from gateway.sip.transfer import Transfers
from gateway.sip.usage import Phase, Usage
from gateway.units import Nanos

__all__ = ["Requests"]


class Requests(Usage):
    """``Usage`` with all that either side may ask for."""

    def __init__(self, context: Context, handle: int, key: tuple[str, str], user: str) -> None:
        super().__init__(context, handle, key, user)
        self._owed: Callable[[bytes, Nanos], None] | None = None  # sends the ACK, which must answer the offer of a 2xx
        self._ours = b""  # the last session description of each side
        self._theirs: bytes | None = None
        ours: Any = proxy(self)  # the parts are this session's own, and must not keep it
        self.refresh = Refresh(ours, context.wakeups)
        self.offers = Renegotiation(ours, context.wakeups, context.options.ring_limit)
        self.transfers = Transfers(context, handle, ours)

    def reoffer(self, sdp: bytes, now: Nanos) -> None:
        """An offer of ours, or, empty, a wish for one of theirs; nothing once the call is being ended."""
        if not self.over:
            self.offers.offer(sdp, now)

    def send_digit(self, digit: str, duration_ms: int, now: Nanos) -> None:
        body = digit_body(digit, duration_ms)
        if self.phase is Phase.ESTABLISHED:
            self._request("INFO", self._on_info_answered, now, body=body)

    def subscribe(
        self, method: str, tell: Tell, now: Nanos, *, headers: Iterable[Header] = (), body: Body | None = None
    ) -> Callable[[], None]:
        """REFER and NOTIFY name a Contact (RFC 3515 2.2, RFC 6665 8.2.1)."""
        return self._request(method, tell, now, headers=[*self._own_headers(), *headers], body=body)

    # -- what ``refresh`` and ``offers`` need, beside what ``Session`` adds --------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether a request of either side is under way that an INVITE would collide with (RFC 3261 14.1)."""
        return self._owed is not None or self.refresh.pending or self.offers.pending

    @property
    def offer_method(self) -> str | None:
        """What an offer of ours may be sent with now; ``None``: it must wait."""
        return "INVITE" if self.phase is Phase.ESTABLISHED and not self.busy else None

    def lost(self, reason: str, now: Nanos) -> None:
        """The peer does not know the dialog any more."""

    def send_refresh(self, method: str, headers: list[Header], tell: Tell, now: Nanos) -> Callable[[], None]:
        body = sdp_body(self._ours) if method == "INVITE" else None
        return self._ask(method, body, headers, tell, now)

    def send_offer(self, method: str, sdp: bytes, tell: Tell, now: Nanos) -> Callable[[], None]:
        headers = self.refresh.headers() if self.phase is Phase.ESTABLISHED else []
        return self._ask(method, sdp_body(sdp), headers, tell, now)

    def _ask(self, method: str, body: Body | None, headers: list[Header], tell: Tell, now: Nanos) -> Callable[[], None]:
        """Each 2xx to an INVITE is acknowledged, each time it comes (RFC 3261 13.2.2.4): the first time after ``tell``,
        which may find that the ACK must wait for an answer."""
        ack = b""

        def told(response: Response | None, now: Nanos) -> None:
            nonlocal ack
            success = response is not None and 200 <= response.status < 300
            if method != "INVITE" or not success or response is None:
                tell(response, now)
            elif ack:
                self._context.outbox.append(Datagram(ack, self._live_dialog().next_flow()))
            elif body is None and response.sdp is not None and self.phase is not Phase.LEAVING:
                self._owed = self._owed or (lambda sdp, now: acknowledge(response, sdp, now))
                tell(response, now)
            else:
                ack = self._acknowledge(response)
                tell(response, now)

        def acknowledge(response: Response, sdp: bytes, now: Nanos) -> None:
            nonlocal ack
            ack = self._acknowledge(response, sdp_body(sdp))
            self._ours = sdp or self._ours

        return self._request(method, told, now, headers=[*self._own_headers(), *headers], body=body)

    def offer_accepted(self, response: Response, sdp: bytes, now: Nanos) -> None:
        self._live_dialog().refresh_target(response)
        self._theirs = response.sdp or self._theirs
        if self.phase is Phase.ESTABLISHED:
            self.refresh.start(agree_as_client(response), "uac", now)
        if sdp:
            self._ours = sdp
            self._context.events.append(OfferAnswered(self.handle, response.sdp))
        elif self._owed is not None:
            self._context.events.append(Reoffered(self.handle, response.sdp))
        else:
            self._context.events.append(OfferRefused(self.handle, response.status, "a 2xx without an offer"))

    def offer_refused(self, status: int, response: Response | None, now: Nanos) -> None:
        text = refusal_text(response) if response is not None else ""
        self._context.events.append(OfferRefused(self.handle, status, text))

    def refreshed(self, response: Response, now: Nanos) -> None:
        self._live_dialog().refresh_target(response)
        if response.sdp is not None and response.sdp != self._theirs:
            self._theirs = response.sdp
            self._context.events.append(Refreshed(self.handle, response.sdp))

    def freed(self, now: Nanos) -> None:
        self.offers.resume(now)

    def _forget(self) -> None:
        self._owed = None
        super()._forget()

    def _on_info_answered(self, response: Response | None, now: Nanos) -> None:
        if response is None or response.status in (408, 481):  # RFC 3261 12.2.1.2
            self.lost("INFO found no dialog (RFC 3261 12.2.1.2)", now)
