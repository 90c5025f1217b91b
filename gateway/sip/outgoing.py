"""A call that we place, until it is answered (RFC 3261 13.2, 9.1)."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.sip.auth import Login
from gateway.sip.context import Context
from gateway.sip.dialog import Dialog
from gateway.sip.events import Answered, Ringing
from gateway.sip.exchange import MAX_TRIES, exchange
from gateway.sip.flow import Datagram, Flow
from gateway.sip.message import Header, Request, Response
from gateway.sip.reasons import reason_header, refusal_text
from gateway.sip.reliable import EarlyDialogs, is_reliable, sequence
from gateway.sip.responses import ACCEPT, ALLOW
from gateway.sip.session import Phase, Session
from gateway.sip.session_timer import LEAST, Role, agree_as_client, least, request_headers
from gateway.units import SECOND, Nanos

__all__ = ["OutgoingCall"]


class OutgoingCall(Session):
    """We are the calling side. A 200 for a call that we have given up is acknowledged, then followed by BYE."""

    def __init__(
        self,
        context: Context,
        target: str,
        flow: Flow,
        caller: str,
        *,
        sdp: bytes,
        headers: Iterable[Header],
        now: Nanos,
        login: Login | None = None,
    ) -> None:
        host = context.host(flow.local)
        super().__init__(context, context.new_handle(), (f"{context.token()}@{host}", context.token()), caller)
        self._target = target
        self._flow = flow
        self._login = login
        self._tries = 1
        self._least = LEAST
        self._early = EarlyDialogs(context.listeners)
        self._ours = sdp
        self.owns_call_id = True
        self._provisional = False
        self._cancelled = False
        self._acks: dict[str, Datagram] = {}  # To tag -> ACK, for a 200 that comes again
        context.add(self)

        self._invite = self._build(sdp, headers)
        self._transaction = context.layer.open_client(self._invite, flow, self._on_response, now)
        self._sleep_until(Nanos(now + context.options.ring_limit))

    def _build(self, sdp: bytes, headers: Iterable[Header]) -> Request:
        context, flow = self._context, self._flow
        at = "@" if self._user else ""
        identity = f"<sip:{self._user}{at}{context.host(flow.local)}>;tag={self.key[1]}"
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
        self._provisional = False
        renewed = {"Via": self._context.via(self._flow), "CSeq": f"{self._tries} INVITE"}
        headers = [
            (name, renewed.get(name, value))
            for name, value in self._invite.headers
            if name not in ("Authorization", "Proxy-Authorization", "Session-Expires", "Min-SE")
        ]
        headers += self._expiry(self._least)
        request = Request("INVITE", self._invite.uri, headers, self._invite.body)
        self._invite = self._login.sign(request) if self._login else request
        self._transaction = self._context.layer.open_client(self._invite, self._flow, self._on_response, now)

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
            self._context.layer.destroy(self._transaction)
            self._context.forget(self)
        else:
            self._give_up(now, "not answered in time")
            self._tell_ended("local", 408, "not answered in time")

    def _give_up(self, now: Nanos, reason: str) -> None:
        self._farewell = reason
        self._sleep_until(Nanos(now + self._context.timers.give_up))
        if self._provisional:
            self._cancel(now)

    def _cancel(self, now: Nanos) -> None:
        """Only after a provisional response (RFC 3261 9.1): same Via, Request-URI, To, From, Call-ID, CSeq number."""
        if self._cancelled:
            return
        self._cancelled = True
        transaction = self._transaction
        invite = transaction.request  # as it was sent: perhaps by another transport than was meant
        headers = [header for header in invite.headers if header[0] in ("Via", "Max-Forwards", "Route", "From", "To")]
        headers += [("Call-ID", invite.call_id), ("CSeq", f"{invite.cseq.number} CANCEL")]
        request = Request("CANCEL", invite.uri, headers + reason_header(self._farewell or ""))
        self._context.layer.open_client(request, transaction.flow, lambda response, now: None, now)

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
