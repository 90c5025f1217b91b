"""Registration as client (RFC 3261 10.2, RFC 3327, RFC 3608): telling a registrar where calls may be sent, and again
before it forgets.

    registering ──2xx──▶ registered ──before expiry──▶ registering
         └──anything else, or silence──▶ waiting ──▶ registering
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from gateway.errors import SipError
from gateway.sip.auth import Credentials, Login
from gateway.sip.context import Context
from gateway.sip.events import Registered, RegistrationFailed
from gateway.sip.exchange import exchange
from gateway.sip.failover import seconds
from gateway.sip.flow import Flow
from gateway.sip.keepalive import KeepAlive
from gateway.sip.message import Header, Request, Response
from gateway.sip.options import RegistrationOptions
from gateway.sip.responses import ALLOW
from gateway.sip.uri import parse_uri
from gateway.sip.values import parse_address, plain
from gateway.units import SECOND, Nanos

__all__ = ["Registration"]

_HOPELESS: Final = frozenset((401, 403, 404, 407, 405, 501))
"""Nothing changes until somebody mends the account: asking often looks like an attack, and gets us banned."""
_LONGEST_WAIT_S: Final = 24 * 3600
_MAX_ROUTES: Final = 16


class Registration:
    """One binding at one registrar. A sleeper of the endpoint's."""

    def __init__(self, context: Context, handle: int, options: RegistrationOptions, flows: Sequence[Flow]) -> None:
        self.handle = handle
        self.wake: Nanos | None = None
        self.over = False
        self._context = context
        self._options = options
        self.routes: tuple[str, ...] = ()
        """Service-Route of the last answer: what our requests pass through (RFC 3608)."""
        self._keep_alive = KeepAlive(context)
        self._outbound = options.instance is not None
        self._agreed = False  # the registrar sends calls back by our flow
        self._flow = flows[0]
        self._flows = flows
        self._call_id = f"{context.token()}@{context.host(self._flow)}"
        self._tag = context.token()
        self._cseq = 0
        self._expires_s = options.expires // SECOND
        self._bound_until: Nanos | None = None
        self._failures = 0
        self._raised = False
        self._leaving = False
        password = options.password.get_secret_value() if options.password else None
        account = Credentials(options.auth_user or options.user, password or "", options.realm)
        self._login = Login(account, context.token) if password is not None else None

    @property
    def bound(self) -> bool:
        """Whether the last answer was a success."""
        return self._bound_until is not None and not self._failures

    @property
    def options(self) -> RegistrationOptions:
        return self._options

    @property
    def flows(self) -> list[Flow]:
        """For calls of this account: the server that has us first; if it agreed on outbound, their dialogs stay on its
        flow."""
        first = replace(self._flow, ours=replace(self._flow.ours, outbound=True)) if self._agreed else self._flow
        return [first, *(flow for flow in self._flows if flow != self._flow)]

    # -- verbs ---------------------------------------------------------------------------------------------------------

    def start(self, now: Nanos) -> None:
        self._send(self._expires_s, now)

    def leave(self, now: Nanos) -> None:
        """Takes the binding away, if there is one (RFC 3261 10.2.2)."""
        if self._leaving:
            return
        self._leaving, self.wake = True, None
        self._keep_alive.stop()
        if self._bound_until is None or now >= self._bound_until:
            self.over = True
        else:
            self._send(0, now)

    def relocate(self, flows: Sequence[Flow]) -> None:
        """The registrar's servers as DNS has them now. One that has us stays the first while it is among them."""
        self._flows = flows

    def lost(self, flow: Flow, now: Nanos) -> None:
        """The connection that registered is gone: calls cannot come by it any more (RFC 5626 4.5)."""
        way = flow.transport, flow.local, flow.remote
        if self._leaving or (self._flow.transport, self._flow.local, self._flow.remote) != way:
            return
        again = Nanos(now + self._back_off_s() * SECOND)
        if self._bound_until is not None and self.wake is not None and again < self.wake:
            self._sleep_until(again)

    def handle_timer(self, now: Nanos) -> None:
        if self.wake is not None and now >= self.wake:
            self.wake = None
            self._send(self._expires_s, now)

    # -- the request ---------------------------------------------------------------------------------------------------

    def _send(self, expires_s: int, now: Nanos) -> None:
        """Same Call-ID and From tag each time, CSeq + 1 (RFC 3261 10.2)."""
        leaving = self._leaving

        def told(response: Response | None, now: Nanos) -> None:
            if response is not None and response.status < 200:
                return
            if self._leaving:
                self.over = self.over or leaving  # else an answer to what was sent before the farewell
            elif response is not None and response.status < 300:
                self._on_success(response, now)
            else:
                self._on_failure(response, now)

        def asked(flow: Flow) -> None:
            self._flow = flow

        if self._flow not in self._flows:
            self._flow = self._flows[0]
        others = [flow for flow in self._flows if flow != self._flow]
        build = lambda: (self._build(expires_s), self._flow)  # noqa: E731
        exchange(self._context, build, told, now, self._login, others=others, on_server=asked)

    def _build(self, expires_s: int) -> Request:
        context, options = self._context, self._options
        registrar = parse_uri(options.registrar)
        port = f":{registrar.port}" if registrar.port else ""
        identity = f"<{registrar.scheme}:{options.user}@{registrar.host}{port}>"
        self._cseq += 1
        headers: list[Header] = [
            ("Via", context.via(self._flow)), ("Max-Forwards", "70"), ("From", f"{identity};tag={self._tag}"),
            ("To", identity), ("Call-ID", self._call_id), ("CSeq", f"{self._cseq} REGISTER"),
            self._contact(), ("Expires", str(expires_s)),
            ("Supported", "path, outbound" if self._outbound else "path"), ALLOW,
        ]  # fmt: skip
        if context.options.user_agent:
            headers.append(("User-Agent", context.options.user_agent))
        return Request("REGISTER", f"{registrar.scheme}:{registrar.host}{port}{registrar.parameters}", headers)

    def _contact(self) -> Header:
        """With our instance and the number of the flow, a registrar that knows RFC 5626 sends calls back by it."""
        name, value = self._context.contact(self._flow, self._options.user)
        return name, value + (
            f';reg-id=1;+sip.instance="<urn:uuid:{self._options.instance}>"' if self._outbound else ""
        )

    # -- the answer ----------------------------------------------------------------------------------------------------

    def _on_success(self, response: Response, now: Nanos) -> None:
        granted = self._granted(response)
        if granted <= 0:
            self._fail(200, "the registrar did not keep our contact", self._back_off_s(), now)
            return
        self._failures, self._raised = 0, False
        self._bound_until = Nanos(now + granted * SECOND)
        # Room for a lost request and its successor (64*T1 each) where the interval allows it.
        ahead = min(granted // 2, max(70, granted // 10))
        self._sleep_until(Nanos(now + max(1, granted - ahead) * SECOND))
        self.routes = _readable(response.all("Service-Route")[:_MAX_ROUTES])
        asked_s = seconds(response.get("Flow-Timer"))
        self._keep_alive.start(self._flow, Nanos(asked_s * SECOND) if asked_s else self._options.keep_alive, now)
        self._agreed = self._outbound and "outbound" in response.options("Require")
        self._context.events.append(Registered(self.handle, granted, self.routes))

    def _granted(self, response: Response) -> int:
        """Seconds: of our contact among those that the registrar lists (RFC 3261 10.2.4), else Expires, else what we
        asked for."""
        ours = self._context.contact(self._flow, self._options.user)[1].strip("<>")
        listed = response.all("Contact")
        for text in listed:
            try:
                contact = parse_address(text)
            except SipError:
                continue
            if contact.uri_text == ours or len(listed) == 1:
                granted = seconds(contact.parameters.get("expires"))
                return self._general(response) if granted is None else granted
        return 0 if listed else self._general(response)

    def _general(self, response: Response) -> int:
        granted = seconds(response.get("Expires"))
        return self._expires_s if granted is None else granted

    def _on_failure(self, response: Response | None, now: Nanos) -> None:
        if response is None:
            self._fail(None, "no answer", self._back_off_s(), now)
            return
        if response.status == 439 and self._outbound:
            self._outbound = False  # the first hop does not know it (RFC 5626 4.2.1): without, then
            self._send(self._expires_s, now)
            return
        least = seconds(response.get("Min-Expires"))
        if response.status == 423 and least is not None and least > self._expires_s and not self._raised:
            self._expires_s, self._raised = least, True
            self._send(least, now)  # at once (RFC 3261 10.2.8), and once
            return
        asked = seconds(response.get("Retry-After"))
        pause = self._options.retry_max // SECOND if response.status in _HOPELESS else self._back_off_s()
        pause = max(pause, min(asked, _LONGEST_WAIT_S)) if asked is not None else pause
        self._fail(response.status, plain(response.reason), pause, now)

    def _back_off_s(self) -> int:
        """Doubling from ``retry`` to ``retry_max``, 50 to 100 % of it at random (RFC 5626 4.5): after an outage, not
        all of a registrar's clients must come back at once."""
        upper_ns = min(self._options.retry_max, self._options.retry << min(self._failures, 20))
        upper_s = max(2, upper_ns // SECOND)
        return upper_s // 2 + self._context.random_below(upper_s - upper_s // 2 + 1)

    def _fail(self, status: int | None, reason: str, pause_s: int, now: Nanos) -> None:
        self._failures += 1
        self._sleep_until(Nanos(now + pause_s * SECOND))
        bound = self._bound_until is not None and now < self._bound_until
        self._context.events.append(RegistrationFailed(self.handle, status, reason, pause_s, bound))

    def _sleep_until(self, when: Nanos) -> None:
        self.wake = when
        self._context.wakeups.arm(self)


def _readable(routes: Sequence[str]) -> tuple[str, ...]:
    """The route, or none if part of it cannot be read: half of a way leads nowhere."""
    try:
        for route in routes:
            parse_address(route).uri  # noqa: B018  parsed here, so that no call fails for it
    except SipError:
        return ()
    return tuple(routes)
