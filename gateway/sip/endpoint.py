"""A SIP endpoint without I/O: datagrams in, datagrams and events out.

    endpoint = Endpoint(options, random, local=("127.0.0.1", 5060))
    endpoint.receive(data, Flow("udp", local, remote), now)
    for datagram in endpoint.outgoing(): ...      # to the socket
    for event in endpoint.events(): ...           # Invited, Ended, ...; then verbs: ring, answer, reject, hang_up
    wake_at = endpoint.next_timer()

Nothing that a peer sends makes ``receive`` raise. Verbs name a call by its handle; a handle whose call is over is no
error, because the end may have come while the user was deciding.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.errors import MisuseError, ResourceError, SipError
from gateway.sip.checks import (
    check_acceptable,
    check_body,
    check_hops,
    check_method,
    check_response,
    check_syntax,
)  # fmt: skip
from gateway.sip.context import Context, Randomness
from gateway.sip.dialog import next_hop
from gateway.sip.events import Event, Pinged, Refused
from gateway.sip.flow import Address, Datagram, Flow
from gateway.sip.incoming import IncomingCall
from gateway.sip.message import Header, Request, Response
from gateway.sip.options import EndpointOptions
from gateway.sip.outgoing import OutgoingCall
from gateway.sip.parser import Malformed, parse
from gateway.sip.responses import ACCEPT, ALLOW, build_response, reply_flow, stamp_via, warning
from gateway.sip.session import Session, refusal_headers
from gateway.sip.transaction.client import Client
from gateway.sip.transaction.invite_client import InviteClient
from gateway.sip.transaction.invite_server import InviteServer
from gateway.sip.transaction.layer import ServerTransaction
from gateway.sip.transaction.matching import server_key
from gateway.sip.transaction.server import Server
from gateway.sip.uri import parse_uri
from gateway.sip.values import plain
from gateway.units import Nanos

__all__ = ["Endpoint"]


class Endpoint:
    """Composes transactions, dialogs and calls, both as UAS and as UAC.

    ``local`` is the address of the socket; Via and Contact carry it unless ``options.advertise`` says otherwise.
    """

    def __init__(self, options: EndpointOptions, random: Randomness, local: Address) -> None:
        self._options = options
        self._context = Context(options, random, local)
        self._layer = self._context.layer
        self._closing = False

    # -- outputs -------------------------------------------------------------------------------------------------------

    def outgoing(self) -> list[Datagram]:
        """Datagrams to send, in order."""
        drained = self._context.outbox[:]
        self._context.outbox.clear()
        return drained

    def events(self) -> list[Event]:
        drained = self._context.events[:]
        self._context.events.clear()
        return drained

    def next_timer(self) -> Nanos | None:
        return self._context.wakeups.next()

    @property
    def calls(self) -> int:
        """Calls that are not over, those included whose BYE is not answered yet."""
        return len(self._context.sessions)

    @property
    def transactions(self) -> int:
        """Transactions, those included that only absorb retransmissions."""
        return len(self._layer)

    def call_id(self, call: int) -> str:
        """Call-ID of a call; ``""`` once it is over."""
        session = self._context.sessions.get(call)
        return session.key[0] if session else ""

    # -- inputs --------------------------------------------------------------------------------------------------------

    def handle_timer(self, now: Nanos) -> None:
        for sleeper in self._context.wakeups.due(now):
            if isinstance(sleeper, InviteClient | Client | InviteServer | Server):
                self._layer.handle_timer(sleeper, now)
            else:
                sleeper.handle_timer(now)
                self._context.wakeups.arm(sleeper)

    def receive(self, data: bytes, flow: Flow, now: Nanos) -> None:
        """One datagram from ``flow``."""
        if not data.strip(b"\r\n\0 "):
            return  # keep-alive (RFC 5626 3.5.1, and what phones send instead)
        try:
            message = parse(data, max_bytes=self._options.max_message_bytes, max_headers=self._options.max_headers)
            if isinstance(message, Response):
                check_response(message)
            elif isinstance(message, Request):
                self._check_request(message)
        except Malformed as error:
            self._refuse_malformed(error.request, error, flow)
        except SipError as error:
            self._drop(error, flow)
        else:
            if isinstance(message, Response):
                self._layer.receive_response(message, now)
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
            request.to, request.call_id  # noqa: B018
            if not (request.get("From") and request.get("CSeq")):
                raise error
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
        self, request: Request, reply: Flow, error: SipError, headers: Iterable[Header] = ()
    ) -> None:
        why = warning(self._context.host(reply.local), error.rule)
        tag = self._context.token()
        response = build_response(request, error.status, error.reason, tag=tag, headers=[why, *headers])
        self._context.outbox.append(Datagram(response.encode(), reply))
        self._context.events.append(Refused(reply, error.status, error.rule))

    # -- requests ------------------------------------------------------------------------------------------------------

    def _on_request(self, request: Request, flow: Flow, now: Nanos) -> None:
        """Retransmissions first, then ACK, then everything that opens a server transaction."""
        key = server_key(request)
        known = self._layer.find_server(key)
        if known is not None and not self._layer.receive_request(known, request, now):
            return
        if request.method == "ACK":
            self._on_ack(request, now)
            return
        reply = reply_flow(request.via, flow)
        stamped = stamp_via(request, flow)
        if len(self._layer) >= self._options.max_transactions:
            error = SipError(503, "Service Unavailable", "limit: max_transactions")
            self._respond_stateless(stamped, reply, error, [("Retry-After", "5")])
            return
        transaction = self._layer.open_server(key, stamped, reply)
        try:
            self._dispatch(transaction, flow, now)
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

    def _dispatch(self, transaction: ServerTransaction, flow: Flow, now: Nanos) -> None:
        request = transaction.request
        if request.method == "CANCEL":
            self._on_cancel(transaction, now)
        elif request.to.tag:
            session = self._find(request)
            if session is None:
                raise SipError(481, "Call/Transaction Does Not Exist", "RFC 3261 12.2.2: no such dialog")
            session.on_request(transaction, now)
        else:
            self._on_new(transaction, flow, now)

    def _on_cancel(self, transaction: ServerTransaction, now: Nanos) -> None:
        """200 if the INVITE is known, whatever its state; it has an effect before the final response only (9.2)."""
        target = self._layer.find_server(server_key(transaction.request, "INVITE"))
        if not isinstance(target, InviteServer):
            raise SipError(481, "Call/Transaction Does Not Exist", "RFC 3261 9.2: nothing to cancel")
        tag = target.user.key[1] if isinstance(target.user, Session) else self._context.token()
        self._context.respond(transaction, 200, now, tag=tag)
        if target.user is not None:
            target.user.on_cancel(target, transaction.request, now)

    def _on_new(self, transaction: ServerTransaction, flow: Flow, now: Nanos) -> None:
        """A request outside any dialog, checked in the order of RFC 3261 8.2."""
        request = transaction.request
        check_method(request)
        if self._layer.is_merged(transaction):
            raise SipError(482, "Loop Detected", "RFC 3261 8.2.2.2: merged request")
        check_acceptable(request)
        check_hops(request)
        check_body(request)
        if request.method == "BYE":
            raise SipError(481, "Call/Transaction Does Not Exist", "RFC 3261 15.1.2: no such dialog")
        if self._closing:
            raise SipError(503, "Service Unavailable", "the endpoint is closing")
        if isinstance(transaction, InviteServer):
            if len(self._context.sessions) >= self._options.max_calls:
                raise SipError(503, "Service Unavailable", "limit: max_calls")
            IncomingCall(self._context, transaction, flow, now)
        else:
            headers = [ALLOW, ACCEPT, ("Supported", ""), self._context.contact(flow)]
            self._context.respond(transaction, 200, now, tag=self._context.token(), headers=headers)

    def _refuse(self, transaction: ServerTransaction, error: SipError, now: Nanos) -> None:
        """The final response that an error deserves, with the headers that its status demands (RFC 3261 21)."""
        host = self._context.host(transaction.flow.local)
        extra: dict[int, Header] = {
            405: ALLOW, 406: ACCEPT, 415: ACCEPT, 501: ALLOW, 503: ("Retry-After", "5"), 500: ("Retry-After", "3"),
            420: ("Unsupported", ", ".join(transaction.request.all("Require"))),
        }  # fmt: skip
        headers = [warning(host, error.rule), *([extra[error.status]] if error.status in extra else [])]
        tag = self._context.token()
        self._context.respond(transaction, error.status, now, reason=error.reason, tag=tag, headers=headers)
        self._context.events.append(Refused(transaction.flow, error.status, error.rule))

    # -- verbs ---------------------------------------------------------------------------------------------------------

    def ring(self, call: int, now: Nanos, status: int = 180, sdp: bytes | None = None) -> None:
        """180, or 183 with a session for early media."""
        if session := self._context.sessions.get(call):
            session.ring(now, status, sdp)

    def answer(self, call: int, sdp: bytes, now: Nanos) -> None:
        """200 to the INVITE or re-INVITE that is open; ``sdp`` is the answer, or the offer if it had none."""
        if session := self._context.sessions.get(call):
            session.answer(sdp, now)

    def reject(
        self, call: int, status: int, rule: str, now: Nanos, reason: str | None = None, *, warning: int = 399
    ) -> None:
        """Refuses the INVITE or re-INVITE that is open, saying why: ``rule`` in Warning with code ``warning`` (RFC 3261
        20.43), ``reason`` in Reason (RFC 3326)."""
        if not 300 <= status <= 699:
            raise MisuseError(f"reject: {status} is not a refusal")
        if session := self._context.sessions.get(call):
            headers = refusal_headers(self._context.host(self._context.local), rule, warning, reason)
            session.reject(status, now, headers, reason or rule)

    def hang_up(self, call: int, now: Nanos, reason: str = "") -> None:
        """CANCEL, BYE or 487, as the state asks; ``Ended`` follows at once, the rest is between us and the peer."""
        if session := self._context.sessions.get(call):
            session.hang_up(now, reason)

    def invite(
        self,
        target: str,
        sdp: bytes,
        now: Nanos,
        *,
        caller: str,
        headers: Iterable[Header] = (),
        remote: Address | None = None,
    ) -> int:
        """Places a call; returns its handle. ``remote`` is where the INVITE goes if the target's host is a name."""
        flow = self._flow_to(target, remote)
        if self._closing or len(self._context.sessions) >= self._options.max_calls:
            raise ResourceError("no more calls: the endpoint is closing, or sip.max_calls is met")
        headers = [_checked(header) for header in headers]
        return OutgoingCall(self._context, target, flow, caller, sdp=sdp, headers=headers, now=now).handle

    def options_ping(self, target: str, now: Nanos, *, remote: Address | None = None) -> None:
        """OPTIONS outside a dialog (RFC 3261 11); ``Pinged`` follows."""
        flow = self._flow_to(target, remote)
        context = self._context
        identity = f"<sip:{context.host(flow.local)}>;tag={context.token()}"
        headers: list[Header] = [
            ("Via", context.via(flow)), ("Max-Forwards", "70"), ("From", identity), ("To", f"<{target}>"),
            ("Call-ID", f"{context.token()}@{context.host(flow.local)}"), ("CSeq", "1 OPTIONS"), context.contact(flow),
            ACCEPT,
        ]  # fmt: skip

        def told(response: Response | None, now: Nanos) -> None:
            if response is None or response.status >= 200:
                context.events.append(Pinged(target, response.status if response else None))

        self._layer.open_client(Request("OPTIONS", target, headers), flow, told, now)

    def close(self, now: Nanos) -> None:
        """Hangs up every call and refuses new ones with 503. The endpoint may go when ``calls`` is 0."""
        self._closing = True
        for handle in list(self._context.sessions):
            self.hang_up(handle, now, "shutting down")

    def _flow_to(self, target: str, remote: Address | None) -> Flow:
        try:
            uri = parse_uri(target)
        except SipError as error:
            raise MisuseError(f"{plain(target)!r} is not a SIP URI: {error.rule}") from None
        address = remote or next_hop(uri)
        if address is None:
            raise MisuseError(f"{plain(target)!r} names a host: resolve it, and give its address as remote")
        return Flow("udp", self._context.local, address)


def _checked(header: Header) -> Header:
    name, value = header
    if not name or "\r" in name + value or "\n" in name + value:
        raise MisuseError(f"header {name!r} holds a line break")
    return header
