"""A call that we place, until it is answered (RFC 3261 13.2, 9.1)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace

from gateway.sip.auth import Login
from gateway.sip.bodies import Body, sdp_body
from gateway.sip.context import Context
from gateway.sip.dialog import Dialog, next_hop
from gateway.sip.events import Answered, Redirected, Ringing
from gateway.sip.exchange import MAX_TRIES, exchange
from gateway.sip.failover import Attempts
from gateway.sip.flow import SECURE, Datagram, Flow, Hop, flow_to
from gateway.sip.invite import new_invite, renewed_invite
from gateway.sip.message import Header, Request, Response
from gateway.sip.reasons import reason_header, refusal_text
from gateway.sip.redirect import Redirects
from gateway.sip.reliable import EarlyDialogs, is_reliable, sequence
from gateway.sip.session import Phase, Session
from gateway.sip.session_timer import LEAST, agree_as_client, least
from gateway.sip.transaction.invite_client import InviteClient
from gateway.sip.transaction.layer import ClientTransaction
from gateway.sip.uri import parse_uri
from gateway.units import Nanos

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
        host = context.host(flows[0])
        super().__init__(context, context.new_handle(), (f"{context.token()}@{host}", context.token()), caller)
        self._target = target
        self._login = login
        self._patience = patience
        self._tries = 1
        self._redirects = Redirects(target, context.options.redirects, context.options.redirect_to)
        self._redirected = False
        self._locating: str | None = None  # a target whose servers somebody is looking for
        self._failure: Response | None = None  # what is told if they are not found
        self._least = LEAST
        self._early = EarlyDialogs(context.listeners)
        self._ours = sdp
        self.owns_call_id = True
        self._cancelled = False
        self._acks: dict[str, Datagram] = {}  # To tag -> ACK, for a 200 that comes again
        self._dismissed: set[Hashable] = set()  # branches and To tags of servers that answered too late
        context.add(self)

        invite = new_invite(
            context,
            flows[0],
            target,
            caller,
            sdp=sdp,
            headers=headers,
            call_id=self.key[0],
            tag=self.key[1],
            sender=sender,
        )
        self._asked = invite, flows[0]
        self._attempts: Attempts | None = Attempts(
            context, invite, flows, self._on_response, now, late=self._on_late, patience=patience
        )
        self._sleep_until(Nanos(now + context.options.ring_limit))

    @property
    def _flow(self) -> Flow:
        """To the server that is being asked, or that has answered."""
        return self._attempts.flow if self._attempts is not None else self._asked[1]

    @property
    def host(self) -> str:
        return self._context.host(self._flow)

    @property
    def _invite(self) -> Request:
        """As it was sent last."""
        return self._attempts.request if self._attempts is not None else self._asked[0]

    def _conclude(self) -> None:
        """The INVITE is answered for good: what was asked of whom is all that still counts. Who did the asking knows
        this call, which must not keep it in turn."""
        self._asked, self._attempts = (self._invite, self._flow), None

    def _try_again(self, now: Nanos) -> None:
        request = self._renewed(self._invite.uri)
        if self._attempts is not None:
            self._attempts.again(self._login.sign(request) if self._login else request, now)

    def _renewed(self, uri: str) -> Request:
        self._tries += 1
        return renewed_invite(self._context, self._invite, self._flow, uri, number=self._tries, least=self._least)

    def hang_up(
        self, now: Nanos, reason: str, headers: Iterable[Header] = (), body: Body | None = None, cause: int = 16
    ) -> None:
        if self.phase is not Phase.EARLY:
            super().hang_up(now, reason, headers, body, cause)
        elif self._farewell is None:
            self._last_words = body
            self._give_up(now, [*reason_header(reason, cause), *headers])
            self._tell_ended("local", None, reason)

    def handle_timer(self, now: Nanos) -> None:
        if self._unacknowledged is not None:
            super().handle_timer(now)
        elif self.wake is None or now < self.wake:
            return
        elif self._farewell is not None:
            # CANCEL was answered, perhaps, but the INVITE never was (RFC 3261 9.1).
            if self._attempts is not None:
                self._attempts.destroy()
            self._forget()
        else:
            self._give_up(now, reason_header("not answered in time", 102))
            self._tell_ended("local", 408, "not answered in time")

    def _give_up(self, now: Nanos, farewell: list[Header]) -> None:
        """CANCEL carries the same headers as a BYE would."""
        if self._locating is not None:  # nobody is being asked
            self._locating = None
            self._stop(now)
            self._forget()
            return
        self._farewell = farewell
        self._stop(now)
        self._sleep_until(Nanos(now + self._context.timers.give_up))
        if self._attempts is not None:
            self._attempts.stop()
            if self._attempts.provisional:
                self._cancel(now)

    def _cancel(self, now: Nanos) -> None:
        """Only after a provisional response (RFC 3261 9.1)."""
        transaction = self._attempts.transaction if self._attempts is not None else None
        if not self._cancelled and transaction is not None:
            self._cancelled = True
            self._send_cancel(transaction, self._farewell or [], now)

    def _send_cancel(self, transaction: ClientTransaction, farewell: list[Header], now: Nanos) -> None:
        """Same Via, Request-URI, To, From, Call-ID, CSeq number (RFC 3261 9.1)."""
        invite = transaction.request  # as it was sent: perhaps by another transport than was meant
        headers = [header for header in invite.headers if header[0] in ("Via", "Max-Forwards", "Route", "From", "To")]
        headers += [("Call-ID", invite.call_id), ("CSeq", f"{invite.cseq.number} CANCEL")]
        request = Request("CANCEL", invite.uri, headers + farewell)
        self._context.layer.open_client(request, transaction.flow, lambda response, now: None, now)

    def _on_late(self, transaction: InviteClient, response: Response, now: Nanos) -> None:
        """A server that was silent for too long wakes up, while the next one is being asked or has answered: it must
        neither ring nor answer."""
        if response.status < 200:
            if transaction.key not in self._dismissed:
                self._dismissed.add(transaction.key)
                self._send_cancel(transaction, reason_header("another server was asked"), now)
            return
        dialog = Dialog.for_client(transaction.request, response, transaction.flow, self._context.listeners)
        flow = dialog.next_flow()
        ack = dialog.request("ACK", self._context.via(flow), cseq=transaction.request.cseq.number)
        self._context.send(ack, flow)
        if response.to.tag not in self._dismissed:
            self._dismissed.add(response.to.tag)
            self._dismiss(dialog, now)

    def _on_response(self, response: Response | None, now: Nanos) -> None:
        if response is not None and response.status < 200:
            self._on_provisional(response, now)
        elif response is not None and response.status < 300:
            self._on_success(response, now)
        elif response is not None and self._is_worth_another_try(response):
            self._try_again(now)
        elif not self._goes_elsewhere(response, now):
            self._fail(response, now)

    def _fail(self, response: Response | None, now: Nanos) -> None:
        if response is None:
            self._tell_ended("network", 408, "no answer to INVITE")
        else:
            self._tell_ended("remote", response.status, refusal_text(response), response)
        self._stop(now)
        self._forget()

    # -- redirects (RFC 3261 8.1.3.4) ----------------------------------------------------------------------------------

    def _goes_elsewhere(self, response: Response | None, now: Nanos) -> bool:
        """After a redirect, or a failure of where the last one has led, if there is another target."""
        if self._farewell is not None or (response is not None and response.status >= 600):
            return False
        if response is not None and response.status < 400:
            self._redirects.learn(response, self._flow)
        elif not self._redirected:
            return False
        self._failure = response
        return self._follow(now)

    def _follow(self, now: Nanos) -> bool:
        """To the next target: an address at once, a name as soon as somebody has found its servers."""
        while (found := self._redirects.next()) is not None:
            target, uri = found
            address = next_hop(uri)
            transport = (uri.parameter("transport") or self._flow.transport).lower()
            safe = transport in SECURE or not self._flow.secure
            flow = flow_to(self._context.listeners, transport, address) if address is not None and safe else None
            if address is None:
                self._locating = target
            elif flow is not None:
                self._turn_to(target, [flow], now)
            else:
                continue  # nothing here speaks so
            named = address is None
            self._context.events.append(Redirected(self.handle, target, self._flow.transport, named=named))
            return True
        return False

    def redirect(self, target: str, hops: Sequence[Hop], now: Nanos) -> None:
        """The servers of a target that is a name; whoever was called over TLS is not left for less."""
        if self._locating != target:
            return  # the call was given up meanwhile
        self._locating = None
        host = parse_uri(target).host
        secure = self._flow.secure
        usable = [hop for hop in hops if not secure or hop.transport in SECURE]
        flows = [flow_to(self._context.listeners, hop.transport, hop.address, host) for hop in usable]
        if found := [flow for flow in flows if flow is not None]:
            self._turn_to(target, found, now)
        elif not self._follow(now):
            self._fail(self._failure, now)

    def _turn_to(self, target: str, flows: list[Flow], now: Nanos) -> None:
        """The same call to another target. Whose password we have is known of the first one alone."""
        self._redirected, self._login = True, None
        self._early = EarlyDialogs(self._context.listeners)
        flows = [replace(flow, ours=self._flow.ours) for flow in flows]
        request = self._context.readdressed(self._renewed(target), self._flow, flows[0])
        self._attempts = Attempts(
            self._context, request, flows, self._on_response, now, late=self._on_late, patience=self._patience
        )

    def _is_worth_another_try(self, response: Response) -> bool:
        """A challenge that we have credentials for, or an interval that is too small (RFC 4028 7.3), while the call is
        still wanted."""
        if self._farewell is not None or self._tries >= MAX_TRIES:
            return False
        if response.status == 422 and (asked := least(response)) > self._least:
            self._least = asked
            return True
        return self._login is not None and self._login.learn(response, self._invite)

    def _on_provisional(self, response: Response, now: Nanos) -> None:
        if is_reliable(response) and not self._acknowledge_provisional(response, now):
            return  # it came again, or one before it is missing
        if self._farewell is not None:
            self._cancel(now)
        elif response.status > 100:
            self._context.events.append(Ringing(self.handle, response.status, response.sdp, response.to.tag))

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
        if response.sdp is not None and self._farewell is None:
            # Our offer is answered for good, so either side may make another (RFC 3311 5.1), in the last one's dialog.
            self.dialog, self._answered_early = dialog, True
            self._learn_peer(response)
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
        if self._owed is not None and self.dialog is not None and self.dialog.remote_tag == tag:
            return  # it comes again while the user still thinks about its offer
        if len(self._acks) >= 16:
            return  # nobody forks one call to more phones than this; a limit against a hostile peer
        if self.phase is not Phase.EARLY:
            self._acknowledge_invite(dialog, b"", now)
            self._dismiss(dialog, now)
            return
        early, self.dialog, self.wake, self.phase = self.dialog, dialog, None, Phase.ESTABLISHED
        self._conclude()
        self._learn_peer(response)
        if early is not None and early.remote_tag != tag:
            self.offers.abandon(now)  # it went to another phone
        if response.sdp is not None and not self._invite.body and self._farewell is None:
            self._owed = lambda sdp, now: self._acknowledge_invite(dialog, sdp, now)
        else:
            self._acknowledge_invite(dialog, b"", now)
        if self._farewell is not None:
            self.leave(now)  # CANCEL and 200 have crossed
        else:
            self.refresh.start(agree_as_client(response), "uac", now)
            self._context.events.append(Answered(self.handle, response.sdp, tag))
            self.offers.resume(now)

    def _acknowledge_invite(self, dialog: Dialog, sdp: bytes, now: Nanos) -> None:
        """``sdp`` answers an offer that the 200 has made."""
        flow, body = dialog.next_flow(), sdp_body(sdp)
        ack = dialog.request(
            "ACK",
            self._context.via(flow),
            headers=[*self._credentials(flow), *(body.headers() if body else ())],
            body=sdp,
            cseq=self._invite.cseq.number,
        )
        self._acks[dialog.remote_tag] = self._context.send(ack, flow)
        self._ours = sdp or self._ours

    def _credentials(self, flow: Flow) -> list[Header]:
        """The ACK carries the credentials of its INVITE (13.2.2.4), but only to whom they were meant for."""
        if flow != self._flow:
            return []
        return [header for header in self._invite.headers if header[0] in ("Authorization", "Proxy-Authorization")]

    def _login_for(self, flow: Flow) -> Login | None:
        return self._login if flow == self._flow else None

    def _forget(self) -> None:
        self._conclude()
        super()._forget()

    def _dismiss(self, dialog: Dialog, now: Nanos) -> None:
        flow = dialog.next_flow()
        request = dialog.request("BYE", self._context.via(flow), headers=reason_header("answered elsewhere", 26))
        self._context.layer.open_client(request, flow, lambda response, now: None, now)
