"""A call from its 200 on, the same for both sides: re-INVITE, BYE, the 200 that waits for its ACK (RFC 3261 13 to 15).

    ESTABLISHED ──hang_up──▶ LEAVING ──BYE answered, or not──▶ forgotten
         └──────BYE comes──────────────────────────────────────▶ forgotten

``EARLY`` is what ``IncomingCall`` and ``OutgoingCall`` add before. A session that is ``LEAVING`` has told ``Ended``
already: what remains is courtesy to the peer. What the peer asks for is answered here; what we ask for is in
``requests``.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.errors import MisuseError, SipError
from gateway.sip.bodies import Body
from gateway.sip.checks import check_acceptable, check_body, check_method
from gateway.sip.context import Context
from gateway.sip.digits import read_digit
from gateway.sip.events import Confirmed, Digit, Reconfirmed, Reoffered
from gateway.sip.flow import Datagram
from gateway.sip.message import Header, Message, Request
from gateway.sip.reasons import reason_header, reason_text
from gateway.sip.requests import Requests
from gateway.sip.responses import ACCEPT, ALLOW
from gateway.sip.session_timer import Agreement, agree_as_server
from gateway.sip.transaction.invite_server import InviteServer
from gateway.sip.transaction.layer import ServerTransaction
from gateway.sip.transaction.server import Server
from gateway.sip.unacknowledged import Unacknowledged
from gateway.sip.usage import Phase
from gateway.units import Nanos

__all__ = ["Phase", "Session"]


class Session(Requests):
    """``Requests`` with the answers to the peer's."""

    def __init__(self, context: Context, handle: int, key: tuple[str, str], user: str) -> None:
        super().__init__(context, handle, key, user)
        self._pending: InviteServer | None = None  # the INVITE that our side still owes a final response
        self._update: Server | None = None  # the UPDATE whose offer our side has not answered yet
        self._unacknowledged: Unacknowledged | None = None
        self._farewell: list[Header] | None = None  # of the BYE that is owed, as soon as the ACK allows it
        self._last_words: Body | None = None
        self._answered_early = False  # the INVITE's offer was answered in a reliable 183

    # -- verbs ---------------------------------------------------------------------------------------------------------

    def ring(self, now: Nanos, status: int, sdp: bytes | None, headers: Iterable[Header] = ()) -> None:
        raise MisuseError("ring: only a call that came in and is not answered can ring")

    def answer(self, sdp: bytes, now: Nanos, headers: Iterable[Header] = ()) -> None:
        """200 to the INVITE or UPDATE that is open, or the ACK that must answer; nothing if it was cancelled or ended a
        moment ago."""
        if self._owed is not None:
            acknowledge, self._owed = self._owed, None
            acknowledge(sdp, now)
        elif self._update is not None:
            self._accept_update(self._update, now, sdp)
        elif self._pending is not None:
            self._accept(self._pending, sdp, now, headers)
        self.offers.resume(now)

    def reject(self, status: int, now: Nanos, headers: list[Header], text: str) -> None:
        """A final refusal of the INVITE or UPDATE that is open; the session stays as it was (RFC 3311 5.2). The offer
        of a 2xx cannot be refused but by an end of the call (RFC 3261 13.2.2.4)."""
        update, self._update = self._update, None
        if self._owed is not None:
            self.hang_up(now, text)
        elif update is not None:
            self._context.respond(update, status, now, headers=headers)
        else:
            self._refuse_pending(status, now, headers)
        self.offers.resume(now)

    def hang_up(
        self, now: Nanos, reason: str, headers: Iterable[Header] = (), body: Body | None = None, cause: int = 16
    ) -> None:
        if self.phase is not Phase.ESTABLISHED:
            return
        self._farewell, self._last_words = [*reason_header(reason, cause), *headers], body
        self._tell_ended("local", None, reason)
        self.leave(now)

    @property
    def busy(self) -> bool:
        return super().busy or any((self._pending, self._update, self._unacknowledged))

    @property
    def offer_method(self) -> str | None:
        """UPDATE while it rings, once the first offer is answered reliably (RFC 3311 5.1); then re-INVITE."""
        if self.phase is not Phase.EARLY:
            return super().offer_method
        early = self._answered_early and self.may_update
        waits = self._update is not None or self.offers.pending
        return "UPDATE" if early and not waits and self.dialog is not None else None

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
        if request.method in ("INFO", "REFER", "NOTIFY"):
            self._on_other(transaction, now)
            return
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

    def _on_other(self, transaction: ServerTransaction, now: Nanos) -> None:
        """What concerns the call, but not its session."""
        if self.phase is Phase.LEAVING:
            raise SipError(481, "Call/Transaction Does Not Exist", "RFC 3261 15: the call is being ended")
        if transaction.request.method == "NOTIFY":
            self.transfers.on_notify(transaction, now)
        elif transaction.request.method == "REFER":
            self.transfers.on_refer(transaction, now)
        else:
            digit = read_digit(transaction.request)
            self._context.respond(transaction, 200, now)
            if digit is not None:
                self._context.events.append(Digit(self.handle, *digit))

    def on_ack(self, request: Request, now: Nanos) -> None:
        waiting = self._unacknowledged
        if waiting is None or request.cseq.number != waiting.cseq:
            return  # the ACK of a repeated 200
        self._unacknowledged, self.wake = None, None
        self._theirs = request.sdp or self._theirs
        if self._farewell is not None:
            self._send_bye(now)
            return
        event = Confirmed if waiting.initial else Reconfirmed
        self._context.events.append(event(self.handle, request.sdp))
        self.offers.resume(now)

    def on_cancel(self, transaction: InviteServer, request: Request, now: Nanos) -> None:
        """CANCEL of a re-INVITE ends that re-INVITE only (RFC 3261 14.1 with 9.2)."""
        if transaction is self._pending:
            self._refuse_pending(487, now, [])
            self.offers.resume(now)

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
        self._farewell = self._farewell or reason_header("no ACK")
        self._send_bye(now)

    # -- the parts -----------------------------------------------------------------------------------------------------

    def _on_bye(self, transaction: ServerTransaction, now: Nanos) -> None:
        """A pending INVITE gets its 487 (RFC 3261 15.1.2)."""
        self._context.respond(transaction, 200, now)
        self._stop(now)
        self._tell_ended("remote", None, reason_text(transaction.request), transaction.request)
        self._forget()

    def _on_reinvite(self, transaction: InviteServer, now: Nanos) -> None:
        if self.phase is Phase.LEAVING:
            raise SipError(481, "Call/Transaction Does Not Exist", "RFC 3261 14.2: the call is being ended")
        if self._pending is not None:
            raise SipError(500, "Server Internal Error", "RFC 3261 14.2: the last INVITE is not answered yet")
        if self._unacknowledged is not None:
            raise SipError(491, "Request Pending", "RFC 5407 3.1.3: the last 200 is not acknowledged yet")
        if self.refresh.pending or self.offers.pending or self._owed is not None:
            raise SipError(491, "Request Pending", "RFC 3261 14.2: an INVITE of ours is under way")
        if self._update is not None:
            raise SipError(500, "Server Internal Error", "RFC 3311 5.2: the last UPDATE is not answered yet")
        agree_as_server(transaction.request, self._context.options)
        transaction.serve(self)
        self._pending = transaction
        self._context.respond(transaction, 100, now)
        self._context.events.append(Reoffered(self.handle, transaction.request.sdp))

    def _accept(self, transaction: InviteServer, sdp: bytes, now: Nanos, extra: Iterable[Header] = ()) -> None:
        """Sends 200 and repeats it until the ACK (RFC 3261 13.3.1.4), on reliable transports too."""
        initial = self.phase is Phase.EARLY
        if not initial:
            self._live_dialog().refresh_target(transaction.request)  # not before: a refused one changes nothing
        agreement = agree_as_server(transaction.request, self._context.options)
        headers = [*self._dialog_headers(transaction), *self._abilities(agreement), *extra]
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
        waiting = self._unacknowledged is not None and self._unacknowledged.offered
        unanswered = self.phase is Phase.EARLY and self.owns_call_id and not self._answered_early
        if self.refresh.pending or self.offers.pending or self._owed is not None or waiting or unanswered:
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

    def _dialog_headers(self, transaction: InviteServer) -> list[Header]:
        """Record-Route is copied whole and in order (RFC 3261 12.1.1), Contact is ours."""
        routes = [("Record-Route", route) for route in transaction.request.all("Record-Route")]
        return [*routes, self._context.contact(transaction.flow, self._user)]

    # -- endings -------------------------------------------------------------------------------------------------------

    def lost(self, reason: str, now: Nanos) -> None:
        """The peer does not know the dialog any more; should it after all, BYE tells it."""
        if self.phase is Phase.ESTABLISHED:
            self._tell_ended("network", None, reason)
            self._farewell = reason_header(reason)
            self.leave(now)

    def _stop(self, now: Nanos) -> None:
        """Nothing of the session goes on: what the peer still waits for gets its 487 (RFC 3261 15.1.2)."""
        self.refresh.stop(self._context.timers.give_up, now)
        self.offers.stop(self._context.timers.give_up, now)
        self.transfers.stop(now)
        self._refuse_pending(487, now, [])
        update, self._update = self._update, None
        if update is not None:
            self._context.respond(update, 487, now)

    def _refuse_pending(self, status: int, now: Nanos, headers: list[Header]) -> None:
        """Nothing if no INVITE is open."""
        transaction, self._pending = self._pending, None
        if transaction is not None:
            self._context.respond(transaction, status, now, tag=self.key[1], headers=headers)

    def leave(self, now: Nanos) -> None:
        """BYE, but not before the ACK of our 200 (RFC 3261 15), nor before that of a 2xx to us (13.2.2.4)."""
        self.phase = Phase.LEAVING
        self._stop(now)
        acknowledge, self._owed = self._owed, None
        if acknowledge is not None:
            acknowledge(b"", now)
        if self._unacknowledged is None:
            self._send_bye(now)

    def _send_bye(self, now: Nanos) -> None:
        self.phase = Phase.LEAVING
        self._stop(now)
        self._request("BYE", self._on_bye_answered, now, headers=self._farewell or (), body=self._last_words)
