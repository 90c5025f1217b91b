"""What TCP and TLS share: the table of connections, which one a message takes, and opening one where there is none."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections import Counter
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import ClassVar, Final

from gateway.errors import SipError
from gateway.net.connection import Connection
from gateway.net.door import Door
from gateway.net.identity import proves
from gateway.net.options import SignallingOptions
from gateway.net.transport import Listen, Receiver, bind
from gateway.sip.dialog import is_numeric
from gateway.sip.flow import Address, Datagram, Flow
from gateway.sip.framing import RawMessage
from gateway.sip.parser import parse
from gateway.units import SECOND

__all__ = ["StreamTransport", "Wanted"]

_TOP: Final = 600
"""Bytes of a message that hold its topmost Via."""
_PARTING: Final = 0.5
"""Seconds that connections have, on close, to send what was written."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whom a message is for: ``host``, or whoever proves one of the names that its dialog's peer has proved."""

    host: str
    names: frozenset[str]


@dataclass(slots=True)
class _Dial:
    """A connection that is being opened, and what waits for it."""

    waiting: list[Datagram] = field(default_factory=list)
    size: int = 0
    task: asyncio.Task[None] | None = None


class StreamTransport:
    """Listens on one address, and connects from it."""

    connection_type: ClassVar[type[Connection]] = Connection

    def __init__(self, listen: Listen, options: SignallingOptions, receiver: Receiver) -> None:
        self.local: Address = listen.address
        self._name = listen.transport
        self._options = options
        self._limits = options.streams
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        self._closing = False
        self._door: Door | None = None
        self._connections: dict[Address, Connection] = {}
        self._aliases: dict[Address, Connection] = {}
        self._sources: Counter[str] = Counter()
        self._dials: dict[tuple[Address, Wanted], _Dial] = {}

    async def listen(self) -> None:
        """Binds. Raises ``ResourceError``."""
        sock = bind(Listen(self._name, *self.local), socket.SOCK_STREAM)
        self.local = sock.getsockname()[:2]
        self._door = Door(
            sock,
            self._limits,
            self._receiver,
            lambda: self.connection_type(self, self._options, accepted=True),
            lambda peer, rule: self._receiver.turned_away(Flow(self._name, self.local, peer), rule),
            self.server_context(),
        )

    async def close(self) -> None:
        self._closing = True
        if self._door is not None:
            await self._door.close()
        dials = [dial.task for dial in self._dials.values() if dial.task is not None]
        for task in dials:
            task.cancel()
        connections = list(self._connections.values())
        for connection in connections:
            connection.close()
        if connections:
            await asyncio.wait([connection.closed for connection in connections], timeout=_PARTING)
        for connection in connections:
            connection.abort()
        await asyncio.gather(*dials, *(connection.closed for connection in connections), return_exceptions=True)

    # -- for the endpoint ----------------------------------------------------------------------------------------------

    def send(self, datagram: Datagram) -> None:
        """By the connection to ``flow.remote``, else by one to where the peer listens, else by a new one to there."""
        flow = datagram.flow
        host = flow.host or (flow.listens_at or flow.remote)[0]
        wanted = Wanted(host, flow.names)
        connection = self._find(flow.remote, wanted)
        if connection is None and flow.listens_at is not None:
            connection = self._find(flow.listens_at, wanted)
        if connection is not None:
            connection.send(datagram)
        else:
            self._dial(_key(flow.listens_at or flow.remote), wanted, datagram)

    def _find(self, remote: Address, wanted: Wanted) -> Connection | None:
        connection = self._connections.get(_key(remote))
        if connection is None and (alias := self._aliases.get(_key(remote))) and proves(alias.certificate, wanted.host):
            connection = alias
        if connection is None or not connection.usable or self.objection(connection, wanted):
            return None
        return connection

    # -- for the connections -------------------------------------------------------------------------------------------

    def connected(self, connection: Connection) -> bool:
        """False if there is no room for it."""
        source = connection.remote[0]
        if len(self._connections) >= self._limits.max_connections:
            self.turned_away(connection, "limit: sip.streams.max_connections")
            return False
        if connection.accepted:
            if self._sources[source] >= self._limits.max_per_source:
                self.turned_away(connection, "limit: sip.streams.max_per_source")
                return False
            self._sources[source] += 1
        self._connections[connection.remote] = connection
        return True

    def disconnected(self, connection: Connection) -> None:
        if connection.unheard and not self._closing:
            self._give_up(connection.unheard, "the connection was closed before a word")
        if self._connections.get(connection.remote) is not connection:
            return  # it was turned away
        del self._connections[connection.remote]
        for address in [known for known, by in self._aliases.items() if by is connection]:
            del self._aliases[address]
        if not connection.accepted and not self._closing:
            self._loop.call_soon(self._receiver.lost, self._flow(connection))
        if connection.accepted:
            source = connection.remote[0]
            self._sources[source] -= 1
            if not self._sources[source]:
                del self._sources[source]

    def received(self, connection: Connection, message: RawMessage) -> None:
        """A mistake of ours in one call must not close the connection, as the loop would: it carries other calls."""
        if connection.names and b";alias" in message.data[:_TOP]:
            self._learn_alias(connection, message.data)
        try:
            self._receiver.received(message.data, self._flow(connection), message.fault)
        except Exception as error:  # noqa: BLE001 (reported like any other fault of a handler)
            self._loop.call_exception_handler({"message": "a SIP message was not handled", "exception": error})

    def _learn_alias(self, connection: Connection, data: bytes) -> None:
        """RFC 5923: the peer's listening port is reached by this connection, too, if its certificate proves the name
        that it wants our requests for. One alias for a connection."""
        try:
            via = parse(data).via
        except SipError:
            return
        address = connection.remote[0], via.sent_by[1]
        proved = "alias" in via.parameters and proves(connection.certificate, via.host.strip("[]"))
        if proved and connection not in self._aliases.values():
            self._aliases.setdefault(_key(address), connection)

    def turned_away(self, connection: Connection, rule: str) -> None:
        self._receiver.turned_away(self._flow(connection), rule)

    def _flow(self, connection: Connection) -> Flow:
        return Flow(self._name, self.local, connection.remote, names=connection.names)

    # -- opening connections -------------------------------------------------------------------------------------------

    def _dial(self, remote: Address, wanted: Wanted, datagram: Datagram) -> None:
        dial = self._dials.get((remote, wanted))
        if dial is None:
            if len(self._connections) + len(self._dials) >= self._limits.max_connections:
                self._give_up([datagram], "limit: sip.streams.max_connections")
                return
            dial = self._dials[remote, wanted] = _Dial()
            dial.task = self._loop.create_task(self._connect(remote, wanted, dial), name=f"connect {remote}")
        if dial.size + len(datagram.data) > self._limits.max_unsent_bytes:
            self._give_up([datagram], "limit: sip.streams.max_unsent_bytes")
            return
        dial.size += len(datagram.data)
        dial.waiting.append(datagram)

    async def _connect(self, remote: Address, wanted: Wanted, dial: _Dial) -> None:
        connection, why = None, ""
        try:
            async with asyncio.timeout(self._limits.connect_timeout / SECOND):
                connection = await self._open(remote, wanted.host)
            why = self.objection(connection, wanted)
        except TimeoutError:
            why = "no connection within sip.streams.connect_timeout"
        except ssl.SSLError as error:
            why = f"TLS: {getattr(error, 'verify_message', '') or error.reason or error}"
        except OSError as error:
            why = f"no connection: {os.strerror(error.errno) if error.errno else error}"
        finally:
            del self._dials[remote, wanted]
        if connection is None or why:
            self._give_up(dial.waiting, why)
            if connection is not None:
                connection.abort()
            return
        for datagram in dial.waiting:
            connection.send(datagram)

    async def _open(self, remote: Address, host: str) -> Connection:
        """From the address that we listen on, because peers know us by it; the port is the kernel's choice."""
        sock = socket.socket(socket.AF_INET6 if ":" in remote[0] else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if not ip_address(self.local[0]).is_unspecified:
                sock.bind((self.local[0], 0))
            await self._loop.sock_connect(sock, remote)
            context = self.client_context()
            name = "" if not context or is_numeric(host) else host  # no SNI for an address (RFC 6066 3)
            _, connection = await self._loop.create_connection(
                lambda: self.connection_type(self, self._options, accepted=False),
                sock=sock,
                ssl=context,
                server_hostname=name if context else None,
            )
        except BaseException:
            sock.close()
            raise
        try:
            await connection.opened()
        except BaseException:
            connection.abort()
            raise
        return connection

    def _give_up(self, datagrams: list[Datagram], why: str) -> None:
        """Told in a round of its own: the endpoint may be in the middle of sending."""
        for datagram in datagrams:
            self._loop.call_soon(self._receiver.undelivered, datagram, why)

    # -- what TLS adds -------------------------------------------------------------------------------------------------

    def server_context(self) -> ssl.SSLContext | None:
        return None

    def client_context(self) -> ssl.SSLContext | None:
        return None

    def objection(self, connection: Connection, wanted: Wanted) -> str:
        """Why this connection must not carry a message for whom it is meant; ``""`` if it may."""
        return ""


def _key(address: Address) -> Address:
    """One spelling for one address: IPv6 has many."""
    host, port = address
    return (str(ip_address(host)), port) if ":" in host else address
