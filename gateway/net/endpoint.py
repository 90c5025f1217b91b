"""A running SIP endpoint: its transports, its clock, its verbs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from gateway.errors import RemoteError, SipError
from gateway.net.defence import Ban, Defence
from gateway.net.driver import Driver, monotonic
from gateway.net.options import SignallingOptions
from gateway.net.resolver import Resolver, shared_resolver
from gateway.net.transport import Listen, Transport, transport_spec
from gateway.randomness import RandomPool
from gateway.sip.auth import Credentials
from gateway.sip.bodies import Body
from gateway.sip.endpoint import Endpoint
from gateway.sip.events import Event, Invited, Redirected, Refused
from gateway.sip.flow import SECURE, Address, Datagram, Flow, Hop, Listener, Remote, flow_to
from gateway.sip.options import RegistrationOptions
from gateway.sip.reception import Admit
from gateway.units import Nanos

__all__ = ["EndpointDriver", "open_endpoint"]


_RESPONSE: Final = b"SIP/2.0 "
_CHALLENGE: Final = b"SIP/2.0 401 "


class _Switchyard:
    """Stands between the transports and the driver while both are being made: each wants the other. The loop does not
    read from a socket before both are there."""

    def __init__(self, defence: Defence, waited: Callable[[Address, Nanos | None], None]) -> None:
        self.defence = defence
        self._waited = waited
        self.banned = defence.banned
        self.transports: dict[Listener, Transport] = {}
        self.driver: EndpointDriver | None = None

    def received(self, data: bytes, flow: Flow, fault: SipError | None = None) -> None:
        if self.driver is not None:
            self.driver.received(data, flow, fault)

    def waited(self, delay: Nanos | None, local: Address) -> None:
        self._waited(local, delay)

    def undelivered(self, datagram: Datagram, why: str) -> None:
        if self.driver is not None:
            self.driver.undelivered(datagram, why)

    def unreachable(self, flow: Flow, why: str) -> None:
        if self.driver is not None:
            self.driver.unreachable(flow, why)

    def lost(self, flow: Flow) -> None:
        if self.driver is not None:
            self.driver.lost(flow)

    def turned_away(self, flow: Flow, rule: str) -> None:
        if self.driver is not None:
            self.driver.turned_away(flow, rule)


class EndpointDriver:
    """A running endpoint. The verbs are those of ``Endpoint`` without ``now``; call them on the event loop."""

    def __init__(
        self, endpoint: Endpoint, switchyard: _Switchyard, on_event: Callable[[Event], None], resolver: Resolver
    ) -> None:
        self._endpoint = endpoint
        self._resolver = resolver
        self._transports = switchyard.transports
        self._driver = Driver(endpoint, self._send, self._watch)
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._defence = switchyard.defence
        self._sweep: asyncio.TimerHandle | None = None
        self._asking: tuple[str, int] | None = None  # the stranger whose datagram is being answered, and its size
        self._idle: asyncio.Event | None = None
        self._searches: set[asyncio.Task[None]] = set()
        self.on_message: Callable[[bytes, Flow, bool], None] | None = None
        """Sees each message as it is received or sent (outbound), before anything is made of it."""
        switchyard.driver = self

    def _send(self, datagram: Datagram) -> None:
        flow = datagram.flow
        if not datagram.data.startswith(_RESPONSE):
            self._defence.trust(flow.remote[0], monotonic())
        elif self._asking is not None and not flow.reliable and not self._may_answer(datagram):
            return
        if self.on_message is not None:
            self.on_message(datagram.data, flow, True)
        self._transports[flow.transport, flow.local].send(datagram)

    def _may_answer(self, datagram: Datagram) -> bool:
        """UDP proves no source: a stranger gets one answer, and none larger than what it sent, so that nobody is hit
        through us. The challenge to log in is excepted, or nobody could (RFC 3261 26.3.2.4, RFC 4732 3.1)."""
        if self._asking is None or self._asking[0] != datagram.flow.remote[0]:
            return True
        host, room = self._asking
        self._asking = host, 0
        return len(datagram.data) <= room or (room > 0 and datagram.data.startswith(_CHALLENGE))

    def _watch(self, event: Event) -> None:
        """What the endpoint tells is also material for the defence."""
        if isinstance(event, Refused):
            self._defence.strike(event.flow.remote[0], event.rule, monotonic())
        elif isinstance(event, Invited):
            self._asking = None
            self._defence.trust(event.flow.remote[0], monotonic())
        elif isinstance(event, Redirected) and event.named:
            search = self._loop.create_task(self._find_redirected(event), name=f"locate {event.target}")
            self._searches.add(search)
            search.add_done_callback(self._searches.discard)
        self._on_event(event)

    async def _find_redirected(self, event: Redirected) -> None:
        """Where a redirect leads that names a host (RFC 3263), by the transport of the call if nothing else is said."""
        secure = event.transport in SECURE
        names = dict.fromkeys((event.transport, *(name for name, _ in self.listeners)))
        try:
            hops = await self._servers(event.target, [name for name in names if not secure or name in SECURE])
        except RemoteError:
            hops = []
        self._driver.run(self._endpoint.redirect, event.call, event.target, hops)

    def told_of_ban(self, ban: Ban) -> None:
        """One line for the log, through the same throttle as every refusal; the ban ends by itself."""
        self._on_event(Refused(Flow("", ("", 0), (ban.host, 0)), None, f"banned: {ban.why}"))
        if self._sweep is None:
            self._sweep = self._loop.call_later(1, self._end_bans)

    def _end_bans(self) -> None:
        self._defence.sweep(monotonic())
        self._sweep = self._loop.call_later(1, self._end_bans) if self._defence.banned else None

    @property
    def bans(self) -> list[Ban]:
        """Who is banned now, the oldest first."""
        self._defence.sweep(monotonic())
        return list(self._defence.banned.values())

    @property
    def ban_counts(self) -> Mapping[str, int]:
        """Bans so far, by their cause."""
        return dict(self._defence.counts)

    # -- Receiver ------------------------------------------------------------------------------------------------------

    def received(self, data: bytes, flow: Flow, fault: SipError | None = None) -> None:
        now, host = monotonic(), flow.remote[0]
        if not self._defence.admits(host, data, now):
            return
        if self.on_message is not None:
            self.on_message(data, flow, False)
        if not flow.reliable and self._defence.is_stranger(host, now):
            self._asking = host, len(data)
        try:
            if fault is None:
                self._driver.run(self._endpoint.receive, data, flow)
            else:
                self._driver.run(lambda now: self._endpoint.receive(data, flow, now, fault))
        finally:
            self._asking = None
        if self._idle is not None and self._endpoint.settled:
            self._idle.set()

    def undelivered(self, datagram: Datagram, why: str) -> None:
        self._driver.run(self._endpoint.undelivered, datagram, why)

    def unreachable(self, flow: Flow, why: str) -> None:
        self._driver.run(self._endpoint.unreachable, flow, why)

    def lost(self, flow: Flow) -> None:
        self._driver.run(self._endpoint.lost, flow)

    def turned_away(self, flow: Flow, rule: str) -> None:
        self._defence.strike(flow.remote[0], rule, monotonic())
        self._on_event(Refused(flow, None, rule))

    # -- verbs ---------------------------------------------------------------------------------------------------------

    @property
    def local(self) -> Address:
        """Where the first listener is bound; the port is real, also if 0 was asked for."""
        return self.listeners[0][1]

    @property
    def listeners(self) -> list[Listener]:
        """Transport and bound address of each, in the order in which they were asked for."""
        return list(self._transports)

    @property
    def calls(self) -> int:
        return self._endpoint.calls

    def call_id(self, call: int) -> str:
        """Call-ID of a call; ``""`` once it is over."""
        return self._endpoint.call_id(call)

    async def locate(self, target: str) -> list[Hop]:
        """Servers of a SIP URI that our listeners can reach, in the order in which they are to be tried: what the verbs
        take as ``remote``. Answers are kept for their TTL, so ask for each call. Raises ``RemoteError``."""
        return await self._servers(target, list(dict.fromkeys(name for name, _ in self.listeners)))

    async def _servers(self, target: str, transports: Sequence[str]) -> list[Hop]:
        hops = await self._resolver.locate(target, transports, ipv6=any(":" in at[0] for _, at in self.listeners))
        usable = [hop for hop in hops if flow_to(self.listeners, hop.transport, hop.address) is not None]
        if not usable:
            raise RemoteError(
                f"{target!r} is reached by {hops[0].transport}, {hops[0].address[0]}: nothing in sip.listen"
            )
        return usable

    async def address(self, name: str, *, ipv6: bool) -> str:
        """Address of a host that a session description names. Raises ``RemoteError``."""
        return await self._resolver.address(name, ipv6=ipv6)

    def ring(
        self, call: int, status: int = 180, sdp: bytes | None = None, *, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        self._driver.run(lambda now: self._endpoint.ring(call, now, status, sdp, headers=headers))

    def answer(self, call: int, sdp: bytes, *, headers: Iterable[tuple[str, str]] = ()) -> None:
        self._driver.run(lambda now: self._endpoint.answer(call, sdp, now, headers=headers))

    def reject(
        self,
        call: int,
        status: int,
        rule: str,
        reason: str | None = None,
        *,
        warning: int = 399,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        self._driver.run(
            lambda now: self._endpoint.reject(call, status, rule, now, reason, warning=warning, headers=headers)
        )

    def hang_up(
        self,
        call: int,
        reason: str = "",
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: Body | None = None,
        cause: int = 16,
    ) -> None:
        self._driver.run(lambda now: self._endpoint.hang_up(call, now, reason, headers=headers, body=body, cause=cause))

    def reoffer(self, call: int, sdp: bytes) -> None:
        self._driver.run(self._endpoint.reoffer, call, sdp)

    def send_digit(self, call: int, digit: str, duration_ms: int = 160) -> None:
        self._driver.run(lambda now: self._endpoint.send_digit(call, digit, now, duration_ms))

    def refer(
        self,
        call: int,
        target: str,
        *,
        replacing: int | None = None,
        headers: Iterable[tuple[str, str]] = (),
        watch: bool = True,
    ) -> None:
        self._driver.run(
            lambda now: self._endpoint.refer(call, target, now, replacing=replacing, headers=headers, watch=watch)
        )

    def accept_refer(self, call: int) -> None:
        self._driver.run(self._endpoint.accept_refer, call)

    def refuse_refer(self, call: int, status: int, rule: str) -> None:
        self._driver.run(self._endpoint.refuse_refer, call, status, rule)

    def refer_progress(self, call: int, status: int, reason: str = "") -> None:
        self._driver.run(lambda now: self._endpoint.refer_progress(call, status, now, reason))

    def invite(
        self,
        target: str,
        sdp: bytes,
        *,
        caller: str,
        headers: Iterable[tuple[str, str]] = (),
        remote: Remote = None,
        credentials: Credentials | None = None,
        registration: RegistrationOptions | None = None,
        advertise: str = "",
        sender: str = "",
        patience: Nanos | None = None,
    ) -> int:
        """Places a call. A target that names a host needs ``remote``: see ``locate``."""
        return self._driver.run(
            lambda now: self._endpoint.invite(
                target,
                sdp,
                now,
                caller=caller,
                headers=headers,
                remote=remote,
                credentials=credentials,
                registration=registration,
                advertise=advertise,
                sender=sender,
                patience=patience,
            )
        )

    def options_ping(
        self,
        target: str,
        *,
        remote: Remote = None,
        credentials: Credentials | None = None,
        advertise: str = "",
    ) -> None:
        self._driver.run(
            lambda now: self._endpoint.options_ping(
                target, now, remote=remote, credentials=credentials, advertise=advertise
            )
        )

    def register(self, options: RegistrationOptions, *, remote: Remote = None, advertise: str = "") -> int:
        """Keeps a registration until ``close``."""
        return self._driver.run(lambda now: self._endpoint.register(options, now, remote=remote, advertise=advertise))

    def relocate(self, registration: int, remote: Remote) -> None:
        """The registrar's servers, as DNS has them now."""
        self._driver.run(self._endpoint.relocate, registration, remote)

    async def close(self, *, patience: float = 0.5) -> None:
        """Hangs up every call and leaves every registrar, waits ``patience`` seconds at most for the answers, closes
        the sockets."""
        self._driver.run(self._endpoint.close)
        if not self._endpoint.settled:
            self._idle = asyncio.Event()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), patience)
        self._driver.close()
        for search in self._searches:
            search.cancel()
        await asyncio.gather(*self._searches, return_exceptions=True)
        if self._sweep is not None:
            self._sweep.cancel()
        await asyncio.gather(*(transport.close() for transport in self._transports.values()))


