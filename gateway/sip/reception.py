"""What happens to a datagram that comes in: parsed, checked, matched, refused or given to a call (RFC 3261 8.2, 17.2).

bytes ──parse──▶ response ──▶ its client transaction
          │
          └────▶ request ──▶ known transaction: a retransmission
                    ├─────▶ ACK: the dialog that waits for it
                    ├─────▶ CANCEL: the INVITE it names
                    ├─────▶ To tag: the dialog, or 481
                    └─────▶ a new call, or OPTIONS, or a refusal
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from gateway.errors import SipError
from gateway.sip.checks import check_acceptable, check_body, check_hops, check_method, check_response, check_syntax
from gateway.sip.context import Context
from gateway.sip.events import Refused
from gateway.sip.flow import Datagram, Flow, OurSide
from gateway.sip.incoming import IncomingCall
from gateway.sip.message import Header, Request, Response
from gateway.sip.parser import CONTROL, Malformed, parse
from gateway.sip.replaces import replaces_of
from gateway.sip.responses import ACCEPT, ALLOW, build_response, reply_flow, stamp_via, warning
from gateway.sip.session import Phase, Session
from gateway.sip.session_timer import agree_as_server
from gateway.sip.transaction.invite_server import InviteServer
from gateway.sip.transaction.layer import ServerTransaction
from gateway.sip.transaction.matching import server_key
from gateway.units import SECOND, Nanos

__all__ = ["Admit", "Reception"]

Admit = Callable[[Request, Flow, Nanos], object]
"""Asked about every new request that belongs to no dialog of ours; raises ``SipError`` for what is not taken. What it
returns for an INVITE comes with ``Invited``; its attribute ``advertise``, if it has one, is the address that this peer
is told."""


_COPIED: Final = ("Via", "From", "To", "Call-ID", "CSeq")


class Reception:
    """The server side of the endpoint, up to the point where a call takes over."""

    def __init__(self, context: Context, admit: Admit) -> None:
        self._context = context
        self._admit = admit

    def receive(self, data: bytes, flow: Flow, now: Nanos, fault: SipError | None = None) -> None:
        """One message from ``flow``; ``fault`` says what is wrong with it already."""
        if fault is None and not data.strip(b"\r\n\0 "):
            return  # keep-alive (RFC 5626 3.5.1, and what phones send instead)
        try:
            message = parse(
                data, max_bytes=self._context.options.max_message_bytes, max_headers=self._context.options.max_headers
            )
            if isinstance(message, Response):
                check_response(message)
            elif isinstance(message, Request):
                self._check_request(message)
            if fault is not None:
                raise Malformed(fault, message) if isinstance(message, Request) else fault
        except Malformed as error:
            self._refuse_malformed(error.request, fault or error, flow)
        except SipError as error:
            self._drop(fault or error, flow)
        else:
            if isinstance(message, Response):
                self._context.layer.receive_response(message, now)
            elif isinstance(message, Request):
                self._on_request(message, flow, now)

    @staticmethod
    def _check_request(request: Request) -> None:
        try:
            check_syntax(request)
        except SipError as error:
            raise Malformed(error, request) from None

    def _drop(self, error: SipError, flow: Flow) -> None:
        self._context.events.append(Refused(flow, None, error.rule))

    def _refuse_malformed(self, request: Request, error: SipError, flow: Flow) -> None:
        """Answered without a transaction, if what a response copies is there (RFC 4475 3.1.2); ACK never is."""
        try:
            if not all(request.get(name) for name in ("From", "To", "Call-ID", "CSeq")):
                raise error
            if any(CONTROL.search(value) for name in _COPIED for value in request.all(name)):
                raise error  # a response that copies it would be none
            reply = reply_flow(request.via, flow)
            stamped = stamp_via(request, flow)
        except SipError:
            self._drop(error, flow)
            return
        if request.method == "ACK":
            self._drop(error, flow)
        else:
            self._respond_stateless(stamped, reply, error)

    def _respond_stateless(
        self,
        request: Request,
        reply: Flow,
        error: SipError,
        headers: Iterable[Header] = (),
        told: Request | None = None,
    ) -> None:
        why = warning(self._context.host(reply), error.rule)
        tag = self._context.token()
        response = build_response(request, error.status, error.reason, tag=tag, headers=[why, *headers])
        self._context.outbox.append(Datagram(response.encode(), reply))
        self._context.events.append(Refused(reply, error.status, error.rule, told))

    def _on_request(self, request: Request, flow: Flow, now: Nanos) -> None:
        """Retransmissions first, then ACK, then everything that opens a server transaction."""
        key = server_key(request)
        known = self._context.layer.find_server(key)
        if known is not None and not self._context.layer.receive_request(known, request, now):
            return
        if request.method == "ACK":
            self._on_ack(request, now)
            return
        reply = reply_flow(request.via, flow)
        stamped = stamp_via(request, flow)
        admitted: object = None
        session = self._find(request)
        if session is None:
            try:
                admitted = self._admit(request, flow, now)
            except SipError as refusal:  # once: a transaction would send it again to whom it may not concern
                self._respond_stateless(stamped, reply, refusal, refusal.headers, request)
                return
        ours = session.dialog.flow.ours if session and session.dialog else _our_side(request, admitted)
        if ours != flow.ours:
            flow, reply = replace(flow, ours=ours), replace(reply, ours=ours)
        if flow.reliable:
            flow = reply  # the dialog, too, wants to know where the peer listens
        if len(self._context.layer) >= self._context.options.max_transactions:
            error = SipError(503, "Service Unavailable", "limit: max_transactions")
            self._respond_stateless(stamped, reply, error, [("Retry-After", "5")])
            return
        transaction = self._context.layer.open_server(key, stamped, reply)
        try:
            self._dispatch(transaction, flow, now, admitted)
        except SipError as error:
            self._refuse(transaction, error, now)

    def _on_ack(self, request: Request, now: Nanos) -> None:
        session = self._find(request)
        if session is not None:
            session.on_ack(request, now)

    def _find(self, request: Request) -> Session | None:
        """The call whose dialog a request belongs to (RFC 3261 12.2.2)."""
        session = self._context.dialogs.get((request.call_id, request.to.tag))
        if session is None or session.dialog is None or session.dialog.remote_tag != request.from_.tag:
            return None
        return session

    def _dispatch(self, transaction: ServerTransaction, flow: Flow, now: Nanos, admitted: object) -> None:
        request = transaction.request
        if request.method == "CANCEL":
            self._on_cancel(transaction, now)
        elif request.to.tag:
            session = self._find(request)
            if session is None:
                raise SipError(481, "Call/Transaction Does Not Exist", "RFC 3261 12.2.2: no such dialog")
            session.on_request(transaction, now)
        else:
            self._on_new(transaction, flow, now, admitted)

    def _on_cancel(self, transaction: ServerTransaction, now: Nanos) -> None:
        """200 if the INVITE is known, whatever its state; it has an effect before the final response only (9.2)."""
        target = self._context.layer.find_server(server_key(transaction.request, "INVITE"))
        if not isinstance(target, InviteServer):
            raise SipError(481, "Call/Transaction Does Not Exist", "RFC 3261 9.2: nothing to cancel")
        self._context.respond(transaction, 200, now, tag=target.tag or self._context.token())
        if target.user is not None:
            target.user.on_cancel(target, transaction.request, now)

    def _on_new(self, transaction: ServerTransaction, flow: Flow, now: Nanos, admitted: object) -> None:
        """A request outside any dialog, checked in the order of RFC 3261 8.2."""
        request = transaction.request
        check_method(request)
        if flow.ours.sips and not flow.secure:
            raise SipError(416, "Unsupported URI Scheme", "RFC 3261 26.2.2: sips is served over TLS alone")
        if self._context.layer.is_merged(transaction):
            raise SipError(482, "Loop Detected", "RFC 3261 8.2.2.2: merged request")
        check_acceptable(request, self._context.extensions)
        check_hops(request)
        check_body(request)
        if request.method not in ("INVITE", "OPTIONS"):
            raise SipError(481, "Call/Transaction Does Not Exist", "RFC 3261 15.1.2: no such dialog")
        if self._context.closing:
            raise SipError(503, "Service Unavailable", "the endpoint is closing")
        if isinstance(transaction, InviteServer):
            if len(self._context.sessions) >= self._context.options.max_calls:
                raise SipError(503, "Service Unavailable", "limit: max_calls")
            agree_as_server(request, self._context.options)
            replaced = self._replaced(request)
            IncomingCall(self._context, transaction, flow, now, admitted=admitted, replaced=replaced)
        else:
            headers = [ALLOW, ACCEPT, self._context.supported, self._context.contact(flow)]
            self._context.respond(transaction, 200, now, tag=self._context.token(), headers=headers)

    def _replaced(self, request: Request) -> Session | None:
        """The call whose place an INVITE wants (RFC 3891 3); an early one only if it was us who have placed it."""
        wanted = replaces_of(request)
        if wanted is None:
            return None
        session = self._context.dialogs.get((wanted.call_id, wanted.to_tag))
        dialog = session.dialog if session else None
        if session is None or dialog is None or dialog.remote_tag != wanted.from_tag:
            raise SipError(481, "Call/Transaction Does Not Exist", "RFC 3891 3: no such dialog to replace")
        if session.phase is Phase.LEAVING:
            raise SipError(603, "Decline", "RFC 3891 3: the call to replace is being ended")
        if session.phase is Phase.ESTABLISHED and wanted.early_only:
            raise SipError(486, "Busy Here", "RFC 3891 3: the call to replace is answered")
        if session.phase is Phase.EARLY and not session.owns_call_id:
            raise SipError(481, "Call/Transaction Does Not Exist", "RFC 3891 3: an early dialog that we did not begin")
        return session

    def _unknown(self, request: Request) -> list[str]:
        return [name for name in request.all("Require") if name.lower() not in self._context.extensions]

    def _refuse(self, transaction: ServerTransaction, error: SipError, now: Nanos) -> None:
        """The final response that an error deserves, with the headers that its status demands (RFC 3261 21)."""
        host = self._context.host(transaction.flow)
        extra: dict[int, Header] = {
            405: ALLOW, 406: ACCEPT, 415: ACCEPT, 501: ALLOW, 503: ("Retry-After", "5"),
            500: ("Retry-After", str(self._context.random_below(11))),  # RFC 3261 14.2
            420: ("Unsupported", ", ".join(self._unknown(transaction.request))),
            489: ("Allow-Events", "refer"), 469: ("Recv-Info", ""),
            422: ("Min-SE", str(self._context.options.min_session_expires // SECOND)),
        }  # fmt: skip
        headers = [warning(host, error.rule), *([extra[error.status]] if error.status in extra else [])]
        tag = self._context.token()
        self._context.respond(transaction, error.status, now, reason=error.reason, tag=tag, headers=headers)
        self._context.events.append(Refused(transaction.flow, error.status, error.rule))


def _our_side(request: Request, admitted: object) -> OurSide:
    advertise = getattr(admitted, "advertise", None) or ""
    return OurSide(str(advertise), sips=request.uri[:5].lower() == "sips:")
