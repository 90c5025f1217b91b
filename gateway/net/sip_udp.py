"""SIP over UDP: one socket, one endpoint, one driver."""

from __future__ import annotations

import asyncio
import errno
import random
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, cast

from gateway.errors import ResourceError
from gateway.net.driver import Driver
from gateway.sip.auth import Credentials
from gateway.sip.endpoint import Endpoint
from gateway.sip.events import Event
from gateway.sip.flow import Address, Datagram, Flow
from gateway.sip.options import EndpointOptions

__all__ = ["EndpointDriver", "SipUdp", "open_endpoint"]

_BIND_ERRORS: Final = {
    errno.EADDRINUSE: "the port is in use; stop the other program or choose another port",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EACCES: "no permission; ports below 1024 need CAP_NET_BIND_SERVICE",
}


class SipUdp(asyncio.DatagramProtocol):
    """Hands datagrams to ``on_datagram`` with the flow they came by."""

    def __init__(self) -> None:
        self.on_datagram: Callable[[bytes, Flow], None] = lambda data, flow: None
        self._transport: asyncio.DatagramTransport | None = None
        self.local: Address = ("", 0)
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.local = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.on_datagram(data, Flow("udp", self.local, (addr[0], addr[1])))

    def error_received(self, exc: Exception) -> None:
        """ICMP says that a peer is not there; which one it does not say here. The transaction's timer gives up."""

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    def send(self, datagram: Datagram) -> None:
        """An address that the socket cannot reach is a packet lost: it may come from a peer's Contact. asyncio reports
        such a thing to ``error_received``, uvloop raises it."""
        if self._transport is not None and not self._transport.is_closing():
            with suppress(OSError, ValueError):
                self._transport.sendto(datagram.data, datagram.flow.remote)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class EndpointDriver:
    """A running endpoint. The verbs are those of ``Endpoint`` without ``now``; call them on the event loop."""

    def __init__(self, endpoint: Endpoint, protocol: SipUdp, on_event: Callable[[Event], None]) -> None:
        self._endpoint = endpoint
        self._protocol = protocol
        self._driver = Driver(endpoint, protocol.send, on_event)
        self._idle: asyncio.Event | None = None
        protocol.on_datagram = self._receive

    def _receive(self, data: bytes, flow: Flow) -> None:
        self._driver.run(self._endpoint.receive, data, flow)
        if self._idle is not None and not self._endpoint.calls:
            self._idle.set()

    @property
    def local(self) -> Address:
        """Where the socket is bound; the port is real, also if 0 was asked for."""
        return self._protocol.local

    @property
    def calls(self) -> int:
        return self._endpoint.calls

    def call_id(self, call: int) -> str:
        """Call-ID of a call; ``""`` once it is over."""
        return self._endpoint.call_id(call)

    def ring(self, call: int, status: int = 180, sdp: bytes | None = None) -> None:
        self._driver.run(lambda now: self._endpoint.ring(call, now, status, sdp))

    def answer(self, call: int, sdp: bytes) -> None:
        self._driver.run(self._endpoint.answer, call, sdp)

    def reject(self, call: int, status: int, rule: str, reason: str | None = None, *, warning: int = 399) -> None:
        self._driver.run(lambda now: self._endpoint.reject(call, status, rule, now, reason, warning=warning))

    def hang_up(self, call: int, reason: str = "") -> None:
        self._driver.run(lambda now: self._endpoint.hang_up(call, now, reason))

    def invite(
        self,
        target: str,
        sdp: bytes,
        *,
        caller: str,
        headers: Iterable[tuple[str, str]] = (),
        remote: Address | None = None,
        credentials: Credentials | None = None,
    ) -> int:
        """Places a call. A target that names a host needs ``remote``: see ``resolver.resolve``."""
        return self._driver.run(
            lambda now: self._endpoint.invite(
                target, sdp, now, caller=caller, headers=headers, remote=remote, credentials=credentials
            )
        )

    def options_ping(
        self, target: str, *, remote: Address | None = None, credentials: Credentials | None = None
    ) -> None:
        self._driver.run(lambda now: self._endpoint.options_ping(target, now, remote=remote, credentials=credentials))

    async def close(self, *, patience: float = 0.5) -> None:
        """Hangs up every call, waits at most ``patience`` seconds for the answers, and closes the socket."""
        self._driver.run(self._endpoint.close)
        if self._endpoint.calls:
            self._idle = asyncio.Event()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), patience)
        self._driver.close()
        self._protocol.close()
        await self._protocol.closed


async def open_endpoint(
    options: EndpointOptions,
    *,
    listen: Address,
    on_event: Callable[[Event], None],
) -> EndpointDriver:
    """Binds ``listen`` (port 0: any free one) and runs an endpoint on it. Raises ``ResourceError`` with one line."""
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_datagram_endpoint(SipUdp, sock=_bind(listen))
    # Tags and branches are guessed by attackers: SystemRandom.
    endpoint = Endpoint(options, random.SystemRandom(), protocol.local)
    return EndpointDriver(endpoint, protocol, on_event)


def _bind(listen: Address) -> socket.socket:
    """Bound here and not by the loop, because uvloop's error no longer says why."""
    sock = socket.socket(socket.AF_INET6 if ":" in listen[0] else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.bind(listen)
    except OSError as error:
        sock.close()
        why = _BIND_ERRORS.get(error.errno or 0, error.strerror or str(error))
        raise ResourceError(f"cannot listen on udp://{listen[0]}:{listen[1]}: {why}") from None
    return sock
