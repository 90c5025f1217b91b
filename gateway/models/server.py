"""``linecard models``: the embedded models behind the native plug protocol, a process of their own."""

from __future__ import annotations

import asyncio
import hmac
import os
import signal
from collections.abc import Mapping
from typing import Any, Final

import structlog
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from gateway import __version__
from gateway.errors import ConfigError, RemoteError, ResourceError
from gateway.models import dialogue
from gateway.models.options import ModelsOptions
from gateway.models.streams import EchoStream, LlmStream, Models, Stream, SttStream, TtsStream
from gateway.models.stt import Recogniser
from gateway.models.tts import Synthesiser, Voice
from gateway.units import SECOND
from gateway.wire.messages import MAX_AUDIO_BYTES, MAX_TEXT_BYTES, SUBPROTOCOL, decode, encode
from gateway.wire.socket import AudioMessage, WebSocket

__all__ = ["Server", "serve"]

_ROLES: Final[tuple[type[Stream], ...]] = (SttStream, LlmStream, TtsStream, EchoStream)
_CLOSE_LIMIT: Final = 0.5

log = structlog.get_logger()


class _Handshake(ServerProtocol):
    """The server's handshake, with the subprotocol demanded and the token checked."""

    def __init__(self, token: str | None) -> None:
        super().__init__(subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=max(MAX_TEXT_BYTES, MAX_AUDIO_BYTES + 1024))
        self._token = token

    def accept(self, request: Request) -> Response:
        given = request.headers.get("Authorization", "")
        if self._token is not None and not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            return self.reject(401, "a bearer token is needed\n")
        return super().accept(request)