async def open_endpoint(
    options: SignallingOptions,
    *,
    listen: Sequence[Listen],
    on_event: Callable[[Event], None],
    admit: Admit = lambda request, flow, now: None,
    resolver: Resolver | None = None,
    known: Callable[[str], bool] = lambda host: True,
    waited: Callable[[Address, Nanos | None], None] = lambda local, delay: None,
) -> EndpointDriver:
    """Binds every address (port 0: any free one) and runs an endpoint on them; what it sends goes by the first of them
    unless the target's ``transport=`` says otherwise. ``known`` says which addresses are a trunk's, the
    default: all. ``waited`` hears how long each message has waited at the socket, and None when none is left (UDP).
    Raises ``ResourceError`` with one line."""

    def told_of_ban(ban: Ban) -> None:
        if switchyard.driver is not None:
            switchyard.driver.told_of_ban(ban)

    switchyard = _Switchyard(Defence(options.defence, known, told_of_ban), waited)
    try:
        for one in listen:
            transport = await transport_spec(one.transport).open(one, options, switchyard)
            switchyard.transports[one.transport, transport.local] = transport
    except BaseException:
        await asyncio.gather(*(transport.close() for transport in switchyard.transports.values()))
        raise
    listeners = list(switchyard.transports)
    # Tags and branches are guessed by attackers.
    endpoint = Endpoint(options, RandomPool(), listeners[0][1], listeners, admit=admit)
    return EndpointDriver(endpoint, switchyard, on_event, resolver or shared_resolver())
