"""What the sessions of all roles share: telling the listener, ending once, deadlines, and the format of the audio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, TypeVar

from codecs_ext.g711 import linear_to_alaw, linear_to_ulaw
from codecs_ext.resample import Resample
from gateway.audio import AudioFormat, Encoding
from gateway.errors import ProviderError
from gateway.providers import faults
from gateway.providers.contract import Failed, ModelInfo
from gateway.providers.dialect import Fault
from gateway.units import SECOND, Nanos

__all__ = ["BaseSession", "Converter", "Deadlines", "Work"]

_R = TypeVar("_R")

_ENCODE: Final[dict[Encoding, Callable[[bytes], bytes]]] = {
    Encoding.ULAW: linear_to_ulaw,
    Encoding.ALAW: linear_to_alaw,
}
"""Of what G.711 decoded, encoding by the same law gives the same bytes again: a call's own audio loses nothing."""


class Work:
    """The tasks of a provider's sessions: nobody else holds them, and none outlives the provider."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Converter:
    """PCM at a session's rate to what a dialect hears, in pieces of the size that the provider wants."""

    def __init__(
        self,
        rate: int,
        wanted: AudioFormat,
        frame_ms: int,
        *,
        filled: bool = False,
        written: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self._resample = None if rate == wanted.rate else Resample(rate, wanted.rate)
        self._encode = _ENCODE.get(wanted.encoding)
        self._size = wanted.bytes_per_second * frame_ms // 1000
        self._silence = wanted.silence(frame_ms) if filled else b""
        self._written = written
        self._waiting = bytearray()

    def feed(self, pcm: bytes) -> bytes | None:
        """The next piece, if it is complete."""
        if self._resample is not None:
            pcm = self._resample.process(pcm)
        if self._encode is not None:
            pcm = self._encode(pcm)
        if not self._waiting and len(pcm) >= self._size:
            return self._written(pcm)
        self._waiting += pcm
        return self.flush() if len(self._waiting) >= self._size else None

    def flush(self) -> bytes | None:
        """What waits, however little."""
        piece = bytes(self._waiting)
        if piece:
            piece += self._silence[len(piece) :]
        self._waiting.clear()
        return self._written(piece) if piece else None


class Deadlines:
    """One timer for the requests of a session; each must make progress."""

    def __init__(self, limit: Nanos, on_late: Callable[[int], None]) -> None:
        self._limit = limit / SECOND
        self._on_late = on_late
        self._loop = asyncio.get_running_loop()
        self._since: dict[int, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def expect(self, request: int) -> None:
        """From now on, or again from now on."""
        self._since[request] = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._limit, self._check)

    def done(self, request: int) -> None:
        self._since.pop(request, None)

    def clear(self) -> None:
        self._since.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        self._timer = None
        late = self._loop.time() - self._limit
        for request in [request for request, since in self._since.items() if since <= late]:
            if self._since.pop(request, None) is not None:
                self._on_late(request)
        if self._since and self._timer is None:
            self._timer = self._loop.call_at(min(self._since.values()) + self._limit, self._check)


class BaseSession(Generic[_R]):
    """Its listener is told nothing after the session has ended."""

    def __init__(self, name: str, model: ModelInfo, listener: Callable[[_R | Failed], None]) -> None:
        self.model = model
        self._name = name
        self._listener = listener
        self._ended = False

    def _tell(self, result: _R | Failed) -> None:
        if self._ended:
            return
        try:
            self._listener(result)
        except Exception as error:  # noqa: BLE001 - one call's bug must not end the connection of others
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"a listener of {self._name} raised", "exception": error}
            )

    def _fail(self, fault: Fault | ProviderError, request: int | None = None) -> None:
        """The request, or the whole session, is over."""
        error = fault if isinstance(fault, ProviderError) else faults.to_error(self._name, fault)
        self._tell(Failed(error, request))
        if request is None:
            self._end()

    def _late(self, role: str, request: int) -> None:
        self._fail(ProviderError(self._name, f"no {role} answer in time", transient=True), request)

    def _end(self) -> None:
        """Subclasses let go of what they hold."""
        self._ended = True
