"""The native plug protocol: models that stand next to the gateway, all calls of a provider on one WebSocket.

The protocol is ``docs/plug-protocol.md``; ``gateway.wire`` encodes and decodes it. Here are the YAML block, the
provider, and the task that keeps its connection: ``native_connection.py`` is one connection, ``native_sessions.py``
the sessions.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable
from typing import Any, Final

import structlog
from pydantic import Field, field_validator
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidURI
from websockets.http11 import Request
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI, parse_uri

from gateway import trace
from gateway.errors import MisuseError, ProviderError
from gateway.options import Duration, Options, Secret
from gateway.providers.contract import (
    NO_BRIEF,
    NOBODY,
    Brief,
    LlmResult,
    Party,
    ProviderSpec,
    RealtimeResult,
    SttResult,
    TtsResult,
)
from gateway.providers.native_connection import Connection, Limits
from gateway.providers.native_realtime import Realtime
from gateway.providers.native_sessions import Llm, Session, Stt, Tts
from gateway.units import SECOND
from gateway.wire.messages import MAX_AUDIO_BYTES, MAX_TEXT_BYTES, SUBPROTOCOL
from gateway.wire.socket import WebSocket

__all__ = ["SPEC", "NativeOptions", "NativeProvider"]

_HEADROOM: Final = 1024
"""Of a WebSocket message, over the audio it may hold."""
_LISTENING_RATE: Final = 16_000
"""What speech models are trained on."""
_CLOSE_LIMIT: Final = 0.5
"""Seconds that a server gets to answer the closing handshake."""


class NativeOptions(Options):
    """A provider of kind ``native``: any server that speaks the native plug protocol."""

    url: str
    """Where the server listens: ``ws://host:port/path`` or ``wss://``."""
    token: Secret | None = None
    """Sent as ``Authorization: Bearer`` with the handshake."""
    connect_timeout: Duration = Field(default="5s", validate_default=True)
    """From the start of an attempt to the server's greeting."""
    open_timeout: Duration = Field(default="5s", validate_default=True)
    """A session must be opened within this time."""
    stt_timeout: Duration = Field(default="3s", validate_default=True)
    """From the end of a turn to its final transcript."""
    llm_timeout: Duration = Field(default="10s", validate_default=True)
    """To the first token of an answer, and from one token to the next."""
    tts_timeout: Duration = Field(default="5s", validate_default=True)
    """To the first audio of a sentence, and from one burst to the next."""
    ping_interval: Duration = Field(default="5s", validate_default=True)
    """How often the connection is probed."""
    ping_timeout: Duration = Field(default="5s", validate_default=True)
    """A server silent for this long after a probe is taken as gone."""
    reconnect_min: Duration = Field(default="100ms", validate_default=True)
    """First pause before another attempt; it doubles, with jitter."""
    reconnect_max: Duration = Field(default="5s", validate_default=True)
    """Longest pause between attempts."""
    window: Duration = Field(default="30s", validate_default=True)
    """How much audio the server may send ahead of its being played, for each session."""

    @field_validator("url")
    @classmethod
    def _url_is_a_websocket(cls, url: str) -> str:
        try:
            parse_uri(url)
        except InvalidURI as error:
            raise ValueError(f"{url!r} is not a WebSocket address; write ws://host:port/ or wss://host/path") from error
        return url


