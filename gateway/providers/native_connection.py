"""One connection of a native provider: its streams, its probes, the credit it gives back.

A connection lives from the first byte to the last and is then thrown away; the provider makes the next one. It owns one
timer for all its streams, so a hundred calls cost one wake-up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from codecs_ext.wsframe import Outbox
from gateway.errors import ProviderError, RemoteError
from gateway.units import SECOND, Nanos
from gateway.wire.messages import SUBPROTOCOL, decode, encode
from gateway.wire.socket import AudioMessage, WebSocket

__all__ = ["Connection", "Limits", "Stream"]

_TICK: Final = 0.25
"""Seconds between two rounds of giving credit back and of looking at the probe."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a connection, from the provider's options."""

    ping_interval: Nanos
    ping_timeout: Nanos
    window: Nanos


class Stream(Protocol):
    """What a session is to its connection."""

    number: int

    def on_message(self, kind: str, message: Mapping[str, Any]) -> None:
        """A control message for this stream; raises ``RemoteError`` if it is nonsense."""

    def on_audio(self, message: AudioMessage) -> None: ...

    def on_lost(self, reason: str) -> None:
        """The connection is gone."""

    def give_credit(self, elapsed: float) -> bool:
        """Gives back what was played in ``elapsed`` seconds. False: nothing is owed any more."""


class Connection:
    """``ready`` is done when the server has said hello, ``lost`` holds the reason when the connection has ended."""

    def __init__(self, name: str, limits: Limits) -> None:
        loop = asyncio.get_running_loop()
        self.name = name
        self.limits = limits
        self.ready: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[str] = loop.create_future()
        self.roles: Mapping[str, Any] = {}
        self.server = ""
        self.loop = loop
        self._socket: WebSocket | None = None
        self._streams: dict[int, Stream] = {}
        self._owing: set[Stream] = set()
        self._last_number = 0
        self._timer: asyncio.TimerHandle | None = None
        self._ticked = self._heard = self._probed = loop.time()
        self._received = 0

    def bind(self, socket: WebSocket) -> WebSocket:
        """Tells the connection its socket, which needs the connection to be made."""
        self._socket = socket
        return socket

    # --- for sessions -------------------------------------------------------------------------------------------------

    def attach(self, stream: Stream) -> int:
        """Makes room for a stream; numbers are used once on a connection."""
        self._last_number += 1
        self._streams[self._last_number] = stream
        return self._last_number

    def detach(self, number: int) -> None:
        """What comes for this stream from now on is ignored."""
        stream = self._streams.pop(number, None)
        if stream is not None:
            self._owing.discard(stream)

    def send(self, kind: str, **fields: object) -> None:
        if self._socket is not None:
            self._socket.send_text(encode(kind, **fields))

    @property
    def socket(self) -> WebSocket | None:
        return self._socket

    @property
    def is_plain(self) -> bool:
        """Open, and without TLS."""
        return self._socket is not None and self._socket.is_plain

    @property
    def outbox(self) -> Outbox | None:
        """Takes audio; None while it cannot be sent."""
        return None if self._socket is None else self._socket.outbox

    def owes(self, stream: Stream) -> None:
        """The stream took audio whose credit is to be given back as it is played."""
        self._owing.add(stream)

    # --- for the provider ---------------------------------------------------------------------------------------------

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close(reason="shut down")

    def abort(self, reason: str) -> None:
        if self._socket is not None:
            self._socket.abort(reason)
        self.on_lost(reason)

    # --- from the socket ----------------------------------------------------------------------------------------------

    def on_open(self) -> None:
        if self._socket is not None and self._socket.subprotocol != SUBPROTOCOL:
            self._socket.close(1002, f"the server does not speak {SUBPROTOCOL}")
        self._ticked = self._heard = self._probed = self.loop.time()
        self._timer = self.loop.call_later(_TICK, self._tick)

    def on_text(self, text: str) -> None:
        self._heard = self.loop.time()
        message = decode(text)
        kind = message["type"]
        if kind == "hello":
            self._greeted(message)
            return
        number = message.get("stream")
        if kind == "error" and number == 0:
            raise RemoteError(f"{message['code']}: {message['message']}")
        stream = self._streams.get(number) if isinstance(number, int) else None
        if stream is not None:
            stream.on_message(kind, message)

    def on_audio(self, message: AudioMessage) -> None:
        self._heard = self.loop.time()
        stream = self._streams.get(message[0])
        if stream is not None:
            stream.on_audio(message)

    def on_pong(self) -> None:
        self._heard = self.loop.time()

    def on_lost(self, reason: str) -> None:
        if self.lost.done():
            return
        self.lost.set_result(reason)
        if self._timer is not None:
            self._timer.cancel()
        if not self.ready.done():
            self.ready.set_exception(ProviderError(self.name, reason, transient=True))
            self.ready.exception()  # the attempt may have been given up before; nobody is left to be told
        streams, self._streams = list(self._streams.values()), {}
        self._owing.clear()
        for stream in streams:
            stream.on_lost(reason)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _greeted(self, message: Mapping[str, Any]) -> None:
        if message["protocol"] != 1:
            raise RemoteError(f"hello of protocol {message['protocol']}, but {SUBPROTOCOL} was agreed")
        server = message.get("server") or {}
        self.server = f"{server.get('name', '?')} {server.get('version', '?')}"
        self.roles = message["roles"]
        if not self.ready.done():
            self.ready.set_result(None)

    def _tick(self) -> None:
        now = self.loop.time()
        if self._socket is not None and self._received != self._socket.received:
            self._received, self._heard = self._socket.received, now
        elapsed, self._ticked = now - self._ticked, now
        for stream in [stream for stream in self._owing if not stream.give_credit(elapsed)]:
            self._owing.discard(stream)
        # A probe is only answered by a peer that lives; one that has just spoken needs no probe.
        if self._probed > self._heard and now - self._probed > self.limits.ping_timeout / SECOND:
            self.abort("the server no longer answers")
            return
        if self._probed <= self._heard and now - max(self._heard, self._probed) > self.limits.ping_interval / SECOND:
            self._probed = now
            if self._socket is not None:
                self._socket.ping()
        self._timer = self.loop.call_later(_TICK, self._tick)
