"""Records on their way to disk: written by a thread that no call waits for.

A full disk or a slow one loses records, which are counted, and never a call.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import structlog

__all__ = ["Record", "Records", "Store"]

Record = Mapping[str, Any]
"""An event of a call. ``event`` says which, ``call_id`` of which call, ``at`` when (seconds since 1970)."""

_LIMIT: Final = 10_000
"""Records that wait for the disk at most."""
_BATCH: Final = 1000
_GATHER: Final = 0.05
"""Seconds that a record waits for others. One transaction for each would cost a call more than its signalling does, and
hold the interpreter's lock meanwhile."""
_HOUSEKEEPING: Final = 60.0
"""Seconds between two calls of ``Store.tidy``."""


class Store(Protocol):
    """Where records end up. All but ``name`` is called by the writer's thread alone, ``open`` once before it starts."""

    name: str
    """For the log."""

    def open(self) -> None:
        """Raises ``ResourceError`` if nothing can be written: better at the start than after the first call."""

    def append(self, batch: Sequence[Record]) -> None:
        """May raise anything: the batch is then lost, and counted."""

    def tidy(self) -> None:
        """Deletes what need not be kept any longer; called about once a minute."""

    def close(self) -> None: ...


class Records:
    """Queues records for its stores. Without a store, nothing is kept; listeners hear all the same."""

    def __init__(self, stores: Sequence[Store] = (), limit: int = _LIMIT) -> None:
        self.lost = 0
        self._stores = tuple(stores)
        self._limit = limit
        self._queue: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
        self._last = threading.Event()
        self._thread: threading.Thread | None = None
        self._listeners: list[Callable[[Record], None]] = []

    def start(self) -> None:
        """Raises ``ResourceError`` if a store cannot be opened."""
        for store in self._stores:
            store.open()
        if self._stores:
            self._thread = threading.Thread(target=self._write, name="records", daemon=True)
            self._thread.start()

    def listen(self, listener: Callable[[Record], None]) -> None:
        """``listener`` hears every record at once, on the event loop: metrics and traces are made of the same facts."""
        self._listeners.append(listener)

    def add(self, record: Record) -> None:
        """Takes a record, which must not change any more. If the disk has fallen too far behind, it is lost and
        counted."""
        stamped = {"at": round(time.time(), 6), **record}
        for listener in self._listeners:
            try:
                listener(stamped)
            except Exception as error:  # noqa: BLE001  a figure that cannot be counted costs no call
                structlog.get_logger().error("records.unheard", record=record.get("event"), exc_info=error)
        if self._thread is None:
            return
        if self._queue.qsize() >= self._limit:
            self.lost += 1
        else:
            self._queue.put(stamped)

    def close(self, timeout: float = 0.5) -> None:
        """Writes what is queued, for ``timeout`` seconds at most."""
        if self._thread is None:
            return
        self._last.set()
        self._queue.put(None)
        self._thread.join(timeout)
        if self._thread.is_alive():  # what waits behind a disk that hangs
            self.lost += max(0, self._queue.qsize() - 1)
        self._thread = None
        if self.lost:
            structlog.get_logger().error("records.lost", records=self.lost)

    def _write(self) -> None:
        """The thread."""
        tidied = time.monotonic()
        last = False
        while not last:
            batch, last = self._next_batch()
            for store in self._stores:
                self._attempt(store, batch)
            if time.monotonic() - tidied > _HOUSEKEEPING:
                tidied = time.monotonic()
                for store in self._stores:
                    self._attempt(store, None)
        for store in self._stores:
            store.close()

    def _next_batch(self) -> tuple[list[Record], bool]:
        """What waits or comes within a moment, at most a thousand; True if it is the last."""
        batch: list[Record] = []
        try:
            record = self._queue.get(timeout=_HOUSEKEEPING)
            self._last.wait(_GATHER)
            while record is not None:
                batch.append(record)
                if len(batch) == _BATCH:
                    return batch, False
                record = self._queue.get_nowait()
        except queue.Empty:
            return batch, False
        return batch, True

    def _attempt(self, store: Store, batch: list[Record] | None) -> None:
        """Writes the batch, or tidies up if there is none."""
        try:
            if batch is None:
                store.tidy()
            elif batch:
                store.append(batch)
        except Exception as error:  # noqa: BLE001  whatever it is, the thread must write the next batch
            self.lost += len(batch or ())
            structlog.get_logger().error("records.failed", store=store.name, reason=str(error))
