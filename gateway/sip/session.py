"""A call from its 200 on, the same for both sides: re-INVITE, BYE, the 200 that waits for its ACK (RFC 3261 13 to 15).

    ESTABLISHED ──hang_up──▶ LEAVING ──BYE answered, or not──▶ forgotten
         └──────BYE comes──────────────────────────────────────▶ forgotten

``EARLY`` is what ``IncomingCall`` and ``OutgoingCall`` add before. A session that is ``LEAVING`` has told ``Ended``
already: what remains is courtesy to the peer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Literal

from gateway.errors import MisuseError, SipError
from gateway.sip.auth import Login
from gateway.sip.checks import check_acceptable, check_body, check_method
from gateway.sip.context import Context
from gateway.sip.dialog import Dialog
from gateway.sip.events import Confirmed, Ended, Reconfirmed, Refreshed, Reoffered
from gateway.sip.exchange import exchange
from gateway.sip.flow import Datagram, Flow
from gateway.sip.message import Header, Message, Request, Response
from gateway.sip.reasons import reason_header, reason_text
from gateway.sip.refresh import Refresh
from gateway.sip.responses import ACCEPT, ALLOW
from gateway.sip.session_timer import Agreement, agree_as_server
from gateway.sip.transaction.invite_server import InviteServer
from gateway.sip.transaction.layer import ServerTransaction
from gateway.sip.transaction.sender import Tell
from gateway.sip.transaction.server import Server
from gateway.sip.unacknowledged import Unacknowledged
from gateway.units import Nanos

__all__ = ["Phase", "Session"]


class Phase(Enum):
    EARLY = auto()
    ESTABLISHED = auto()
    LEAVING = auto()


class Session:
    """``key`` is Call-ID and our tag. ``wake`` is the session's own timer; its transactions have theirs."""

    def __init__(self, context: Context, handle: int, key: tuple[str, str], user: str) -> None:
        self.handle = handle
        self.key = key
        self.phase = Phase.EARLY
        self.wake: Nanos | None = None
        self.dialog: Dialog | None = None
        self._context = context
        self._user = user
        self._pending: InviteServer | None = None  # the INVITE that our side still owes a final response
        self._update: Server | None = None  # the UPDATE whose offer our side has not answered yet
        self._unacknowledged: Unacknowledged | None = None
        self._farewell: str | None = None  # BYE owed, as soon as the ACK allows it
        self._ended = False
        self._ours = b""  # the last session description of each side
        self._theirs: bytes | None = None
        self._answered_early = False  # the INVITE's offer was answered in a reliable 183
        self.refresh = Refresh(self, context.wakeups)
        self.owns_call_id = False
        self.may_update = False

    # -- verbs ---------------------------------------------------------------------------------------------------------

    def ring(self, now: Nanos, status: int, sdp: bytes | None) -> None:
        raise MisuseError("ring: only a call that came in and is not answered can ring")

    def answer(self, sdp: bytes, now: Nanos) -> None:
        """200 to the INVITE or UPDATE that is open; nothing if it was cancelled or ended a moment ago."""
        if self._update is not None:
            self._accept_update(self._update, now, sdp)
        elif self._pending is not None:
            self._accept(self._pending, sdp, now)

    def reject(self, status: int, now: Nanos, headers: list[Header], text: str) -> None:
        """A final refusal of the INVITE or UPDATE that is open; the session stays as it was (RFC 3311 5.2)."""
        update, self._update = self._update, None
        if update is not None:
            self._context.respond(update, status, now, headers=headers)
        else:
            self._refuse_pending(status, now, headers)

    def hang_up(self, now: Nanos, reason: str) -> None:
        if self.phase is not Phase.ESTABLISHED:
            return
        self._tell_ended("local", None, reason)
        self._leave(now, reason)

    # -- inputs --------------------------------------------------------------------------------------------------------

    def on_request(self, transaction: ServerTransaction, now: Nanos) -> None:
        """A request within the dialog, ACK and CANCEL apart. Raises ``SipError`` for what deserves a refusal."""
        request = transaction.request
        check_method(request)
        self._live_dialog().accept_cseq(request)
        if request.method == "BYE":
            self._on_bye(transaction, now)
            return
        check_acceptable(request, self._context.extensions)
        check_body(request)
        if isinstance(transaction, InviteServer):
            self._on_reinvite(transaction, now)
        elif request.method == "UPDATE":
            self._on_update(transaction, now)
        elif request.method == "PRACK":
            self._on_prack(transaction, now)
        elif request.method == "OPTIONS":
            headers = [ALLOW, ACCEPT, self._context.supported]
            self._context.respond(transaction, 200, now, headers=headers)
        else:
            raise SipError(400, "Bad Request", "RFC 3261 12.2.2: not a request for a dialog")

    def on_ack(self, request: Request, now: Nanos) -> None:
        waiting = self._unacknowledged
        if waiting is None or request.cseq.number != waiting.cseq:
            return  # the ACK of a repeated 200
        self._unacknowledged, self.wake = None, None
        self._theirs = request.sdp or self._theirs
        if self._farewell is not None:
            self._send_bye(now, self._farewell)
            return
        event = Confirmed if waiting.initial else Reconfirmed
        self._context.events.append(event(self.handle, request.sdp))

    def on_cancel(self, transaction: InviteServer, request: Request, now: Nanos) -> None:
        """CANCEL of a re-INVITE ends that re-INVITE only (RFC 3261 14.1 with 9.2)."""
        if transaction is self._pending:
            self._refuse_pending(487, now, [])

    def handle_timer(self, now: Nanos) -> None:
        waiting = self._unacknowledged
        if waiting is None or self.wake is None or now < self.wake:
            return
        if now < waiting.give_up:
            self._context.outbox.append(Datagram(waiting.data, waiting.flow))
            self._sleep_until(waiting.next(now))
            return
        self._unacknowledged, self.wake = None, None
        self._tell_ended("network", None, "no ACK (RFC 3261 13.3.1.4)")
        self._send_bye(now, self._farewell or "no ACK")

    # -- the parts -----------------------------------------------------------------------------------------------------

    def _on_bye(self, transaction: ServerTransaction, now: Nanos) -> None:
        """A pending INVITE gets its 487 (RFC 3261 15.1.2)."""
        self._context.respond(transaction, 200, now)
        self._stop(now)
        self._tell_ended("remote", None, reason_text(transaction.request))
        self._context.forget(self)

    def _on_reinvite(self, transaction: InviteServer, now: Nanos) -> None:
        if self.phase is Phase.LEAVING:
            raise SipError(481, "Call/Transaction Does Not Exist", "RFC 3261 14.2: the call is being ended")
        if self._pending is not None:
            raise SipError(500, "Server Internal Error", "RFC 3261 14.2: the last INVITE is not answered yet")
        if self._unacknowledged is not None:
            raise SipError(491, "Request Pending", "RFC 5407 3.1.3: the last 200 is not acknowledged yet")
        if self.refresh.pending:
            raise SipError(491, "Request Pending", "RFC 3261 14.2: an INVITE of ours is under way")
        if self._update is not None:
            raise SipError(500, "Server Internal Error", "RFC 3311 5.2: the last UPDATE is not answered yet")
        agree_as_server(transaction.request, self._context.options)
        transaction.user = self
        self._pending = transaction
        self._context.respond(transaction, 100, now)
        self._context.events.append(Reoffered(self.handle, transaction.request.sdp))

    def _accept(self, transaction: InviteServer, sdp: bytes, now: Nanos) -> None:
        """Sends 200 and repeats it until the ACK (RFC 3261 13.3.1.4), on reliable transports too."""
        initial = self.phase is Phase.EARLY
        if not initial:
            self._live_dialog().refresh_target(transaction.request)  # not before: a refused one changes nothing
        agreement = agree_as_server(transaction.request, self._context.options)
        headers = [*self._dialog_headers(transaction), *self._abilities(agreement)]
        data = self._context.respond(transaction, 200, now, tag=self.key[1], headers=headers, body=sdp)
        self.phase, self._pending = Phase.ESTABLISHED, None
        self._ours, self._theirs = sdp, transaction.request.sdp or self._theirs
        self.refresh.start(agreement, "uas", now)
        self._unacknowledged = Unacknowledged(data, transaction, self._context.timers, initial=initial, now=now)
        self._sleep_until(self._unacknowledged.next(now))

    def _on_update(self, transaction: ServerTransaction, now: Nanos) -> None:
        """UPDATE (RFC 3311 5.2): with an offer, or without one to refresh the session (RFC 4028)."""
        request = transaction.request
        if self.phase is Phase.LEAVING:
            raise SipError(481, "Call/Transaction Does Not Exist", "RFC 3311 5.2: the call is being ended")
        if request.sdp is not None:
            self._check_offer()
        agree_as_server(request, self._context.options)
        if request.sdp is None or not isinstance(transaction, Server):
            self._accept_update(transaction, now)
            return
        self._update = transaction
        self._context.events.append(Reoffered(self.handle, request.sdp))

    def _on_prack(self, transaction: ServerTransaction, now: Nanos) -> None:
        raise SipError(481, "Call/Transaction Does Not Exist", "RFC 3262 3: nothing to acknowledge")

    def _check_offer(self) -> None:
        """Whether an offer may come now: one exchange at a time (RFC 3311 5.2, RFC 6337 4)."""
        if self._update is not None or (self._pending is not None and not self._answered_early):
            raise SipError(500, "Server Internal Error", "RFC 3311 5.2: the last offer is not answered yet")
        if self.refresh.pending or (self._unacknowledged is not None and self._unacknowledged.offered):
            raise SipError(491, "Request Pending", "RFC 3311 5.2: our offer is not answered yet")

    def _accept_update(self, transaction: ServerTransaction, now: Nanos, sdp: bytes = b"") -> None:
        self._live_dialog().refresh_target(transaction.request)  # RFC 6141 3.4: accepted, so its effects stay
        agreement = agree_as_server(transaction.request, self._context.options)
        headers = [self._context.contact(transaction.flow, self._user), *self._abilities(agreement)]
        self._context.respond(transaction, 200, now, headers=headers, body=sdp)
        self._update = None
        if sdp:
            self._ours, self._theirs = sdp, transaction.request.sdp
        if self.phase is Phase.ESTABLISHED:
            self.refresh.start(agreement, "uas", now)

    def _abilities(self, agreement: Agreement | None) -> list[Header]:
        return [ALLOW, self._context.supported, *(agreement.headers() if agreement else [])]

    def _learn_peer(self, message: Message) -> None:
        """From the INVITE that came in, or the 2xx to ours."""
        self.may_update = "UPDATE" in message.all("Allow")
        self._theirs = message.sdp or self._theirs

    # -- what ``refresh`` asks for -------------------------------------------------------------------------------------

    def send_refresh(self, method: str, headers: list[Header], tell: Tell, now: Nanos) -> Callable[[], None]:
        flow = self._live_dialog().next_flow()
        headers = [self._context.contact(flow, self._user), ALLOW, self._context.supported, *headers]
        if method == "UPDATE":
            return self._request(method, tell, now, headers=headers)
        body = [("Content-Type", "application/sdp")] if self._ours else []

        def told(response: Response | None, now: Nanos) -> None:
            if response is not None and 200 <= response.status < 300:
                self._acknowledge(response)  # each time it comes (RFC 3261 13.2.2.4)
            tell(response, now)

        return self._request(method, told, now, headers=[*headers, *body], body=self._ours)

    def _acknowledge(self, response: Response) -> None:
        dialog = self._live_dialog()
        dialog.refresh_target(response)
        flow = dialog.next_flow()
        self._context.send(dialog.request("ACK", self._context.via(flow), cseq=response.cseq.number), flow)

    def refreshed(self, response: Response, now: Nanos) -> None:
        self._live_dialog().refresh_target(response)
        if response.sdp is not None and response.sdp != self._theirs:
            self._theirs = response.sdp
            self._context.events.append(Refreshed(self.handle, response.sdp))

    def expire(self, reason: str, now: Nanos) -> None:
        if self.phase is Phase.ESTABLISHED:
            self._tell_ended("network", None, reason)
            self._leave(now, reason)

    def random_below(self, limit: int) -> int:
        return self._context.random_below(limit)

    # -- endings -------------------------------------------------------------------------------------------------------

    def _stop(self, now: Nanos) -> None:
        """Nothing of the session goes on: what the peer still waits for gets its 487 (RFC 3261 15.1.2)."""
        self.refresh.stop(self._context.timers.give_up, now)
        self._refuse_pending(487, now, [])
        update, self._update = self._update, None
        if update is not None:
            self._context.respond(update, 487, now)

    def _dialog_headers(self, transaction: InviteServer) -> list[Header]:
        """Record-Route is copied whole and in order (RFC 3261 12.1.1), Contact is ours."""
        routes = [("Record-Route", route) for route in transaction.request.all("Record-Route")]
        return [*routes, self._context.contact(transaction.flow, self._user)]

    def _refuse_pending(self, status: int, now: Nanos, headers: list[Header]) -> None:
        """Nothing if no INVITE is open."""
        transaction, self._pending = self._pending, None
        if transaction is not None:
            self._context.respond(transaction, status, now, tag=self.key[1], headers=headers)

    def _live_dialog(self) -> Dialog:
        if self.dialog is None:
            raise MisuseError("the call has no dialog yet")
        return self.dialog

    def _leave(self, now: Nanos, reason: str) -> None:
        """BYE, but not before the ACK of our 200 (RFC 3261 15)."""
        self.phase = Phase.LEAVING
        self._farewell = reason
        self._stop(now)
        if self._unacknowledged is None:
            self._send_bye(now, reason)

    def _send_bye(self, now: Nanos, reason: str) -> None:
        self.phase = Phase.LEAVING
        self._stop(now)
        self._request("BYE", self._on_bye_answered, now, headers=reason_header(reason))

    def _request(
        self, method: str, tell: Tell, now: Nanos, *, headers: Iterable[Header] = (), body: bytes = b""
    ) -> Callable[[], None]:
        """A request within the dialog; returns what abandons it."""
        dialog = self._live_dialog()

        def build() -> tuple[Request, Flow]:
            flow = dialog.next_flow()
            return dialog.request(method, self._context.via(flow), headers=headers, body=body), flow

        return exchange(self._context, build, tell, now, self._login_for(dialog.next_flow()), in_dialog=True)

    def _login_for(self, flow: Flow) -> Login | None:
        """Credentials for a request that goes there. A caller's challenge is never answered: whom we have called may
        ask for credentials, whoever calls us may not."""
        return None

    def _on_bye_answered(self, response: Response | None, now: Nanos) -> None:
        """Any final answer ends the dialog, and so does none (RFC 3261 15.1.1)."""
        if response is None or response.status >= 200:
            self._context.forget(self)

    def _tell_ended(self, by: Literal["local", "remote", "network"], status: int | None, reason: str) -> None:
        if not self._ended:
            self._ended = True
            self._context.events.append(Ended(self.handle, by, status, reason))

    def _sleep_until(self, when: Nanos) -> None:
        self.wake = when
        self._context.wakeups.arm(self)
