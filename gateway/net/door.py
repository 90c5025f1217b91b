"""The listening side of a stream: who is let in, and how many may be on the doorstep.

Connections are accepted here and not by the loop's own server, because that one shakes hands over TLS with whoever
comes, before anybody can count: a few hundred sources that connect and say nothing would hold every descriptor.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Final

from gateway.net.options import StreamOptions
from gateway.net.transport import Receiver
from gateway.sip.flow import Address
from gateway.units import SECOND

__all__ = ["Door"]

_BREATH: Final = 0.1
"""Seconds to wait when the process has no descriptor left."""
_GONE: Final = frozenset((errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH))
"""Errors of a connection that ended before it was accepted (accept(2)): the next one is another."""


class Door:
    """``protocol`` makes one for each connection; ``refuse`` hears who was turned away, and why."""

    def __init__(  # noqa: PLR0917
        self,
        sock: socket.socket,
        limits: StreamOptions,
        receiver: Receiver,
        protocol: Callable[[], asyncio.Protocol],
        refuse: Callable[[Address, str], None],
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._sock = sock
        self._limits = limits
        self._receiver = receiver
        self._protocol = protocol
        self._refuse = refuse
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._half_open: Counter[str] = Counter()
        self._handshakes: set[asyncio.Task[None]] = set()
        sock.listen(256)
        self._task = self._loop.create_task(self._accept(), name=f"listen {sock.getsockname()[:2]}")

    async def close(self) -> None:
        tasks = [self._task, *self._handshakes]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._sock.close()

    async def _accept(self) -> None:
        while True:
            try:
                sock, peer = await self._loop.sock_accept(self._sock)
            except OSError as error:
                if error.errno not in _GONE:
                    await asyncio.sleep(_BREATH)
                continue
            self._greet(sock, (peer[0], peer[1]))

    def _greet(self, sock: socket.socket, peer: Address) -> None:
        host = peer[0]
        if host in self._receiver.banned:
            sock.close()
            return
        rule = ""
        if len(self._handshakes) >= self._limits.max_handshakes:
            rule = "limit: sip.streams.max_handshakes"
        elif self._half_open[host] >= self._limits.max_handshakes_per_source:
            rule = "limit: sip.streams.max_handshakes_per_source"
        if rule:
            sock.close()
            self._refuse(peer, rule)
            return
        self._half_open[host] += 1
        task = self._loop.create_task(self._shake_hands(sock, peer), name=f"accept {peer}")
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, sock: socket.socket, peer: Address) -> None:
        timeout = self._limits.message_timeout / SECOND if self._context else None
        try:
            await self._loop.connect_accepted_socket(
                self._protocol, sock, ssl=self._context, ssl_handshake_timeout=timeout
            )
        except (OSError, ssl.SSLError, TimeoutError) as error:
            sock.close()
            if self._context is not None:
                self._refuse(peer, f"TLS: {getattr(error, 'reason', '') or 'no handshake'}")
        except BaseException:
            sock.close()
            raise
        finally:
            self._half_open[peer[0]] -= 1
            if not self._half_open[peer[0]]:
                del self._half_open[peer[0]]
