"""A model that says what it hears, over the native protocol, as cheap as Python and Cython make it: a load generator's
other end must not be what is measured. It takes any number of streams and gives credit once, for days.

    python benchmarks/echo_server.py [CERTIFICATE]      prints its URL; with a PEM of certificate and key it speaks TLS
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import Any

import uvloop
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from gateway.wire.messages import SUBPROTOCOL, decode, encode
from gateway.wire.socket import AudioMessage, WebSocket

CREDIT = 1 << 50


class Connection:
    """One gateway."""

    def __init__(self) -> None:
        self.socket = WebSocket(ServerProtocol(subprotocols=[Subprotocol(SUBPROTOCOL)]), self)

    def on_open(self) -> None:
        self._send("hello", protocol=1, server={"name": "echo", "version": "1"}, roles={"realtime": {"rates": [16000]}},
                   limits={"streams": 1 << 20, "audio_bytes": 65536})  # fmt: skip

    def on_text(self, text: str) -> None:
        message = decode(text)
        if message["type"] == "open":
            self._send("opened", stream=message["stream"], model={"name": "echo", "version": "1"}, credit=CREDIT)
        elif message["type"] == "close":
            self._send("closed", stream=message["stream"])

    def on_audio(self, message: AudioMessage) -> None:
        stream, sequence, timestamp, _, flags, pcm = message
        if self.socket.outbox is not None:
            self.socket.outbox.audio(stream, sequence, timestamp, 1, flags, pcm)

    def on_pong(self) -> None:
        """Not probed."""

    def on_lost(self, reason: str) -> None:
        """The next one comes."""

    def _send(self, kind: str, **fields: Any) -> None:
        self.socket.send_text(encode(kind, **fields))


async def main() -> None:
    secure = None
    if len(sys.argv) > 1:
        secure = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        secure.load_cert_chain(sys.argv[1])
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection().socket, "127.0.0.1", 0, ssl=secure, backlog=2048
    )
    print(f"{'wss' if secure else 'ws'}://localhost:{server.sockets[0].getsockname()[1]}/", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
