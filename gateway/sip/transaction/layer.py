"""The transaction layer: tables of running transactions, their timers, their end."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from gateway.sip.flow import Datagram, Flow, Listener, flow_to
from gateway.sip.message import Request, Response
from gateway.sip.transaction.base import State
from gateway.sip.transaction.client import Client
from gateway.sip.transaction.invite_client import InviteClient
from gateway.sip.transaction.invite_server import InviteServer
from gateway.sip.transaction.matching import client_key, merge_key
from gateway.sip.transaction.sender import Tell
from gateway.sip.transaction.server import Server
from gateway.sip.transaction.timers import Timers
from gateway.sip.wakeups import Wakeups
from gateway.units import Nanos

__all__ = ["ClientTransaction", "ServerTransaction", "TransactionLayer"]

ServerTransaction = InviteServer | Server
ClientTransaction = InviteClient | Client


class TransactionLayer:
    """Creates, finds and forgets transactions. Every change of one goes through here, so that its timer is armed."""

    def __init__(
        self,
        timers: Timers,
        outbox: list[Datagram],
        wakeups: Wakeups,
        *,
        listeners: Sequence[Listener],
        sent_by: Callable[[Flow], str],
        udp_limit: int,
    ) -> None:
        self._timers = timers
        self._listeners = listeners
        self._sent_by = sent_by
        self._udp_limit = udp_limit
        self._outbox = outbox
        self._wakeups = wakeups
        self._servers: dict[Hashable, ServerTransaction] = {}
        self._clients: dict[Hashable, ClientTransaction] = {}
        self._origins: dict[Hashable, Hashable] = {}  # merge key -> key of the transaction that came first
        self._fallbacks: dict[Hashable, tuple[Request, Flow]] = {}  # key -> what to send if the first flow is no good

    def __len__(self) -> int:
        return len(self._servers) + len(self._clients)

    def find_server(self, key: Hashable) -> ServerTransaction | None:
        """``key`` is what ``server_key`` gives."""
        return self._servers.get(key)

    def open_server(self, key: Hashable, request: Request, flow: Flow) -> ServerTransaction:
        """A new server transaction; ``flow`` is where its responses go."""
        kind = InviteServer if request.method == "INVITE" else Server
        transaction = kind(key, request, flow, self._timers, self._outbox)
        self._servers[transaction.key] = transaction
        if not request.to.tag:
            self._origins.setdefault(merge_key(request), transaction.key)
        return transaction

    def is_merged(self, transaction: ServerTransaction) -> bool:
        """Whether the same request is already being served under another branch (RFC 3261 8.2.2.2)."""
        return self._origins.get(merge_key(transaction.request), transaction.key) != transaction.key

    def open_client(self, request: Request, flow: Flow, tell: Tell, now: Nanos) -> ClientTransaction:
        """Sends a request; ``tell`` hears of its responses. One that might be fragmented goes by TCP if we speak that,
        and by UDP after all if the peer does not (RFC 3261 18.1.1)."""
        kind = InviteClient if request.method == "INVITE" else Client
        key = (request.via.branch, request.method)
        if not flow.reliable and request.size > self._udp_limit:
            stream = flow_to(self._listeners, "tcp", flow.remote, like=flow)
            if stream is not None:
                self._fallbacks[key] = request, flow
                request, flow = request.over("tcp", self._sent_by(stream)), stream
        transaction = kind(key, request, flow, self._timers, self._outbox, tell=tell, now=now)
        self._clients[key] = transaction
        self._wakeups.arm(transaction)
        return transaction

    def receive_request(self, transaction: ServerTransaction, request: Request, now: Nanos) -> bool:
        """Another request for a known transaction. True if it is an ACK for the user."""
        for_user = transaction.receive(request, now)
        self._settle(transaction)
        return for_user

    def receive_response(self, response: Response, now: Nanos) -> bool:
        """False if the response belongs to no transaction, and was ignored."""
        transaction = self._clients.get(client_key(response))
        if transaction is None:
            return False
        transaction.receive(response, now)
        self._settle(transaction)
        return True

    def undelivered(self, request: Request, why: str, now: Nanos) -> None:
        """A request of ours could not be sent: by another flow if there is one, else its user is told 503."""
        key = (request.via.branch, request.method)
        transaction = self._clients.get(key)
        if transaction is None:
            return
        fallback = self._fallbacks.pop(key, None)
        if fallback is not None:
            transaction.reroute(*fallback, now)
        else:
            transaction.fail(why, now)
        self._settle(transaction)

    def unreachable(self, flow: Flow, why: str, now: Nanos) -> None:
        """What was sent to this address and is not answered yet has failed: the next server, or 503, without waiting
        for timer B or F (RFC 3261 18.4)."""
        way = flow.transport, flow.local, flow.remote
        waiting = [
            one for one in self._clients.values() if (one.flow.transport, one.flow.local, one.flow.remote) == way
        ]
        for transaction in waiting:
            transaction.fail(why, now)
            self._settle(transaction)

    def respond(self, transaction: ServerTransaction, response: Response, now: Nanos) -> None:
        transaction.respond(response, now)
        self._settle(transaction)

    def handle_timer(self, transaction: ServerTransaction | ClientTransaction, now: Nanos) -> None:
        transaction.handle_timer(now)
        self._settle(transaction)

    def destroy(self, transaction: ClientTransaction) -> None:
        """Forgets a transaction whose final response its user no longer waits for (RFC 3261 9.1)."""
        transaction.destroy()
        self._settle(transaction)

    def abandon(self, transaction: InviteClient, tell: Tell) -> None:
        """Another server is asked instead; what this one still says goes to ``tell``."""
        transaction.abandon(tell)
        self._fallbacks.pop(transaction.key, None)
        self._settle(transaction)

    def _settle(self, transaction: ServerTransaction | ClientTransaction) -> None:
        if transaction.state is not State.TERMINATED:
            self._wakeups.arm(transaction)
        elif isinstance(transaction, InviteClient | Client):
            transaction.release()
            self._clients.pop(transaction.key, None)
            self._fallbacks.pop(transaction.key, None)
        else:
            self._servers.pop(transaction.key, None)
            origin = merge_key(transaction.request)
            if self._origins.get(origin) == transaction.key:
                del self._origins[origin]
