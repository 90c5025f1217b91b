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

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import count
from typing import Final

from gateway.errors import MisuseError, ResourceError, SipError
from gateway.sip.auth import Credentials, Login
from gateway.sip.context import Context, Randomness
from gateway.sip.dialog import is_numeric, next_hop
from gateway.sip.events import Event, Pinged
from gateway.sip.exchange import exchange
from gateway.sip.flow import SECURE, Address, Datagram, Flow, Listener, OurSide, Remote, flow_to
from gateway.sip.incoming import IncomingCall
from gateway.sip.lines import checked
from gateway.sip.message import Header, Request, Response
from gateway.sip.options import EndpointOptions, RegistrationOptions
from gateway.sip.outgoing import OutgoingCall
from gateway.sip.parser import parse
from gateway.sip.reception import Admit, Reception
from gateway.sip.registration import Registration
from gateway.sip.responses import ACCEPT
from gateway.sip.session import Phase
from gateway.sip.transaction.client import Client
from gateway.sip.transaction.invite_client import InviteClient
from gateway.sip.transaction.invite_server import InviteServer
from gateway.sip.transaction.server import Server
from gateway.sip.uri import parse_uri
from gateway.sip.values import parse_address, plain
from gateway.sip.verbs import CallVerbs
from gateway.units import Nanos

__all__ = ["Endpoint"]

_UNSAFE_USER: Final = re.compile(r"[^A-Za-z0-9_.!~*'()&=+$,;?/%-]")  # RFC 3261 25.1, user


