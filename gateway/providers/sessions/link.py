"""One WebSocket and the dialect spoken on it: from the first packet to the last, with everything that is not its role.

Connecting, waiting for the server's greeting, keep-alive, probes, and what a fault or a close means are the same for
every provider; the role (``stt``, ``tts``, ``realtime``) gets the events that are left.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from websockets.exceptions import InvalidURI

from gateway.errors import ProviderError
from gateway.providers import faults
from gateway.providers.dialect import SILENCE_MS, Dialect, Envelope, Fault, Model, Ready, Reply, Retire, Wire
from gateway.providers.sessions.reading import READ_ERRORS, sound
from gateway.units import MS, SECOND, Nanos
from gateway.wire.plain import PlainSocket, client
from gateway.wire.tcp import TcpSocket

__all__ = ["Limits", "Link", "Role", "tls"]

_CLOSE_LIMIT: Final = 2.0
"""Seconds that a server gets to answer the closing handshake."""
_SHORTEST_TICK, _LONGEST_TICK = 0.01, 5.0
_NO_HEADERS: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Limits:
    """From the provider's options."""

    connect: Nanos
    ping_interval: Nanos
    ping_timeout: Nanos


class Role(Protocol):
    """Who uses a link. Told nothing any more after ``on_lost``, which comes once at most."""

    def on_event(self, event: Any) -> None: ...

    def on_retire(self) -> None:
        """The connection should be replaced in the next quiet moment."""

    def on_lost(self, fault: Fault) -> None: ...


