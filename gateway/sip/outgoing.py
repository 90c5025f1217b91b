"""A call that we place, until it is answered (RFC 3261 13.2, 9.1)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from gateway.sip.auth import Login
from gateway.sip.context import Context
from gateway.sip.dialog import Dialog
from gateway.sip.events import Answered, Ringing
from gateway.sip.exchange import MAX_TRIES, exchange
from gateway.sip.failover import Attempts
from gateway.sip.flow import Datagram, Flow
from gateway.sip.message import Header, Request, Response
from gateway.sip.reasons import reason_header, refusal_text
from gateway.sip.reliable import EarlyDialogs, is_reliable, sequence
from gateway.sip.responses import ACCEPT, ALLOW
from gateway.sip.session import Phase, Session
from gateway.sip.session_timer import LEAST, Role, agree_as_client, least, request_headers
from gateway.sip.transaction.invite_client import InviteClient
from gateway.sip.transaction.layer import ClientTransaction
from gateway.units import SECOND, Nanos

__all__ = ["OutgoingCall"]


class OutgoingCall(Session):
    """We are the calling side. A 200 for a call that we have given up is acknowledged, then followed by BYE."""

    def __init__(
        self,
        context: Context,
        target: str,
        flows: Sequence[Flow],
        caller: str,
        *,
        sdp: bytes,
        headers: Iterable[Header],
        now: Nanos,
        login: Login | None = None,
        sender: str = "",
        patience: Nanos | None = None,
    ) -> None:
        host = context.host(flows[0].local)
        super().__init__(context, context.new_handle(), (f"{context.token()}@{host}", context.token()), caller)
        self._target = target
        self._login = login
        self._sender = sender
        self._tries = 1
        self._least = LEAST
        self._early = EarlyDialogs(context.listeners)
        self._ours = sdp
        self.owns_call_id = True
        self._cancelled = False
        self._acks: dict[str, Datagram] = {}  # To tag -> ACK, for a 200 that comes again
        self._dismissed: set[Hashable] = set()  # branches and To tags of servers that answered too late
        context.add(self)

        invite = self._build(sdp, headers, flows[0])
        self._attempts = Attempts(context, invite, flows, self._on_response, now, late=self._on_late, patience=patience)
        self._sleep_until(Nanos(now + context.options.ring_limit))

    @property
    def _flow(self) -> Flow:
        """To the server that is being asked, or that has answered."""
        return self._attempts.flow

    @property
    def _invite(self) -> Request:
        """As it was sent last."""
        return self._attempts.request

    def _build(self, sdp: bytes, headers: Iterable[Header], flow: Flow) -> Request:
        context = self._context
        at = "@" if self._user else ""
        sender = self._sender or f"<sip:{self._user}{at}{context.host(flow.local)}>"
        identity = f"{sender};tag={self.key[1]}"
        fixed: list[Header] = [
            ("Via", context.via(flow)), ("Max-Forwards", "70"), ("From", identity), ("To", f"<{self._target}>"),
            ("Call-ID", self.key[0]), ("CSeq", "1 INVITE"), context.contact(flow, self._user), ALLOW, ACCEPT,
            context.supported, *self._expiry(LEAST),
        ]  # fmt: skip
        if context.options.user_agent:
            fixed.append(("User-Agent", context.options.user_agent))
        return Request("INVITE", self._target, [*fixed, *headers, ("Content-Type", "application/sdp")], sdp)

    def _try_again(self, now: Nanos) -> None:
        """The same INVITE with credentials or a longer session interval: CSeq + 1 and a new branch, all else as it was
        (RFC 3261 22.1, RFC 4028 7.3)."""
        self._tries += 1
        renewed = {"Via": self._context.via(self._flow), "CSeq": f"{self._tries} INVITE"}
        headers = [
            (name, renewed.get(name, value))
            for name, value in self._invite.headers
            if name not in ("Authorization", "Proxy-Authorization", "Session-Expires", "Min-SE")
        ]
        headers += self._expiry(self._least)
        request = Request("INVITE", self._invite.uri, headers, self._invite.body)
        self._attempts.again(self._login.sign(request) if self._login else request, now)

    def hang_up(self, now: Nanos, reason: str) -> None:
        if self.phase is not Phase.EARLY:
            super().hang_up(now, reason)
            return
        self._give_up(now, reason)
        self._tell_ended("local", None, reason)

    def handle_timer(self, now: Nanos) -> None:
        if self._unacknowledged is not None:
            super().handle_timer(now)
        elif self.wake is None or now < self.wake:
            return
        elif self._farewell is not None:
            # CANCEL was answered, perhaps, but the INVITE never was (RFC 3261 9.1).
            self._attempts.destroy()
            self._context.forget(self)
        else:
            self._give_up(now, "not answered in time")
            self._tell_ended("local", 408, "not answered in time")

    def _give_up(self, now: Nanos, reason: str) -> None:
        self._farewell = reason
        self._attempts.stop()
        self._sleep_until(Nanos(now + self._context.timers.give_up))
        if self._attempts.provisional:
            self._cancel(now)

    def _cancel(self, now: Nanos) -> None:
        """Only after a provisional response (RFC 3261 9.1)."""
        transaction = self._attempts.transaction
        if not self._cancelled and transaction is not None:
            self._cancelled = True
            self._send_cancel(transaction, self._farewell or "", now)

    def _send_cancel(self, transaction: ClientTransaction, why: str, now: Nanos) -> None:
        """Same Via, Request-URI, To, From, Call-ID, CSeq number (RFC 3261 9.1)."""
        invite = transaction.request  # as it was sent: perhaps by another transport than was meant
        headers = [header for header in invite.headers if header[0] in ("Via", "Max-Forwards", "Route", "From", "To")]
        headers += [("Call-ID", invite.call_id), ("CSeq", f"{invite.cseq.number} CANCEL")]
        request = Request("CANCEL", invite.uri, headers + reason_header(why))
        self._context.layer.open_client(request, transaction.flow, lambda response, now: None, now)

    def _on_late(self, transaction: InviteClient, response: Response, now: Nanos) -> None:
        """A server that was silent for too long wakes up, while the next one is being asked or has answered: it must
        neither ring nor answer."""
        if response.status < 200:
            if transaction.key not in self._dismissed:
                self._dismissed.add(transaction.key)
                self._send_cancel(transaction, "another server was asked", now)
            return
        dialog = Dialog.for_client(transaction.request, response, transaction.flow, self._context.listeners)
        flow = dialog.next_flow()
        ack = dialog.request("ACK", self._context.via(flow), cseq=transaction.request.cseq.number)
        self._context.send(ack, flow)
        if response.to.tag not in self._dismissed:
            self._dismissed.add(response.to.tag)
            self._dismiss(dialog, now)

    def _on_response(self, response: Response | None, now: Nanos) -> None:
        if response is None:
            self._tell_ended("network", 408, "no answer to INVITE")
            self._context.forget(self)
        elif response.status < 200:
            self._on_provisional(response, now)
        elif response.status < 300:
            self._on_success(response, now)
        elif self._is_worth_another_try(response):
            self._try_again(now)
        else:
            self._tell_ended("remote", response.status, refusal_text(response))
            self._context.forget(self)

    def _is_worth_another_try(self, response: Response) -> bool:
        """A challenge that we have credentials for, or an interval that is too small (RFC 4028 7.3), while the call is
        still wanted."""
        if self._farewell is not None or self._tries >= MAX_TRIES:
            return False
        if response.status == 422 and (asked := least(response)) > self._least:
            self._least = asked
            return True
        return self._login is not None and self._login.learn(response, self._invite)

    def _expiry(self, least: int) -> list[Header]:
        options = self._context.options
        interval = None if options.session_expires is None else options.session_expires // SECOND
        refresher: Role = "uac" if options.session_refresher == "us" else "uas"
        return request_headers(interval, refresher, least)

    def _on_provisional(self, response: Response, now: Nanos) -> None:
        self._provisional = True
        if is_reliable(response) and not self._acknowledge_provisional(response, now):
            return  # it came again, or one before it is missing
        if self._farewell is not None:
            self._cancel(now)
        elif response.status > 100:
            self._context.events.append(Ringing(self.handle, response.status, response.sdp))

    def _acknowledge_provisional(self, response: Response, now: Nanos) -> bool:
        """PRACK (RFC 3262 4). Our INVITE has made the offer, so there is none to answer."""
        dialog = self._early.take(self._invite, response, self._flow)
        if dialog is None:
            return False
        rack = f"{sequence(response)} {response.cseq.number} INVITE"

        def build() -> tuple[Request, Flow]:
            flow = dialog.next_flow()
            return dialog.request("PRACK", self._context.via(flow), headers=[("RAck", rack)]), flow

        login = self._login_for(dialog.next_flow())
        exchange(self._context, build, lambda response, now: None, now, login, in_dialog=True)
        return True

    def _on_success(self, response: Response, now: Nanos) -> None:
        """Every 200 is acknowledged, each time it comes; of several dialogs (forking) the first one wins (13.2.2.4)."""
        tag = response.to.tag
        dialog = Dialog.for_client(self._invite, response, self._flow, self._context.listeners)
        self._early.continue_in(dialog)
        known = self._acks.get(tag)
        if known is not None:
            self._context.outbox.append(known)
            return
        if len(self._acks) >= 16:
            return  # nobody forks one call to more phones than this; a limit against a hostile peer
        flow = dialog.next_flow()
        ack = dialog.request(
            "ACK", self._context.via(flow), headers=self._credentials(flow), cseq=self._invite.cseq.number
        )
        self._acks[tag] = self._context.send(ack, flow)
        if self.dialog is not None:
            self._dismiss(dialog, now)
            return
        self.dialog, self.wake, self.phase = dialog, None, Phase.ESTABLISHED
        self._learn_peer(response)
        if self._farewell is not None:
            self._leave(now, self._farewell)  # CANCEL and 200 have crossed
        else:
            self.refresh.start(agree_as_client(response), "uac", now)
            self._context.events.append(Answered(self.handle, response.sdp))

    def _credentials(self, flow: Flow) -> list[Header]:
        """The ACK carries the credentials of its INVITE (13.2.2.4), but only to whom they were meant for."""
        if flow != self._flow:
            return []
        return [header for header in self._invite.headers if header[0] in ("Authorization", "Proxy-Authorization")]

    def _login_for(self, flow: Flow) -> Login | None:
        return self._login if flow == self._flow else None

    def _dismiss(self, dialog: Dialog, now: Nanos) -> None:
        flow = dialog.next_flow()
        request = dialog.request("BYE", self._context.via(flow), headers=reason_header("answered elsewhere", 26))
        self._context.layer.open_client(request, flow, lambda response, now: None, now)
