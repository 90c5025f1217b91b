"""A call that comes in, until it is answered: 100 at once, then 180/183, then 200 or a refusal (RFC 3261 13.3)."""

from __future__ import annotations

from collections.abc import Iterable
from weakref import proxy

from gateway.errors import MisuseError
from gateway.sip.bodies import Body
from gateway.sip.context import Context
from gateway.sip.dialog import Dialog
from gateway.sip.events import Invited, Reconfirmed, Reoffered
from gateway.sip.flow import Datagram, Flow
from gateway.sip.message import Header, Request
from gateway.sip.reasons import reason_text
from gateway.sip.reliable import Provisional, ReliableSender
from gateway.sip.responses import ALLOW
from gateway.sip.session import Phase, Session
from gateway.sip.session_timer import supports
from gateway.sip.transaction.invite_server import InviteServer
from gateway.sip.transaction.layer import ServerTransaction
from gateway.sip.transaction.server import Server
from gateway.sip.uri import parse_uri
from gateway.sip.values import plain
from gateway.units import Nanos

__all__ = ["IncomingCall"]


class IncomingCall(Session):
    """We are the called side."""

    def __init__(
        self,
        context: Context,
        transaction: InviteServer,
        flow: Flow,
        now: Nanos,
        *,
        admitted: object = None,
        replaced: Session | None = None,
    ) -> None:
        request = transaction.request
        called = parse_uri(request.uri)
        super().__init__(context, context.new_handle(), (request.call_id, context.token()), called.user)
        transaction.serve(self)
        self._pending = transaction
        self._answer: tuple[bytes, list[Header]] | None = None  # waits for a PRACK
        self._replaced = replaced
        rseq = context.random_below(1 << 30)
        self._reliable = ReliableSender(proxy(self), rseq, context.timers, context.wakeups)
        self._learn_peer(request)
        self.dialog = Dialog.for_server(request, self.key[1], flow, context.listeners)
        context.add(self)
        # Within 200 ms unless the user answers (17.2.1): nobody knows how long routing takes, so at once.
        context.respond(transaction, 100, now)
        caller, user = plain(request.from_.uri.user_text), plain(called.user_text)
        call_id = plain(request.call_id)
        place = replaced.handle if replaced else None
        context.events.append(Invited(self.handle, call_id, request, caller, user, request.sdp, flow, admitted, place))

    def ring(self, now: Nanos, status: int, sdp: bytes | None, headers: Iterable[Header] = ()) -> None:
        if not 101 <= status <= 199:
            raise MisuseError(f"ring: {status} is not a provisional status of a dialog")
        if self.phase is Phase.EARLY and self._pending is not None:
            if self._is_reliable(self._pending.request, sdp):
                self._reliable.send(Provisional(status, sdp, tuple(headers)), now)
            else:
                self._ring(status, sdp, headers, now)

    def _ring(self, status: int, sdp: bytes | None, extra: Iterable[Header], now: Nanos) -> None:
        if self._pending is not None:
            headers = [*self._dialog_headers(self._pending), ALLOW, *extra]
            if sdp and self._pending.request.get("P-Early-Media") is not None:
                headers.append(("P-Early-Media", "sendrecv"))  # RFC 5009 8: mobile networks gate what is not asked for
            self._context.respond(self._pending, status, now, tag=self.key[1], headers=headers, body=sdp or b"")

    def _is_reliable(self, request: Request, sdp: bytes | None) -> bool:
        """All of them if the peer requires it (RFC 3262 3), else what carries early media."""
        if "100rel" not in self._context.extensions:
            return False
        return "100rel" in request.options("Require") or (bool(sdp) and supports(request, "100rel"))

    # -- what ``reliable`` asks for ------------------------------------------------------------------------------------

    def send_reliable(self, provisional: Provisional, headers: list[Header], now: Nanos) -> None:
        self._ring(provisional.status, provisional.sdp, [*headers, *provisional.headers], now)

    def repeat_provisional(self) -> None:
        if self._pending is not None:
            self._context.outbox.append(Datagram(self._pending.last, self._pending.flow))

    def unheard(self, now: Nanos) -> None:
        self._end_early(504, now, [])
        self._tell_ended("network", 504, "no PRACK (RFC 3262 3)")

    def _on_prack(self, transaction: ServerTransaction, now: Nanos) -> None:
        """It may carry the answer to an offer of ours, or an offer of its own (RFC 3262 5)."""
        request, invite = transaction.request, self._pending
        acknowledged = self._reliable.acknowledge(request, invite.request.cseq.number, now) if invite else None
        if acknowledged is None or invite is None:
            super()._on_prack(transaction, now)
            return
        answers = bool(acknowledged.sdp) and invite.request.sdp is None and not self._answered_early
        self._answered_early |= bool(acknowledged.sdp)
        if request.sdp is not None and not answers and isinstance(transaction, Server):
            self._update = transaction
            self._context.events.append(Reoffered(self.handle, request.sdp))
        else:
            self._context.respond(transaction, 200, now)
            if answers:
                self._theirs = request.sdp
                self._context.events.append(Reconfirmed(self.handle, request.sdp))
        if self._answer is not None and not self._reliable.owes_answer:
            super().answer(self._answer[0], now, self._answer[1])

    def answer(self, sdp: bytes, now: Nanos, headers: Iterable[Header] = ()) -> None:
        """Not while a description is under way that no PRACK has acknowledged (RFC 3262 3)."""
        if self._update is None and self._pending is not None and self._reliable.owes_answer:
            self._answer = sdp, list(headers)
        else:
            super().answer(sdp, now, headers)

    def _accept(self, transaction: InviteServer, sdp: bytes, now: Nanos, extra: Iterable[Header] = ()) -> None:
        self._reliable.stop()
        super()._accept(transaction, sdp, now, extra)
        replaced, self._replaced = self._replaced, None
        if replaced is not None:  # RFC 3891 3: it takes its place, so the old one ends
            replaced.hang_up(now, "replaced")

    def reject(self, status: int, now: Nanos, headers: list[Header], text: str) -> None:
        if self.phase is not Phase.EARLY or self._update is not None:
            super().reject(status, now, headers, text)
        else:
            self._end_early(status, now, headers)
            self._tell_ended("local", status, text)

    def hang_up(
        self, now: Nanos, reason: str, headers: Iterable[Header] = (), body: Body | None = None, cause: int = 16
    ) -> None:
        if self.phase is not Phase.EARLY:
            super().hang_up(now, reason, headers, body, cause)
        else:
            self._end_early(487, now, [])
            self._tell_ended("local", 487, reason)

    def on_cancel(self, transaction: InviteServer, request: Request, now: Nanos) -> None:
        if self.phase is not Phase.EARLY:
            super().on_cancel(transaction, request, now)
        else:
            self._end_early(487, now, [])
            self._tell_ended("remote", 487, reason_text(request), request)

    def _stop(self, now: Nanos) -> None:
        self._reliable.stop()
        super()._stop(now)

    def _end_early(self, status: int, now: Nanos, headers: list[Header]) -> None:
        self._refuse_pending(status, now, headers)
        self._stop(now)
        self._forget()