class Endpoint(CallVerbs):
    """Composes transactions, dialogs and calls, both as UAS and as UAC.

    ``local`` is the address of the first listener; Via and Contact carry it unless ``options.advertise`` says
    otherwise. ``listeners`` are all of them, none means UDP on ``local``. ``admit`` may refuse whoever sends a request.
    """

    def __init__(
        self,
        options: EndpointOptions,
        random: Randomness,
        local: Address,
        listeners: Sequence[Listener] = (),
        *,
        admit: Admit = lambda request, flow, now: None,
    ) -> None:
        super().__init__(Context(options, random, local, listeners))
        self._options = options
        self._layer = self._context.layer
        self._reception = Reception(self._context, admit)
        self._registrations: list[Registration] = []

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
    def settled(self) -> bool:
        """After ``close``: whether the peers have answered every farewell."""
        return not self._context.sessions and all(one.over for one in self._registrations)

    @property
    def transactions(self) -> int:
        """Transactions, those included that only absorb retransmissions."""
        return len(self._layer)

    def call_id(self, call: int) -> str:
        """Call-ID of a call, printable; ``""`` once it is over."""
        session = self._context.sessions.get(call)
        return plain(session.key[0]) if session else ""

    # -- inputs --------------------------------------------------------------------------------------------------------

    def handle_timer(self, now: Nanos) -> None:
        for sleeper in self._context.wakeups.due(now):
            if isinstance(sleeper, InviteClient | Client | InviteServer | Server):
                self._layer.handle_timer(sleeper, now)
            else:
                sleeper.handle_timer(now)
                self._context.wakeups.arm(sleeper)

    def receive(self, data: bytes, flow: Flow, now: Nanos, fault: SipError | None = None) -> None:
        """One message from ``flow``. ``fault`` is what the framing of its stream found: a request is refused for it."""
        self._reception.receive(data, flow, now, fault)

    def undelivered(self, datagram: Datagram, why: str, now: Nanos) -> None:
        """The transport could not send this. A request's user is told, a response's finds out by its own timer."""
        try:
            message = parse(datagram.data)
        except SipError:
            return
        if isinstance(message, Request):
            self._layer.undelivered(message, why, now)

    # -- verbs ---------------------------------------------------------------------------------------------------------

    def invite(
        self,
        target: str,
        sdp: bytes,
        now: Nanos,
        *,
        caller: str,
        headers: Iterable[Header] = (),
        remote: Remote = None,
        credentials: Credentials | None = None,
        registration: RegistrationOptions | None = None,
        advertise: str = "",
        sender: str = "",
        patience: Nanos | None = None,
    ) -> int:
        """Places a call; returns its handle. With no ``sdp`` the far end makes the offer, and ``answer`` is owed after
        ``Answered``. ``remote`` is where the INVITE goes if the target's host is a name, or servers to try in order,
        ``credentials`` answer its challenges (RFC 3261 22). With a ``registration`` it takes the way that its registrar
        has told (Service-Route, RFC 3608). ``advertise`` is what Via and Contact say instead of ``options.advertise``,
        ``sender`` is From if it is not ``caller`` at our address, ``patience`` is how long the last server may be
        silent if not 64*T1."""
        flows, routes = self._way(target, remote, registration)
        flows = _told(flows, advertise)
        if self._context.closing or len(self._context.sessions) >= self._options.max_calls:
            raise ResourceError("no more calls: the endpoint is closing, or sip.max_calls is met")
        if _UNSAFE_USER.search(caller):
            raise MisuseError(f"caller {caller!r} does not fit into a URI: escape it")
        headers = [*(("Route", route) for route in routes), *checked(headers)]
        login = self._login(credentials)
        if sender != plain(sender):
            raise MisuseError("sender holds a line break or a control character")
        call = OutgoingCall(
            self._context, target, flows, caller, sdp=sdp, headers=headers, now=now, login=login,
            sender=sender, patience=patience,
        )  # fmt: skip
        return call.handle

    def options_ping(
        self,
        target: str,
        now: Nanos,
        *,
        remote: Remote = None,
        credentials: Credentials | None = None,
        advertise: str = "",
    ) -> None:
        """OPTIONS outside a dialog (RFC 3261 11); ``Pinged`` follows. ``advertise`` as in ``invite``."""
        flow, *others = _told(self._flows_to(target, remote), advertise)
        context = self._context
        identity = f"<sip:{context.host(flow)}>;tag={context.token()}"
        call_id = f"{context.token()}@{context.host(flow)}"
        numbers = count(1)

        def build() -> tuple[Request, Flow]:
            headers: list[Header] = [
                ("Via", context.via(flow)), ("Max-Forwards", "70"), ("From", identity), ("To", f"<{target}>"),
                ("Call-ID", call_id), ("CSeq", f"{next(numbers)} OPTIONS"), context.contact(flow), ACCEPT,
            ]  # fmt: skip
            return Request("OPTIONS", target, headers), flow

        def told(response: Response | None, now: Nanos) -> None:
            if response is None or response.status >= 200:
                context.events.append(Pinged(target, response.status if response else None))

        def asked(server: Flow) -> None:
            nonlocal flow
            flow = server

        exchange(context, build, told, now, self._login(credentials), others=others, on_server=asked)

    def register(self, options: RegistrationOptions, now: Nanos, *, remote: Remote = None, advertise: str = "") -> int:
        """Keeps a registration until ``close``; returns its handle. ``Registered`` and ``RegistrationFailed`` tell of
        it; ``remote`` is the registrar's address if its URI has a name, or its servers in order; ``advertise`` as in
        ``invite``."""
        flows = _told(self._flows_to(options.registrar, remote), advertise)
        registration = Registration(self._context, self._context.new_handle(), options, flows)
        self._registrations.append(registration)
        registration.start(now)
        return registration.handle

    def relocate(self, registration: int, remote: Remote, now: Nanos) -> None:
        """A registrar's servers have changed in DNS: its next refresh knows."""
        for one in self._registrations:
            if one.handle == registration:
                one.relocate(_told(self._flows_to(one.options.registrar, remote), one.flows[0].ours.advertise))

    def _login(self, credentials: Credentials | None) -> Login | None:
        return Login(credentials, self._context.token) if credentials else None

    def close(self, now: Nanos) -> None:
        """Hangs up every call, refuses new ones with 503, and leaves every registrar. The endpoint may go when it is
        ``settled``."""
        self._context.closing = True
        for registration in self._registrations:
            registration.leave(now)
        for session in list(self._context.sessions.values()):
            if isinstance(session, IncomingCall) and session.phase is Phase.EARLY:
                self.reject(session.handle, 503, "shutting down", now)
            session.hang_up(now, "shutting down")

    def lost(self, flow: Flow, now: Nanos) -> None:
        """A connection has ended: whoever registered by it registers again."""
        for registration in self._registrations:
            registration.lost(flow, now)

    def unreachable(self, flow: Flow, why: str, now: Nanos) -> None:
        """The network says that nobody is there (RFC 3261 18.4). What has not been answered yet fails."""
        self._layer.unreachable(flow, why, now)

    def _way(
        self, target: str, remote: Remote, registration: RegistrationOptions | None
    ) -> tuple[list[Flow], tuple[str, ...]]:
        """Flows and routes of a call. The first route says where it goes if it is an address (RFC 3608 6.2); else that
        is the server which has registered us."""
        account = next((one for one in self._registrations if registration and one.options == registration), None)
        if account is None or not account.bound:
            return self._flows_to(target, remote), ()
        flows = account.flows
        if account.routes:
            first = parse_address(account.routes[0]).uri
            if (address := next_hop(first)) is not None:
                transport = (first.parameter("transport") or "").lower() or flows[0].transport
                flow = flow_to(self._context.listeners, transport, address, like=flows[0])
                flows = [flow] if flow is not None else flows
        return flows, account.routes

    def _flows_to(self, target: str, remote: Remote) -> list[Flow]:
        if remote is None or isinstance(remote, tuple):
            return [self._flow_to(target, remote)]
        if not remote:
            raise MisuseError(f"{plain(target)!r}: an empty list of servers reaches nobody")
        return [self._flow_to(target, hop.address, hop.transport) for hop in remote]

    def _flow_to(self, target: str, remote: Address | None, transport: str = "") -> Flow:
        try:
            uri = parse_uri(target)
        except SipError as error:
            raise MisuseError(f"{plain(target)!r} is not a SIP URI: {error.rule}") from None
        address = remote or next_hop(uri)
        if address is None:
            raise MisuseError(f"{plain(target)!r} names a host: resolve it, and give its address as remote")
        listeners = self._context.listeners
        transport = transport or (uri.parameter("transport") or "").lower() or listeners[0][0]
        if uri.scheme == "sips" and transport not in SECURE:
            transport = "tls"  # RFC 5630 3.1.4: also where transport=tcp is written
        host = "" if is_numeric(uri.host.strip("[]")) else uri.host
        flow = flow_to(listeners, transport, address, host)
        if flow is None:  # of the other IP version: the transport will say so
            flow = next((Flow(name, local, address) for name, local in listeners if name == transport), None)
        if flow is None:
            raise ResourceError(f"{plain(target)}: nothing listens with {plain(transport)} here; add it to sip.listen")
        return replace(flow, ours=OurSide(sips=True)) if uri.scheme == "sips" else flow


def _told(flows: list[Flow], advertise: str) -> list[Flow]:
    """The same ways, on which the peer is told of another address of ours."""
    return [replace(flow, ours=replace(flow.ours, advertise=advertise)) for flow in flows] if advertise else flows
