"""The event loop's face of a WebSocket that a media thread speaks, and of a patch between it and a leg."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from codecs_ext.plane import PatchEnd, PlaneShard
from gateway.errors import ResourceError
from gateway.media.verbs import Verbs
from gateway.wire.pipe import Backlog, Piped

__all__ = ["LegPatch", "PlanePipe"]


class PlanePipe(asyncio.WriteTransport):
    """Implements ``gateway.wire.pipe.Pipe``. A write that the command ring has no room for waits in ``Verbs``."""

    def __init__(
        self, shard: PlaneShard, verbs: Verbs, fd: int, *, room: int, backlog: Backlog, protocol: Piped
    ) -> None:
        """Raises ``ResourceError``; the descriptor is the caller's still then."""
        super().__init__()
        self._shard = shard
        self._verbs = verbs
        self._protocol = protocol
        self._pushed = 0
        self._done = 0
        self._closing = False
        try:
            self._slot = shard.pipe(fd, room, self, *backlog)
        except (MemoryError, ValueError) as error:
            raise ResourceError(f"no media thread for the connection: {error}") from error

    def is_on(self, shard: PlaneShard) -> bool:
        """Whether this thread speaks it."""
        return self._shard is shard and self._slot >= 0

    @property
    def slot(self) -> int:
        """The shard's name for it; -1 once it is gone."""
        return self._slot

    @property
    def received(self) -> int:
        return 0 if self._slot < 0 else self._shard.pipe_counts(self._slot)[2]

    # --- the transport ------------------------------------------------------------------------------------------------

    def write(self, data: Any) -> None:
        if data and not self._closing:
            self._pushed += len(data)
            self._verbs.do(self._write, data)

    def write_eof(self) -> None:
        if not self._closing:
            self._verbs.do(self._write, b"")

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        if self._slot < 0:
            return 0
        audio, sent, _ = self._shard.pipe_counts(self._slot)
        return max(0, self._pushed + audio - sent)

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._verbs.do(self._end, False)

    def abort(self) -> None:
        self._closing = True
        self._verbs.do(self._end, True)

    # --- commands: they may wait, and find the slot to be another's ---------------------------------------------------

    def _write(self, data: bytes) -> bool:
        return self._slot < 0 or self._shard.pipe_write(self._slot, data)

    def _end(self, abort: bool) -> bool:
        return self._slot < 0 or self._shard.pipe_end(self._slot, abort)

    def _ack(self, count: int) -> bool:
        return self._slot < 0 or self._shard.pipe_ack(self._slot, count)

    # --- from the shard -----------------------------------------------------------------------------------------------

    def heard(self, data: bytes) -> None:
        try:
            self._protocol.data_received(data)
        finally:
            self._done += len(data)
            self._verbs.do(self._ack, self._done)

    def ended(self, error: int) -> None:
        asked, self._closing, self._slot = self._closing, True, -1
        if error:
            self._protocol.connection_lost(OSError(error, os.strerror(error)))
            return
        if not asked:
            self._protocol.eof_received()
        self._protocol.connection_lost(None)


class LegPatch:
    """Implements ``gateway.wire.pipe.Patch``."""

    def __init__(self, end: PatchEnd, verbs: Verbs) -> None:
        self._end = end
        self._verbs = verbs
        self.credit = end.credit
        self.allow = end.allow
        self.attend = end.attend
        self.attended = end.attended
        self.keep = end.keep
        self.watch = end.watch
        self.counts = end.counts

    def go(self, sequence: int, behind: int, credit: int) -> None:
        self._verbs.do(self._end.go, sequence, behind, credit)

    def end(self) -> None:
        self._verbs.do(self._end.end)
