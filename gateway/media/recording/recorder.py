"""The thread that writes recordings and captures, and what the event loop holds of each.

tape = recorder.tape(leg)               # a leg of the plane
tape.record(path, options, 8000); tape.pause(True); tape.pause(False)
tape.capture(path, options, "why")
recording, capture = await tape.finish(failed=False)      # after the leg is closed

The media threads copy into a ring each (``codecs_ext/tape.pyx``). This thread empties them ten times a second and waits
for the disk; nobody waits for it. If the disk is slow a ring fills, and samples are lost and counted.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import structlog

from codecs_ext.reels import Reels, TapeEnd
from gateway.errors import ResourceError
from gateway.media.contract import TapeOrder
from gateway.media.recording.options import CaptureOptions, RecordingOptions
from gateway.media.recording.pcapng import Segments, redact
from gateway.media.recording.reel import CaptureReel, RecordingReel, TapeReport, wall_clock_offset
from gateway.units import MS

__all__ = ["LegTape", "Recorder", "TapedLeg"]

_ROUND_S: Final = 0.1
_PATIENCE_S: Final = 2.0
"""How long the end of a call waits for its file."""

_log = structlog.get_logger("linecard.media")


class TapedLeg(Protocol):
    """What a recording needs of a leg."""

    local: tuple[str, int]

    def tape(self, order: TapeOrder) -> None: ...


@dataclass(slots=True)
class _Reels:
    """What one leg has on; changed by the event loop before the thread is told."""

    name: int
    recording: RecordingReel | None = None
    capture: CaptureReel | None = None


@dataclass(frozen=True, slots=True)
class _PutOn:
    reels: _Reels
    new: RecordingReel | CaptureReel


@dataclass(frozen=True, slots=True)
class _TakeOff:
    reels: _Reels
    failed: bool
    done: Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Message:
    reel: CaptureReel
    time: int
    block: bytes


class _Stop:
    """The plane has ended: write what there is."""


class Recorder:
    """Owner of the thread, which starts with the first recording or capture. Methods are the event loop's."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._ends: list[TapeEnd] = []
        self._free: list[int] = []
        self._orders: queue.SimpleQueue[_PutOn | _TakeOff | _Message | _Stop] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self, ends: Sequence[TapeEnd]) -> None:
        """``ends``: one per media thread."""
        self._ends = list(ends)
        self._free = list(range(self._limit - 1, -1, -1))

    def tape(self, leg: TapedLeg) -> LegTape:
        """Raises ``ResourceError`` if more legs are recorded than there may be."""
        if not self._free:
            raise ResourceError(f"{self._limit} recordings and captures are under way")
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
            self._thread.start()
        return LegTape(self, self._free.pop(), leg)

    def order(self, order: _PutOn | _TakeOff | _Message) -> None:
        """To the thread, without waiting."""
        self._orders.put(order)

    def released(self, name: int) -> None:
        """The thread has nothing of that name any more."""
        self._free.append(name)

    async def stop(self) -> None:
        """Writes what there is, within two seconds. After the media threads have ended."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._orders.put(_Stop())
            await asyncio.to_thread(thread.join, _PATIENCE_S)

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        desk = _Desk(self._limit)
        while not desk.stopping:
            self._obey(desk, wait=True)
            ended, desk.ending = desk.ending, []
            marks = [end.mark() for end in self._ends]
            # What is on the tape before its mark belongs to reels that we know of now; what ends was written before it.
            self._obey(desk, wait=False)
            for end, mark in zip(self._ends, marks, strict=True):
                desk.sorter.read(end, mark)
            desk.round(ended)
        desk.round(desk.ending)
        desk.round([_TakeOff(reels, False, lambda: None) for reels in desk.under_way.values()])

    def _obey(self, desk: _Desk, *, wait: bool) -> None:
        """Orders that have come; with ``wait`` for the length of a round, or until there is something to do at all."""
        until = time.monotonic() + _ROUND_S
        while not desk.stopping:
            left = max(0.0, until - time.monotonic()) if desk.busy else None
            try:
                order = self._orders.get(wait and left != 0, left or None)
            except queue.Empty:
                return
            desk.obey(order)


class _Desk:
    """Everything that the thread has under way."""

    def __init__(self, limit: int) -> None:
        self.sorter = Reels(limit)
        self.under_way: dict[int, _Reels] = {}
        self.ending: list[_TakeOff] = []
        self.stopping = False

    @property
    def busy(self) -> bool:
        return bool(self.under_way or self.ending)

    def obey(self, order: _PutOn | _TakeOff | _Message | _Stop) -> None:
        match order:
            case _PutOn(reels, new):
                new.open()
                self.under_way[reels.name] = reels
                recording, capture = reels.recording, reels.capture
                self.sorter.put_on(
                    reels.name, recording.stereo if recording else None, capture.trace if capture else None
                )
            case _Message(reel, at, block):
                reel.messages.append((at, block))
            case _TakeOff():
                self.ending.append(order)
            case _Stop():
                self.stopping = True

    def round(self, ended: list[_TakeOff]) -> None:
        """Writes what is ready, and all of what has ended."""
        now = time.monotonic_ns()
        for reels in self.under_way.values():
            for reel in (reels.recording, reels.capture):
                if reel is not None:
                    reel.round(now)
        for order in ended:
            self._close(order, now)

    def _close(self, order: _TakeOff, now: int) -> None:
        reels = order.reels
        self.sorter.take_off(reels.name)
        self.under_way.pop(reels.name, None)
        if reels.recording is not None:
            reels.recording.close(now)
        if reels.capture is not None:
            reels.capture.close(now, failed=order.failed)
        order.done()


class LegTape:
    """Recording and capture of one leg, as the event loop sees them."""

    def __init__(self, recorder: Recorder, name: int, leg: TapedLeg) -> None:
        self._recorder = recorder
        self._reels = _Reels(name)
        self._leg = leg
        self._loop = asyncio.get_running_loop()
        self._offset = wall_clock_offset()
        self._segments = Segments()
        self._options: RecordingOptions | None = None
        self._capture: CaptureOptions | None = None
        self._voice = False
        self._finished: asyncio.Future[None] | None = None
        self.paused = False

    def record(self, path: Path, options: RecordingOptions, rate: int) -> None:
        """From now on, until ``finish``; a second time is ignored."""
        if self._reels.recording is None and self._finished is None:
            reel = RecordingReel(path, options, rate, time.monotonic_ns(), self._told_failed)
            self._reels.recording = reel
            self._options = options
            self._voice = True
            self._recorder.order(_PutOn(self._reels, reel))
            self._order()

    def pause(self, paused: bool) -> None:
        """Nothing is recorded while it is paused: the samples do not even leave the media thread."""
        if self._voice and paused != self.paused:
            self.paused = paused
            self._order()

    def capture(self, path: Path, options: CaptureOptions, comment: str) -> None:
        """From now on, until ``finish``; a second time is ignored."""
        if self._reels.capture is None and self._finished is None:
            reel = CaptureReel(path, options, comment, self._leg.local, self._told_failed)
            self._reels.capture = reel
            self._capture = options
            self._recorder.order(_PutOn(self._reels, reel))
            self._order()

    def message(
        self, at: int, transport: str, local: tuple[str, int], remote: tuple[str, int], data: bytes, *, outbound: bool
    ) -> None:
        """A SIP message of the call, ``at`` in monotonic nanoseconds; only what a capture wants is kept."""
        if self._reels.capture is not None and self._capture is not None and self._finished is None:
            time_ns = at + self._offset
            data = data if self._capture.secrets else redact(data)
            block = self._segments.message(time_ns, transport, local, remote, data, outbound=outbound)
            self._recorder.order(_Message(self._reels.capture, time_ns, block))

    async def finish(self, *, failed: bool) -> tuple[TapeReport | None, TapeReport | None]:
        """The leg is closed: what became of the recording and of the capture, if there were any. Waits two seconds at
        most: a disk that hangs holds no call."""
        if self._finished is None:
            self._finished = self._loop.create_future()
            self._recorder.order(_TakeOff(self._reels, failed, self._told_finished))
        done, _ = await asyncio.wait([self._finished], timeout=_PATIENCE_S)
        if not done:
            _log.error("recording.slow", waited_s=_PATIENCE_S)
        recording, capture = self._reels.recording, self._reels.capture
        return (recording.report if recording else None), (capture.report if capture else None)

    def _order(self) -> None:
        beep = self._options.beep if self._options is not None and self._voice else None
        order = TapeOrder(
            self._reels.name,
            self._voice,
            self._reels.capture is not None and not self._reels.capture.report.failed,
            self.paused,
            beep.every // MS if beep else 0,
            beep is not None and beep.to == "both",
        )
        self._leg.tape(order)

    # --- told by the thread -------------------------------------------------------------------------------------------

    def _told_failed(self, path: Path, why: str) -> None:
        self._loop.call_soon_threadsafe(self._failed, path, why)

    def _told_finished(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._done)

    def _failed(self, path: Path, why: str) -> None:
        """The file is left as it is; the plane need not copy for it any more."""
        _log.error("recording.failed", file=str(path), reason=why)
        if self._reels.recording is not None and self._reels.recording.report.failed:
            self._voice = False
        self._order()

    def _done(self) -> None:
        self._recorder.released(self._reels.name)
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(None)