class Link:
    """One connection. ``open`` makes it; then ``send`` and ``send_audio`` write at once, events arrive at the role."""

    def __init__(
        self, name: str, dialect: Dialect, role: Role, limits: Limits, headers: Mapping[str, str] = _NO_HEADERS
    ) -> None:
        """``headers`` of the handshake are sent besides the dialect's own."""
        self.name = name
        self.dialect = dialect
        self.model = dialect.model
        self.retiring = False
        self._role = role
        self._limits = limits
        self._headers = headers
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._socket: PlainSocket | TcpSocket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False
        self._born = self._sent = self._flowed = self._heard = self._probed = self._loop.time()

    @property
    def alive(self) -> bool:
        return not self._ended and self._ready.done()

    # --- verbs --------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connects and waits until the server is ready. Raises ``ProviderError``."""
        try:
            async with asyncio.timeout(self._limits.connect / SECOND):
                await self._dial()
                await self._ready
        except InvalidURI:  # it may hold a key: some providers give each call an address with a token in it
            raise self._gave_up("its address is none of a WebSocket") from None
        except OSError as error:
            raise self._gave_up(str(error)) from error
        except TimeoutError as error:
            raise self._gave_up("no answer in time") from error
        except BaseException:
            self.abort()
            raise

    def send(self, wires: Iterable[Wire]) -> None:
        socket = self._socket
        if socket is None or self._ended:
            return
        for wire in wires:
            self._sent = self._loop.time()
            if isinstance(wire, str):
                socket.send_text(wire)
            else:
                socket.send_binary(wire)

    def send_audio(self, audio: bytes, envelope: Envelope | None = None) -> bool:
        """In the dialect's envelope, or in one of its own. False: it was left out, because the connection is not open
        or the server does not read."""
        if self._socket is None or self._ended:
            return False
        self._sent = self._flowed = self._loop.time()
        envelope = envelope or self.dialect.envelope
        return self._socket.send_wrapped(envelope.before, audio, envelope.after, base64=envelope.base64)

    def close(self) -> None:
        """Ends it politely; nothing is told any more."""
        if self._ended:
            return
        self.send(self.dialect.close())
        self._end()
        if self._socket is not None:
            self._socket.close()
            self._loop.call_later(_CLOSE_LIMIT, self._socket.abort, "no answer to close")

    def abort(self) -> None:
        self._end()
        if self._socket is not None:
            self._socket.abort("given up")

    # --- from the socket ----------------------------------------------------------------------------------------------

    def on_open(self) -> None:
        now = self._born = self._sent = self._flowed = self._heard = self._probed = self._loop.time()
        self.send(self.dialect.opening().first)
        if not self.dialect.life.greeted:
            self._greeted()
        self._timer = self._loop.call_at(now + self._pace(), self._tick)

    def on_text(self, text: str) -> None:
        self._take(text)

    def on_binary(self, data: bytes) -> None:
        self._take(data)

    def on_pong(self) -> None:
        self._heard = self._loop.time()

    def on_lost(self, reason: str) -> None:
        socket = self._socket
        code = socket.close_code if socket else None
        refusal = socket.response if socket else None
        if refusal is not None and refusal.status_code != 101:
            headers = {key.lower(): value for key, value in refusal.headers.raw_items()}
            self._fail(faults.http_fault(refusal.status_code, headers, bytes(refusal.body or b"")))
            return
        close = socket.close_reason if socket and code is not None else reason
        self._fail(self.dialect.closed(code, close) or faults.close_fault(code, close))

    # --- inside -------------------------------------------------------------------------------------------------------

    async def _dial(self) -> None:
        opening = self.dialect.opening()
        if self.dialect.framing is not None:
            line = self._socket = TcpSocket(self.dialect.framing, self)
            where = urlsplit(opening.url)
            await self._loop.create_connection(lambda: line, where.hostname or "", where.port or 0)
            return
        core = client(opening.url, {**opening.headers, **self._headers}, opening.subprotocols)
        socket = self._socket = PlainSocket(core, self)
        uri = core.uri
        secure = tls() if uri.secure else None
        await self._loop.create_connection(lambda: socket, uri.host, uri.port, ssl=secure)

    def _take(self, message: Wire) -> None:
        self._heard = self._loop.time()
        if self._ended:
            return
        try:
            events = sound(self.dialect.decode(message))
        except READ_ERRORS as error:
            self._fail(faults.broken(error))
            return
        for event in events:
            self._dispatch(event)

    def _dispatch(self, event: Any) -> None:
        if self._ended:  # by what came before it
            return
        match event:
            case Ready():
                self._greeted()
            case Reply(wire):
                self.send((wire,))
            case Model(info):
                self.model = info
            case Retire():
                self._retire()
            case Fault(context="") as fault:
                self._fail(fault)
            case _:
                self._role.on_event(event)

    def _greeted(self) -> None:
        if not self._ready.done():
            self._ready.set_result(None)

    def _retire(self) -> None:
        if not self.retiring:
            self.retiring = True
            self._role.on_retire()

    def _fail(self, fault: Fault) -> None:
        if self._ended:
            return
        if not self._ready.done():
            self._ready.set_exception(faults.to_error(self.name, fault))
            self._ready.exception()  # the attempt may have been given up before; nobody is left to be told
            self.abort()
            return
        self.abort()
        self._role.on_lost(fault)

    def _gave_up(self, reason: str) -> ProviderError:
        self.abort()
        return ProviderError(self.name, f"cannot connect: {reason}", transient=True)

    def _end(self) -> None:
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        if not self._ready.done():
            self._ready.cancel()

    # --- time ---------------------------------------------------------------------------------------------------------

    def _pace(self) -> float:
        """How often the clock is looked at: often enough for the shortest of the times."""
        life, limits = self.dialect.life, self._limits
        spans = [
            limits.ping_interval / 2,
            limits.ping_timeout / 2,
            (life.keep_alive or 0) / 4,
            (life.longest or 0) / 16,
            SILENCE_MS * MS / 2 if life.flows else 0,
        ]
        return min(_LONGEST_TICK, max(_SHORTEST_TICK, min(span for span in spans if span) / SECOND))

    def _tick(self) -> None:
        now = self._loop.time()
        life, limits = self.dialect.life, self._limits
        if life.longest is not None and now - self._born > life.longest / SECOND:
            self._retire()
        if life.flows and now - self._flowed >= SILENCE_MS / 1000:
            self.send_audio(self.dialect.silence())
        if life.keep_alive is not None and now - self._sent >= life.keep_alive / SECOND:
            self.send(self.dialect.keep_alive())
        if not life.probe or self._probe(now, limits):
            self._timer = self._loop.call_at(now + self._pace(), self._tick)

    def _probe(self, now: float, limits: Limits) -> bool:
        """A probe is only answered by a peer that lives; one that has just spoken needs none."""
        if self._probed > self._heard and now - self._probed > limits.ping_timeout / SECOND:
            self._fail(Fault("the server no longer answers", transient=True))
            return False  # ended
        if self._probed <= self._heard and now - max(self._heard, self._probed) > limits.ping_interval / SECOND:
            self._probed = now
            if self._socket is not None:
                self._socket.ping()
        return True


@cache
def tls() -> ssl.SSLContext:
    """One for the process: reading the certificates of the authorities takes tens of milliseconds."""
    return ssl.create_default_context()
