"""Drives one DTLS association of a leg on the event loop: datagrams from the plane, and timers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.media.dtls import Association, DtlsError, Identity
from gateway.sdp.types import DtlsPeer, SrtpKeys

__all__ = ["Handshake"]

_FIRST_S: Final = 0.1
"""Our first flight may come before the far end has read the answer that announces it. OpenSSL would repeat it after a
second only (RFC 6347 4.2.4.1), in which nobody is heard."""


class Handshake:
    """From ``start`` until ``close``; ``on_keys`` is called once, or ``on_fault`` with the reason, or neither."""

    def __init__(
        self,
        identity: Identity,
        peer: DtlsPeer,
        send: Callable[[bytes, bytes], None],
        on_keys: Callable[[SrtpKeys], None],
        on_fault: Callable[[str], None],
    ) -> None:
        self.peer = peer
        self._association = Association(identity, peer)
        self._send = send
        self._on_keys = on_keys
        self._on_fault = on_fault
        self._loop = asyncio.get_running_loop()
        self._source = b""
        self._timer: asyncio.TimerHandle | None = None
        self._over = False

    def start(self) -> None:
        """Opens it, if that is our role."""
        self._do(self._association.start)

    @property
    def keys(self) -> SrtpKeys | None:
        """None until it is complete."""
        return self._association.keys

    def receive(self, datagram: bytes, source: bytes) -> None:
        """From ``source``, where the answer goes to. Another one is not listened to once the keys are made."""
        if self._over or (self.keys is not None and source != self._source):
            return
        self._source = source
        self._do(self._association.receive, datagram)

    def close(self) -> None:
        """Twice is harmless."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()

    def _do(self, step: Callable[..., None], *arguments: bytes) -> None:
        before = self.keys
        try:
            step(*arguments)
        except DtlsError as error:
            self._flush()  # an alert, which tells the far end
            self._fail(str(error))
            return
        sent = self._flush()
        if self.keys is not None and before is None:
            self._on_keys(self.keys)
        self._wait(sent)

    def _flush(self) -> list[bytes]:
        datagrams = self._association.outgoing()
        for datagram in datagrams:
            self._send(datagram, self._source)
        return datagrams

    def _wait(self, sent: list[bytes]) -> None:
        """OpenSSL's own timer, but for our first flight, until anything is heard."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if sent and not self._association.heard:
            self._timer = self._loop.call_later(_FIRST_S, self._again, sent, _FIRST_S)
        elif (timeout := self._association.timeout()) is not None and not self._over:
            self._timer = self._loop.call_later(timeout, self._do, self._association.on_timer)

    def _again(self, flight: list[bytes], waited: float) -> None:
        for datagram in flight:
            self._send(datagram, b"")
        self._timer = self._loop.call_later(2 * waited, self._again, flight, 2 * waited)

    def _fail(self, reason: str) -> None:
        if not self._over and self.keys is None:
            self.close()
            self._on_fault(reason)