class _Connection:
    """One gateway: its streams."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._streams: dict[int, Stream] = {}
        self._socket: WebSocket | None = None
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def bind(self, socket: WebSocket) -> WebSocket:
        self._socket = socket
        return socket

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close(1001, "shutting down")

    # --- from the socket ----------------------------------------------------------------------------------------------

    def on_open(self) -> None:
        self._server.connections.add(self)
        self.send(
            "hello",
            protocol=1,
            server={"name": "linecard-models", "version": __version__},
            roles={role.role: {"rates": list(role.rates)} for role in _ROLES},
            limits={"streams": self._server.options.streams, "audio_bytes": MAX_AUDIO_BYTES},
        )

    def on_text(self, text: str) -> None:
        message = decode(text)
        kind, number = message["type"], message.get("stream")
        if kind == "open":
            self._open(message)
            return
        stream = self._streams.get(number) if isinstance(number, int) else None
        if stream is None:
            return
        if kind == "close":
            self.drop(stream.number)
            self.send("closed", stream=stream.number)
        elif kind == "error":
            self.drop(stream.number)
        else:
            stream.on_message(kind, message)

    def on_audio(self, message: AudioMessage) -> None:
        stream = self._streams.get(message[0])
        if stream is not None:
            stream.on_audio(message)

    def on_pong(self) -> None:
        """Gateways probe us; we need not probe them."""

    def on_lost(self, reason: str) -> None:
        self._server.connections.discard(self)
        self.gone.set_result(None)
        for stream in self._streams.values():
            stream.close()
        self._streams.clear()

    # --- for streams --------------------------------------------------------------------------------------------------

    def send(self, kind: str, **fields: object) -> None:
        if self._socket is not None:
            self._socket.send_text(encode(kind, **fields))

    def send_audio(  # noqa: PLR0917 - the header, field by field
        self, stream: int, sequence: int, timestamp: int, request: int, flags: int, pcm: bytes
    ) -> bool:
        return self._socket is not None and self._socket.send_audio(stream, sequence, timestamp, request, flags, pcm)

    def drop(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None:
            stream.close()

    # --- inside -------------------------------------------------------------------------------------------------------

    def _open(self, message: Mapping[str, Any]) -> None:
        number = message["stream"]
        if number == 0 or number in self._streams:
            raise RemoteError(f"stream {number} cannot be opened: it is open, or the connection's own")
        role = next((role for role in _ROLES if role.role == message["role"]), None)
        rate = message.get("rate", 0)
        if role is None:
            self._refuse(number, "unknown_role", f"no role {message['role']!r} here", transient=False)
        elif role.rates and rate not in role.rates:
            self._refuse(number, "bad_rate", f"{role.role} works at {role.rates}, not at {rate}", transient=False)
        elif not self._speaks(message.get("language")):
            text = f"{self._server.models.dialogue.script.language!r} is spoken here, not {message['language']!r}"
            self._refuse(number, "bad_language", text, transient=False)
        elif len(self._streams) >= self._server.options.streams:
            self._refuse(number, "busy", f"{len(self._streams)} streams are open", transient=True)
        else:
            stream = role(self, self._server.models, number, rate, message["credit"])
            self._streams[number] = stream
            self.send("opened", stream=number, model=stream.model(), credit=stream.window)

    def _speaks(self, language: str | None) -> bool:
        """BCP 47: the primary subtag decides."""
        ours = self._server.models.dialogue.script.language
        return language is None or language.lower().partition("-")[0] == ours.lower().partition("-")[0]

    def _refuse(self, number: int, code: str, text: str, *, transient: bool) -> None:
        self.send("error", stream=number, transient=transient, code=code, message=text)


class Server:
    """The models and the listening socket. ``url`` is known after ``start``."""

    def __init__(self, options: ModelsOptions) -> None:
        self.options = options
        self.connections: set[_Connection] = set()
        self.models: Models
        self.url = ""
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Raises ``ConfigError`` for a bad dialogue, ``ResourceError`` if the port is taken or a model does not
        start."""
        options = self.options
        script = dialogue.load(options.dialogue)
        loop = asyncio.get_running_loop()
        # The port first: if it is taken, that is said at once and not after a second of loading.
        try:
            self._server = await loop.create_server(self._accept, options.host, options.port, start_serving=False)
        except OSError as error:
            raise ResourceError(
                f"cannot listen on {options.host}:{options.port}: {error.strerror}; is another running?"
            ) from error
        recogniser = Recogniser(
            script, threads=options.stt_threads, decoders=options.stt_decoders, turns=options.stt_turns
        )
        synthesiser = Synthesiser(Voice(options.voice, options.speed, options.pitch), cache_bytes=options.cache_bytes)
        self.models = Models(script, recogniser, synthesiser, options.token_delay / SECOND)
        await recogniser.start()
        await synthesiser.start()
        await self._server.start_serving()
        host, port = self._server.sockets[0].getsockname()[:2]
        self.url = f"ws://{f'[{host}]' if ':' in host else host}:{port}/"

    async def close(self) -> None:
        """Ends connections with 1001, then the models."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self.connections):
            connection.close()
        if self.connections:
            await asyncio.wait([connection.gone for connection in self.connections], timeout=_CLOSE_LIMIT)
        await self.models.recogniser.close()
        await self.models.synthesiser.close()

    def _accept(self) -> WebSocket:
        connection = _Connection(self)
        return connection.bind(WebSocket(_Handshake(self.options.token), connection))


async def serve(host: str = "127.0.0.1", port: int = 8765, options: ModelsOptions | None = None) -> int:
    """Runs until SIGTERM or SIGINT. The exit status: 1 if it could not start, and one log line says why."""
    options = (options or ModelsOptions()).model_copy(update={"host": host, "port": port})
    os.nice(options.nice)
    server = Server(options)
    try:
        await server.start()
    except (ConfigError, ResourceError) as error:
        log.error("models.failed", reason=str(error))
        return 1
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    log.info("models.ready", url=server.url, dialogue=server.models.dialogue.script.name)
    try:
        await stop.wait()
    finally:
        await server.close()
    log.info("models.stopped")
    return 0
