"""What all calls of an endpoint share: identity, randomness, the transaction layer, the lists that are drained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from gateway.sip.events import Event
from gateway.sip.failover import Rests
from gateway.sip.flow import Address, Datagram, Flow, Listener
from gateway.sip.message import Header, Request
from gateway.sip.options import EndpointOptions
from gateway.sip.responses import build_response
from gateway.sip.transaction.layer import ServerTransaction, TransactionLayer
from gateway.sip.transaction.matching import COOKIE
from gateway.sip.transaction.timers import Timers
from gateway.sip.uri import host_port, join_host_port
from gateway.sip.wakeups import Wakeups
from gateway.units import Nanos

if TYPE_CHECKING:
    from gateway.sip.session import Session
    from gateway.sip.usage import Usage

__all__ = ["Context", "Randomness"]


class Randomness(Protocol):
    """What we need of ``random.Random`` or ``random.SystemRandom``."""

    def getrandbits(self, bits: int, /) -> int: ...


class Context:
    """Made once by the endpoint; sessions hold it."""

    def __init__(
        self, options: EndpointOptions, random: Randomness, local: Address, listeners: Sequence[Listener] = ()
    ) -> None:
        self.options = options
        self.timers = Timers(options.t1, options.t2, options.t4)
        self.local = local
        self.listeners: Sequence[Listener] = listeners or [("udp", local)]
        self.outbox: list[Datagram] = []
        self.events: list[Event] = []
        self.wakeups = Wakeups()
        self.rests = Rests(options.failover)
        self.layer = TransactionLayer(
            self.timers,
            self.outbox,
            self.wakeups,
            listeners=self.listeners,
            sent_by=self.reached_at,
            udp_limit=options.udp_limit,
        )
        self.sessions: dict[int, Session] = {}
        self.dialogs: dict[tuple[str, str], Session] = {}  # (Call-ID, our tag)
        self.closing = False
        switched = {"timer": options.session_expires is not None, "100rel": options.reliable_provisional}
        self.extensions = (*(name for name, on in switched.items() if on), "replaces", "norefersub")
        self.supported: Header = ("Supported", ", ".join(self.extensions))
        self._random = random
        self._handles = 0
        self._advertised = self._parse_advertise(options.advertise)
        self._server: list[Header] = [("Server", options.user_agent)] if options.user_agent else []

    @staticmethod
    def _parse_advertise(text: str | None) -> tuple[str, int | None] | None:
        if text is None:
            return None
        return (f"[{text}]", None) if text.count(":") > 1 and "[" not in text else host_port(text)

    def new_handle(self) -> int:
        self._handles += 1
        return self._handles

    def token(self) -> str:
        """64 random bits: twice what RFC 3261 19.3 asks of a tag."""
        return f"{self._random.getrandbits(64):016x}"

    def random_below(self, limit: int) -> int:
        """Even enough for a back-off."""
        return self._random.getrandbits(32) % limit

    def sent_by(self, local: Address) -> str:
        """``host:port`` that others reach us at: the advertised one, else the socket's. A port is advertised for the
        first listener, and for those that share its port; others are reached at their own."""
        if self._advertised is None:
            return join_host_port(local)
        host, port = self._advertised
        return f"{host}:{port if port and local[1] == self.local[1] else local[1]}"

    def reached_at(self, flow: Flow) -> str:
        """``host:port`` that this peer reaches us at."""
        if not flow.ours.advertise:
            return self.sent_by(flow.local)
        host, port = host_port(flow.ours.advertise)
        return f"{host}:{port or flow.local[1]}"

    def host(self, flow: Flow) -> str:
        """The host alone that this peer knows us by, for From, Call-ID and Warning."""
        return self.reached_at(flow).rpartition(":")[0]

    def via(self, flow: Flow) -> str:
        """A Via with a new branch; ``rport`` always (RFC 3581 3)."""
        alias = ";alias" if flow.transport == "tls" else ""  # our server name is proved: RFC 5923 8
        return f"SIP/2.0/{flow.transport.upper()} {self.reached_at(flow)};branch={COOKIE}{self.token()};rport{alias}"

    def contact(self, flow: Flow, user: str = "") -> Header:
        at = "@" if user else ""
        scheme = "sips" if flow.ours.sips else "sip"
        return "Contact", f"<{scheme}:{user}{at}{self._place(flow)}>"

    def _place(self, flow: Flow) -> str:
        """UDP is what a URI without ``transport`` means (RFC 3263 4.1)."""
        transport = "tcp" if flow.ours.sips and flow.transport == "tls" else flow.transport  # RFC 5630 3.1.4
        outbound = ";ob" if flow.ours.outbound else ""
        return self.reached_at(flow) + (f";transport={transport}" if flow.reliable else "") + outbound

    def readdressed(self, request: Request, old: Flow, new: Flow) -> Request:
        """The same request, of ours, for another server: a new branch, where that one reaches us, and no credentials:
        they answer the first one's challenge."""
        was, now = f"{self._place(old)}>", f"{self._place(new)}>"
        headers = [
            (name, value.replace(was, now, 1) if name == "Contact" else value)
            for name, value in request.headers
            if name not in ("Authorization", "Proxy-Authorization")
        ]
        return Request(request.method, request.uri, headers, request.body).with_top_via(self.via(new))

    def respond(
        self,
        transaction: ServerTransaction,
        status: int,
        now: Nanos,
        *,
        reason: str = "",
        tag: str = "",
        headers: Iterable[Header] = (),
        body: bytes = b"",
    ) -> bytes:
        """Answers a server transaction; returns the last response that it has sent."""
        everything = [*headers, *self._server]
        if body:
            everything.append(("Content-Type", "application/sdp"))
        response = build_response(transaction.request, status, reason, tag=tag, headers=everything, body=body)
        self.layer.respond(transaction, response, now)
        return transaction.last

    def send(self, request: Request, flow: Flow) -> Datagram:
        """Sends a request outside any transaction: the ACK of a 2xx (RFC 3261 13.2.2.4)."""
        datagram = Datagram(request.encode(), flow)
        self.outbox.append(datagram)
        return datagram

    def add(self, session: Session) -> None:
        self.sessions[session.handle] = session
        self.dialogs[session.key] = session

    def forget(self, session: Usage) -> None:
        session.wake = None
        self.sessions.pop(session.handle, None)
        self.dialogs.pop(session.key, None)
