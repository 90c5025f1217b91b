"""What the recorder's thread does for one leg: a recording, a capture, or both. Nobody else calls anything here."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from codecs_ext.stereo import Stereo
from codecs_ext.trace import Trace
from gateway.errors import ResourceError
from gateway.media.recording.options import CaptureOptions, RecordingOptions
from gateway.media.recording.pcapng import file_head, in_order
from gateway.media.recording.sinks import OpusSink, PlainSink, Sink, WavSink

__all__ = ["CaptureReel", "RecordingReel", "TapeReport"]

_KIB: Final = 1024
_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class TapeReport:
    """What became of a recording or a capture."""

    file: str | None
    """None: nothing was written."""
    octets: int = 0
    lost: int = 0
    """Samples that came too late to be put in their place, or packets that memory was lacking for."""
    failed: str = ""
    """Why it ends before the call does, if so."""


class _Reel:
    """One file that grows until it cannot; then it is left as it is, and the call goes on."""

    def __init__(self, path: Path, on_failed: Callable[[Path, str], None]) -> None:
        self._path = path
        self._on_failed = on_failed
        self._sink: Sink | None = None
        self.report = TapeReport(None)

    def _guarded(self, work: Callable[[], None]) -> None:
        if self.report.failed:
            return
        try:
            work()
        except (OSError, ResourceError, ValueError) as error:  # ValueError: what PyAV's errors are besides OSError
            self.report = replace(self.report, failed=getattr(error, "strerror", None) or str(error))
            if self._sink is not None:
                self._sink.close()
            self._on_failed(self._path, self.report.failed)

    def _opened(self, sink: Sink) -> None:
        self._sink = sink
        self.report = replace(self.report, file=str(sink.path))

    def _write(self, data: bytes) -> None:
        if data and self._sink is not None:
            self._sink.write(data)
            self.report = replace(self.report, octets=self.report.octets + len(data))

    def _close(self) -> None:
        if self._sink is not None:
            self._sink.close()


class RecordingReel(_Reel):
    """The caller left, the agent right."""

    def __init__(
        self, path: Path, options: RecordingOptions, rate: int, origin: int, on_failed: Callable[[Path, str], None]
    ) -> None:
        super().__init__(path, on_failed)
        self._options = options
        self._rate = rate
        self.stereo: Stereo | None = Stereo(rate, origin, cut=options.pause == "cut")
        """None once it is closed: it holds two seconds of samples, and garbage may wait long for its collector."""

    def open(self) -> None:
        self._guarded(lambda: self._opened(self._new_sink()))

    def _new_sink(self) -> Sink:
        if self._options.format == "opus":
            return OpusSink(self._path, self._rate, self._options.bitrate)
        return WavSink(self._path, self._rate)

    def round(self, now: int) -> None:
        if self.stereo is not None:
            data = self.stereo.take(now)
            self._guarded(lambda: self._write(data))

    def close(self, now: int) -> None:
        stereo, self.stereo = self.stereo, None
        if stereo is not None:
            data = stereo.finish(now)
            self._guarded(lambda: self._write(data))
            self.report = replace(self.report, lost=stereo.misplaced)
        self._guarded(self._close)


class CaptureReel(_Reel):
    """Packets and messages, written as they come or kept until it is known whether the call failed."""

    def __init__(
        self,
        path: Path,
        options: CaptureOptions,
        comment: str,
        local: tuple[str, int],
        on_failed: Callable[[Path, str], None],
    ) -> None:
        super().__init__(path, on_failed)
        self._always = options.keep == "always"
        self._limit = options.limit * _MIB if self._always else options.memory * _KIB
        self._comment = comment
        self._kept: deque[bytes] = deque()
        self._held = 0
        self._dropped = 0
        self.trace: Trace | None = Trace(local[0], local[1], local[1] + 1)
        self.messages: list[tuple[int, bytes]] = []

    def open(self) -> None:
        if self._always:
            self._guarded(self._begin)

    def _begin(self) -> None:
        self._opened(PlainSink(self._path))
        self._write(file_head(self._comment))

    def round(self, now: int) -> None:
        messages, self.messages = self.messages, []
        data = in_order(b"" if self.trace is None else self.trace.take(), messages)
        if not data:
            return
        if self._always and self.report.octets + len(data) <= self._limit:
            self._guarded(lambda: self._write(data))
        elif self._always:
            self._dropped += 1
        else:
            self._keep(data)

    def _keep(self, data: bytes) -> None:
        self._kept.append(data)
        self._held += len(data)
        while self._held > self._limit and len(self._kept) > 1:
            self._held -= len(self._kept.popleft())
            self._dropped += 1

    def close(self, now: int, *, failed: bool) -> None:
        self.round(now)
        if failed and not self._always:
            self._guarded(self._begin)
            self._guarded(lambda: self._write(b"".join(self._kept)))
        self._guarded(self._close)
        self._kept.clear()
        if self.trace is not None:
            self.report = replace(self.report, lost=self.trace.lost)
        self.trace = None


def wall_clock_offset() -> int:
    """Nanoseconds to add to CLOCK_MONOTONIC to get the time since 1970."""
    return time.time_ns() - time.monotonic_ns()
