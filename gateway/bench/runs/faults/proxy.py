"""Between a gateway and its models: passes bytes on, until it is told to do worse.

TCP, so that it serves every protocol that providers speak; the only thing it says itself is 503, in the words of HTTP,
which is what a WebSocket's handshake and a request understand.
"""

from __future__ import annotations

import asyncio
from typing import Final

__all__ = ["FaultProxy"]

_CHUNK: Final = 1 << 16
_HELD: Final = 256
"""Chunks that a slow connection may have under way; beyond, it is no longer read."""
_CONNECT_LIMIT: Final = 5.0
_REFUSAL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)
_HEAD: Final = 1 << 16

_Chunk = tuple[float, bytes]


class FaultProxy:
    """Listens on a port of its own once ``start`` has returned. ``delay_s`` and ``refusing`` may change at any time."""

    def __init__(self, host: str, port: int) -> None:
        self.delay_s = 0.0
        """What comes from the models is passed on so much later."""
        self.refusing = False
        self._to = (host, port)
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, ...]] = {}

    async def start(self) -> int:
        """The port."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0, limit=_HEAD)
        return int(self._server.sockets[0].getsockname()[1])

    def drop(self) -> int:
        """Ends every connection without a word; how many there were."""
        for writers in self._open.values():
            for writer in writers:
                writer.transport.abort()
        return len(self._open)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.drop()
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._open[task] = (writer,)
        try:
            if self.refusing:
                await _refuse(reader, writer)
            else:
                await self._relay(task, reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # one of the two ends has gone: so does the other
        finally:
            writers = self._open.pop(task)
            for one in writers:
                one.transport.abort()

    async def _relay(
        self, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        async with asyncio.timeout(_CONNECT_LIMIT):
            far_reader, far_writer = await asyncio.open_connection(*self._to)
        self._open[task] = (writer, far_writer)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pass(reader, far_writer))
                group.create_task(self._pass_slowly(far_reader, writer))
        except* OSError:
            pass  # as above, of the two directions

    async def _pass_slowly(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """In order, each chunk as much later as was wanted when it came."""
        held: asyncio.Queue[_Chunk | None] = asyncio.Queue(_HELD)
        loop = asyncio.get_running_loop()

        async def read() -> None:
            while data := await reader.read(_CHUNK):
                await held.put((loop.time() + self.delay_s, data))
            await held.put(None)

        async with asyncio.TaskGroup() as group:
            group.create_task(read())
            while (chunk := await held.get()) is not None:
                due, data = chunk
                await asyncio.sleep(max(0.0, due - loop.time()))
                writer.write(data)
                await writer.drain()
            _finish(writer)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    _finish(writer)


def _finish(writer: asyncio.StreamWriter) -> None:
    """This direction is over; unless the connection is gone by now."""
    if not writer.is_closing():
        writer.write_eof()


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    async with asyncio.timeout(_CONNECT_LIMIT):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_REFUSAL)
        await writer.drain()
        _finish(writer)
        await reader.read()  # until the other side has read it and closed
