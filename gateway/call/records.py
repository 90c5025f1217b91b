"""Call records: one JSON line per turn and per call, written by a thread that no call waits for.

A full disk or a slow one loses records, which are counted, and never a call.
"""

from __future__ import annotations

import json
import queue
import threading
from pathlib import Path
from typing import Final

import structlog

from gateway.errors import ResourceError

__all__ = ["Records"]

_LIMIT: Final = 10_000
"""Lines that wait for the disk at most."""


class Records:
    """An append-only file of JSON lines. Without a path, nothing is kept."""

    def __init__(self, path: Path | None, limit: int = _LIMIT) -> None:
        self.lost = 0
        self._path = path
        self._lines: queue.Queue[str | None] = queue.Queue(limit)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Raises ``ResourceError`` if the file cannot be opened: better at the start than after the first call."""
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = self._path.open("a", encoding="utf-8")
        except OSError as error:
            raise ResourceError(
                f"records.file: {self._path}: {error.strerror}; choose a path that can be written"
            ) from error
        file.close()
        self._thread = threading.Thread(target=self._write, args=(self._path,), name="records", daemon=True)
        self._thread.start()

    def add(self, record: dict[str, object]) -> None:
        """Queues a record; if the disk has fallen too far behind, it is lost and counted."""
        if self._thread is None:
            return
        try:
            self._lines.put_nowait(json.dumps(record, ensure_ascii=False, default=str))
        except queue.Full:
            self.lost += 1

    def close(self, timeout: float = 0.5) -> None:
        """Writes what is queued, for ``timeout`` seconds at most."""
        if self._thread is None:
            return
        try:
            self._lines.put(None, timeout=timeout)
        except queue.Full:
            self.lost += self._lines.qsize()
        self._thread.join(timeout)
        self._thread = None
        if self.lost:
            structlog.get_logger().error("records.lost", lines=self.lost, file=str(self._path))

    def _write(self, path: Path) -> None:
        """The thread. Opened anew for each batch, so that a rotated file is followed."""
        while (line := self._lines.get()) is not None:
            batch = [line]
            done = False
            while not self._lines.empty() and len(batch) < 1000:
                following = self._lines.get()
                if following is None:
                    done = True
                    break
                batch.append(following)
            self._append(path, batch)
            if done:
                return

    def _append(self, path: Path, batch: list[str]) -> None:
        try:
            with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write("\n".join(batch) + "\n")
        except Exception as error:  # noqa: BLE001  whatever it is, the thread must write the next batch
            self.lost += len(batch)
            structlog.get_logger().error("records.failed", file=str(path), reason=str(error))
