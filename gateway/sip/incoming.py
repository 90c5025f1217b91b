"""A call that comes in, until it is answered: 100 at once, then 180/183, then 200 or a refusal (RFC 3261 13.3)."""

from __future__ import annotations

from gateway.errors import MisuseError, SipError
from gateway.sip.context import Context
from gateway.sip.dialog import Dialog
from gateway.sip.events import Invited
from gateway.sip.flow import Flow
from gateway.sip.message import Header, Request
from gateway.sip.reasons import reason_text
from gateway.sip.responses import ALLOW
from gateway.sip.session import Phase, Session
from gateway.sip.transaction.invite_server import InviteServer
from gateway.sip.transaction.layer import ServerTransaction
from gateway.sip.uri import parse_uri
from gateway.sip.values import plain
from gateway.units import Nanos

__all__ = ["IncomingCall"]


class IncomingCall(Session):
    """We are the called side."""

    def __init__(self, context: Context, transaction: InviteServer, flow: Flow, now: Nanos) -> None:
        request = transaction.request
        called = parse_uri(request.uri)
        super().__init__(context, context.new_handle(), (request.call_id, context.token()), called.user)
        transaction.user = self
        self._pending = transaction
        self._learn_peer(request)
        self.dialog = Dialog.for_server(request, self.key[1], flow)
        context.add(self)
        # Within 200 ms unless the user answers (17.2.1): nobody knows how long routing takes, so at once.
        context.respond(transaction, 100, now)
        caller, user = plain(request.from_.uri.user_text), plain(called.user_text)
        context.events.append(Invited(self.handle, request.call_id, request, caller, user, request.sdp, flow))

    def ring(self, now: Nanos, status: int, sdp: bytes | None) -> None:
        if not 101 <= status <= 199:
            raise MisuseError(f"ring: {status} is not a provisional status of a dialog")
        if self.phase is Phase.EARLY and self._pending is not None:
            headers = [*self._dialog_headers(self._pending), ALLOW]
            self._context.respond(self._pending, status, now, tag=self.key[1], headers=headers, body=sdp or b"")

    def reject(self, status: int, now: Nanos, headers: list[Header], text: str) -> None:
        if self.phase is not Phase.EARLY:
            super().reject(status, now, headers, text)
        else:
            self._end_early(status, now, headers)
            self._tell_ended("local", status, text)

    def hang_up(self, now: Nanos, reason: str) -> None:
        if self.phase is not Phase.EARLY:
            super().hang_up(now, reason)
        else:
            self._end_early(487, now, [])
            self._tell_ended("local", 487, reason)

    def on_cancel(self, transaction: InviteServer, request: Request, now: Nanos) -> None:
        if self.phase is not Phase.EARLY:
            super().on_cancel(transaction, request, now)
        else:
            self._end_early(487, now, [])
            self._tell_ended("remote", 487, reason_text(request))

    def on_request(self, transaction: ServerTransaction, now: Nanos) -> None:
        # BYE in an early dialog is the caller's right (RFC 3261 15); a second INVITE waits its turn (14.2).
        if self.phase is Phase.EARLY and transaction.request.method not in ("BYE", "INVITE", "OPTIONS", "UPDATE"):
            raise SipError(481, "Call/Transaction Does Not Exist", "RFC 3261 12.2.2: the call is not answered yet")
        super().on_request(transaction, now)

    def _end_early(self, status: int, now: Nanos, headers: list[Header]) -> None:
        self._refuse_pending(status, now, headers)
        self._context.forget(self)
