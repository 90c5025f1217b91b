"""A call from its 200 on, the same for both sides: re-INVITE, BYE, the 200 that waits for its ACK (RFC 3261 13 to 15).

    ESTABLISHED ──hang_up──▶ LEAVING ──BYE answered, or not──▶ forgotten
         └──────BYE comes──────────────────────────────────────▶ forgotten

``EARLY`` is what ``IncomingCall`` and ``OutgoingCall`` add before. A session that is ``LEAVING`` has told ``Ended``
already: what remains is courtesy to the peer.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from typing import Literal

from gateway.errors import MisuseError, SipError
from gateway.sip.auth import Login
from gateway.sip.checks import check_acceptable, check_body, check_method
from gateway.sip.context import Context
from gateway.sip.dialog import Dialog
from gateway.sip.events import Confirmed, Ended, Reconfirmed, Reoffered
from gateway.sip.exchange import exchange
from gateway.sip.flow import Datagram, Flow
from gateway.sip.message import Header, Message, Request, Response
from gateway.sip.responses import ACCEPT, ALLOW, SUPPORTED, warning
from gateway.sip.transaction.invite_client import Tell
from gateway.sip.transaction.invite_server import InviteServer
from gateway.sip.transaction.layer import ServerTransaction
from gateway.sip.values import parse_parameters, plain, quote
from gateway.units import Nanos

__all__ = ["Phase", "Session", "reason_header", "reason_text", "refusal_headers"]


class Phase(Enum):
    EARLY = auto()
    ESTABLISHED = auto()
    LEAVING = auto()


class _Unacknowledged:
    """A 200 to an INVITE that is repeated until its ACK comes (RFC 3261 13.3.1.4)."""

    __slots__ = ("cseq", "data", "flow", "give_up", "initial", "interval", "offered", "resend")

    def __init__(self, data: bytes, flow: Flow, cseq: int, initial: bool, give_up: Nanos) -> None:
        self.data = data
        self.flow = flow
        self.cseq = cseq
        self.initial = initial
        self.give_up = give_up
        self.interval = Nanos(0)
        self.resend: Nanos = give_up


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
        self._unacknowledged: _Unacknowledged | None = None
        self._farewell: str | None = None  # BYE owed, as soon as the ACK allows it
        self._ended = False

    # -- verbs ---------------------------------------------------------------------------------------------------------

    def ring(self, now: Nanos, status: int, sdp: bytes | None) -> None:
        raise MisuseError("ring: only a call that came in and is not answered can ring")

    def answer(self, sdp: bytes, now: Nanos) -> None:
        """200 to the INVITE that is open; nothing if it was cancelled or ended a moment ago."""
        if self._pending is not None:
            self._accept(self._pending, sdp, now)

    def reject(self, status: int, now: Nanos, headers: list[Header], text: str) -> None:
        """A final refusal of the INVITE that is open; of a re-INVITE it leaves the session as it was."""
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
        check_acceptable(request)
        check_body(request)
        if isinstance(transaction, InviteServer):
            self._on_reinvite(transaction, now)
        elif request.method == "OPTIONS":
            headers = [ALLOW, ACCEPT, SUPPORTED]
            self._context.respond(transaction, 200, now, headers=headers)
        else:
            raise SipError(400, "Bad Request", "RFC 3261 12.2.2: not a request for a dialog")

    def on_ack(self, request: Request, now: Nanos) -> None:
        waiting = self._unacknowledged
        if waiting is None or request.cseq.number != waiting.cseq:
            return  # the ACK of a repeated 200
        self._unacknowledged, self.wake = None, None
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
            waiting.interval = min(Nanos(2 * waiting.interval), self._context.timers.t2)
            self._sleep_until(min(Nanos(now + waiting.interval), waiting.give_up))
            return
        self._unacknowledged, self.wake = None, None
        self._tell_ended("network", None, "no ACK (RFC 3261 13.3.1.4)")
        self._send_bye(now, self._farewell or "no ACK")

    # -- the parts -----------------------------------------------------------------------------------------------------

    def _on_bye(self, transaction: ServerTransaction, now: Nanos) -> None:
        """A pending INVITE gets its 487 (RFC 3261 15.1.2)."""
        self._context.respond(transaction, 200, now)
        self._refuse_pending(487, now, [])
        self._tell_ended("remote", None, reason_text(transaction.request))
        self._context.forget(self)

    def _on_reinvite(self, transaction: InviteServer, now: Nanos) -> None:
        if self.phase is Phase.LEAVING:
            raise SipError(481, "Call/Transaction Does Not Exist", "RFC 3261 14.2: the call is being ended")
        if self._pending is not None:
            raise SipError(500, "Server Internal Error", "RFC 3261 14.2: the last INVITE is not answered yet")
        if self._unacknowledged is not None:
            raise SipError(491, "Request Pending", "RFC 5407 3.1.3: the last 200 is not acknowledged yet")
        transaction.user = self
        self._pending = transaction
        self._live_dialog().refresh_target(transaction.request)
        self._context.respond(transaction, 100, now)
        self._context.events.append(Reoffered(self.handle, transaction.request.sdp))

    def _accept(self, transaction: InviteServer, sdp: bytes, now: Nanos) -> None:
        """Sends 200 and repeats it until the ACK (RFC 3261 13.3.1.4), on reliable transports too."""
        initial = self.phase is Phase.EARLY
        headers = [*self._dialog_headers(transaction), ALLOW, SUPPORTED]
        data = self._context.respond(transaction, 200, now, tag=self.key[1], headers=headers, body=sdp)
        self.phase, self._pending = Phase.ESTABLISHED, None
        timers = self._context.timers
        give_up = Nanos(now + timers.give_up)
        cseq = transaction.request.cseq.number
        self._unacknowledged = _Unacknowledged(data, transaction.flow, cseq, initial, give_up)
        self._unacknowledged.interval = timers.t1
        self._sleep_until(Nanos(now + timers.t1))

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
        self._refuse_pending(487, now, [])
        if self._unacknowledged is None:
            self._send_bye(now, reason)

    def _send_bye(self, now: Nanos, reason: str) -> None:
        self.phase = Phase.LEAVING
        self._request("BYE", self._on_bye_answered, now, headers=reason_header(reason))

    def _request(self, method: str, tell: Tell, now: Nanos, *, headers: Iterable[Header] = ()) -> None:
        """A request other than INVITE within the dialog."""
        dialog = self._live_dialog()

        def build() -> tuple[Request, Flow]:
            flow = dialog.next_flow()
            return dialog.request(method, self._context.via(flow), headers=headers), flow

        exchange(self._context, build, tell, now, self._login_for(dialog.next_flow()), in_dialog=True)

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


def reason_header(text: str, cause: int = 16) -> list[Header]:
    """Reason for BYE and CANCEL (RFC 3326); Q.850 cause 16 is normal clearing."""
    return [("Reason", f"Q.850;cause={cause};text={quote(text)}")] if text else []


def refusal_headers(host: str, rule: str, code: int, reason: str | None) -> list[Header]:
    """Why we refuse, for whoever reads a capture."""
    headers = [warning(host, rule, code)] if rule else []
    return headers + ([("Reason", f"SIP;text={quote(reason)}")] if reason else [])


def reason_text(message: Message) -> str:
    """What the peer's Reason header says, printable; ``""`` without one."""
    value = message.get("Reason") or ""
    _, semicolon, rest = value.partition(";")
    try:
        parameters = parse_parameters(semicolon + rest)
    except SipError:
        parameters = {}
    text = parameters.get("text")
    return plain(text or value.strip())