class NativeProvider:
    """One server, one connection, every call's sessions on it. While there is no connection, ``open_`` fails at
    once."""

    def __init__(self, name: str, options: NativeOptions, *, jitter: random.Random | None = None) -> None:
        self.name = name
        self._options = options
        self._jitter = jitter or random.Random()
        self._uri = parse_uri(options.url)
        self._connection: Connection | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._refused: str | None = None
        self._told = False
        self._log = structlog.get_logger().bind(provider=name)

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Connects, and returns when the first attempt has succeeded or failed; attempts go on until ``close``."""
        if self._keeper is None:
            self._keeper = asyncio.get_running_loop().create_task(self._keep(), name=f"provider {self.name}")
        await self._tried.wait()

    async def close(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)

    def listening_rate(self, role: str) -> int:
        return _LISTENING_RATE

    async def open_stt(self, listener: Callable[[SttResult], None], *, rate: int, language: str) -> Stt:
        session = Stt(self._ready("stt"), listener, rate=rate, timeout=self._options.stt_timeout)
        await self._open(session, rate=rate, language=language)
        return session

    async def open_llm(self, listener: Callable[[LlmResult], None], *, party: Party = NOBODY) -> Llm:
        session = Llm(self._ready("llm"), listener, timeout=self._options.llm_timeout)
        await self._open(session)
        return session

    async def open_tts(self, listener: Callable[[TtsResult], None], *, rate: int, language: str) -> Tts:
        session = Tts(self._ready("tts"), listener, rate=rate, timeout=self._options.tts_timeout)
        await self._open(session, rate=rate, language=language)
        return session

    async def open_realtime(
        self, listener: Callable[[RealtimeResult], None], *, rate: int, brief: Brief = NO_BRIEF
    ) -> Realtime:
        session = Realtime(self._ready("realtime"), listener, rate=rate, timeout=self._options.tts_timeout)
        await self._open(session, rate=rate)
        return session

    # --- inside -------------------------------------------------------------------------------------------------------

    def _ready(self, role: str) -> Connection:
        connection = self._connection
        if connection is None or connection.lost.done():
            raise ProviderError(self.name, self._refused or "not connected", transient=True)
        if role not in connection.roles:
            raise ProviderError(self.name, f"the server has no {role} role", transient=False)
        return connection

    async def _open(self, session: Session[Any], **fields: object) -> None:
        context = trace.current()
        session.open(**fields, traceparent=None if context is None else context.traceparent)
        try:
            async with asyncio.timeout(self._options.open_timeout / SECOND):
                await session.opened
        except TimeoutError as error:
            session.close()
            raise ProviderError(self.name, "a session was not opened in time", transient=True) from error
        except BaseException:
            session.close()
            raise

    async def _keep(self) -> None:
        options = self._options
        pause = options.reconnect_min / SECOND
        try:
            while True:
                if await self._attempt():
                    pause = options.reconnect_min / SECOND
                # Full jitter: when a server comes back, its gateways do not come all at once.
                await asyncio.sleep(pause * (0.5 + self._jitter.random() / 2))
                pause = min(2 * pause, options.reconnect_max / SECOND)
        finally:
            self._tried.set()

    async def _attempt(self) -> bool:
        """One connection from its first byte to its last. True if it had been usable."""
        options = self._options
        limits = Limits(options.ping_interval, options.ping_timeout, options.window)
        connection = Connection(self.name, limits)
        try:
            async with asyncio.timeout(options.connect_timeout / SECOND):
                await self._connect(connection)
                await connection.ready
        except (OSError, TimeoutError, ProviderError) as error:
            connection.abort("gave up connecting")
            self._report(str(error) or "no answer in time")
            self._tried.set()
            return False
        except asyncio.CancelledError:
            connection.abort("shut down")
            raise
        self._connection, self._refused, self._told = connection, None, False
        self._log.info("provider.connected", server=connection.server)
        self._tried.set()
        try:
            reason = await asyncio.shield(connection.lost)
            self._report(reason)
        finally:
            self._connection = None
            await self._hang_up(connection)
        return True

    async def _hang_up(self, connection: Connection) -> None:
        connection.close()
        try:
            async with asyncio.timeout(_CLOSE_LIMIT):
                await asyncio.shield(connection.lost)
        except TimeoutError:
            connection.abort("no answer to close")

    async def _connect(self, connection: Connection) -> None:
        uri = self._uri
        secure = ssl.create_default_context() if uri.secure else None
        await asyncio.get_running_loop().create_connection(
            lambda: connection.bind(WebSocket(self._core(uri), connection)), uri.host, uri.port, ssl=secure
        )

    def _core(self, uri: WebSocketURI) -> ClientProtocol:
        token = self._options.token
        size = max(MAX_TEXT_BYTES, MAX_AUDIO_BYTES + _HEADROOM)
        return _Client(uri, token.get_secret_value() if token else None, size)

    def _report(self, reason: str) -> None:
        """One line when the connection is lost or cannot be had, not one per attempt."""
        self._refused = reason
        if not self._told:
            self._told = True
            self._log.warning("provider.lost", reason=reason, retrying=True)


class _Client(ClientProtocol):
    """The client's handshake with a bearer token in it."""

    def __init__(self, uri: WebSocketURI, token: str | None, max_size: int) -> None:
        super().__init__(uri, subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=max_size)
        self._token = token

    def connect(self) -> Request:
        request = super().connect()
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _create(name: str, options: Options) -> NativeProvider:
    if not isinstance(options, NativeOptions):
        raise MisuseError(f"provider {name!r}: options of another kind")
    return NativeProvider(name, options)


SPEC: Final = ProviderSpec("native", NativeOptions, _create, frozenset({"stt", "llm", "tts", "realtime"}))
