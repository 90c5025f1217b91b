"""The servers that the contract is tried against: for each kind of provider, one that behaves and all that do not.

A provider joins the contract by an entry in ``PEERS``: ``serve(fault)`` is a context that yields the provider's YAML
block, with a server behind it that plays all the roles and, at the first request of a stream, commits the fault.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import Enum
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.server import ServerConnection, serve

_spec = spec_from_file_location("model_server", Path(__file__).with_name("model_server.py"))
assert _spec is not None
assert _spec.loader is not None
model_server: Any = module_from_spec(_spec)
_spec.loader.exec_module(model_server)


class Fault(Enum):
    NONE = "none"
    SLOW = "slow"
    DROP = "drop"
    STALL = "stall"
    HALF_OPEN = "half-open"
    TRANSIENT = "transient error"
    PERMANENT = "permanent error"
    SESSION_ERROR = "error of the session"
    GARBAGE_TEXT = "garbage text"
    GARBAGE_FIELDS = "garbage fields"
    GARBAGE_AUDIO = "garbage audio"
    GARBAGE_FRAMES = "garbage frames"
    FLOOD = "flood"


REQUESTS: Final = {"end", "generate", "speak"}


class _Faulty(model_server.Stream):  # type: ignore[misc]
    """The behaving server's stream, until its first request."""

    fault = Fault.NONE

    async def on_message(self, message: dict[str, Any]) -> None:
        if message["type"] not in REQUESTS or self.fault is Fault.NONE:
            await super().on_message(message)
            return
        request = message["request"]
        match self.fault:
            case Fault.SLOW:
                await asyncio.sleep(0.15)
                await super().on_message(message)
            case Fault.DROP:
                if self.role == "tts":  # in mid-speech
                    self.credit = 3200
                    await super().on_message(message)
                self.socket.transport.abort()
            case Fault.STALL:
                pass
            case Fault.HALF_OPEN:
                self.socket.transport.pause_reading()
            case Fault.TRANSIENT | Fault.PERMANENT:
                transient = self.fault is Fault.TRANSIENT
                await self.say("error", request=request, transient=transient, code="test", message="no")
            case Fault.SESSION_ERROR:
                await self.say("error", transient=True, code="test", message="gone")
            case Fault.GARBAGE_TEXT:
                await self.socket.send("%%%")
            case Fault.GARBAGE_FIELDS:
                await self.say("token", request="seven", text=7)
                await self.say("transcript", request=None, text=[])
            case Fault.GARBAGE_AUDIO:
                await self.socket.send(b"short")
            case Fault.GARBAGE_FRAMES:
                self.socket.transport.write(b"\xff\xff\xff" * 40)
            case Fault.FLOOD:
                for _ in range(40):
                    await self.socket.send(struct.pack(">IIQIHH", self.number, 0, 0, request, 0, 0) + bytes(60000))


@asynccontextmanager
async def native(fault: Fault) -> AsyncIterator[dict[str, Any]]:
    stream = type("Stream", (_Faulty,), {"fault": fault})

    async def connection(socket: ServerConnection) -> None:
        previous, model_server.Stream = model_server.Stream, stream
        try:
            await model_server.connection(socket)
        finally:
            model_server.Stream = previous

    async with serve(
        connection,
        "127.0.0.1",
        0,
        subprotocols=["linecard.plug.v1"],
        compression=None,
        close_timeout=0.2,  # type: ignore[list-item]
    ) as server:
        port = server.sockets[0].getsockname()[1]
        yield native_block(port)


def native_block(port: int) -> dict[str, Any]:
    """Short limits: these tests wait for them."""
    return {
        "url": f"ws://127.0.0.1:{port}/",
        "stt_timeout": "400ms",
        "llm_timeout": "400ms",
        "tts_timeout": "400ms",
        "ping_interval": "300ms",
        "ping_timeout": "300ms",
        "reconnect_min": "20ms",
        "reconnect_max": "100ms",
        "window": "10s",
    }


PEERS: Final[dict[str, Callable[[Fault], AbstractAsyncContextManager[dict[str, Any]]]]] = {"native": native}
ABSENT: Final[dict[str, Callable[[], dict[str, Any]]]] = {"native": lambda: native_block(1)}

__all__ = ["ABSENT", "PEERS", "Fault", "json", "native_block"]
