"""What an agent that is Linecard has written down itself: its log in JSON, or the database of its call records.

Turns are joined by Call-ID and by time, so agent and callers must share a clock: one machine.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from gateway.bench.measure.inside import InsideTurn, LogLine, read_line, read_turn
from gateway.errors import ConfigError
from gateway.records.archive import Archive, Selection

__all__ = ["InsideFile"]

_SQLITE: Final = b"SQLite format 3\0"
_MOST: Final = 1_000_000
"""Turns that are read."""


class InsideFile:
    """Opened before the run, so that only what is written from then on is read. Raises ``ConfigError``."""

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                self._database = file.read(len(_SQLITE)) == _SQLITE
            self._from = path.stat().st_size
        except OSError as error:
            raise ConfigError(
                [f"{path}: {error.strerror}; give a gateway's log in JSON or its call records"]
            ) from error
        self._path = path
        self._since = time.time()
        self._turns: dict[str, list[InsideTurn]] | None = None

    def turns(self, call_id: str) -> Sequence[InsideTurn]:
        """Of one call. The file is read when this is asked for the first time."""
        if self._turns is None:
            found = defaultdict(list)
            for line in self._records() if self._database else self._lines():
                if line.event == "turn":
                    found[line.call_id].append(read_turn(line))
            self._turns = dict(found)
        return self._turns.get(call_id, ())

    def _lines(self) -> Iterator[LogLine]:
        with self._path.open("rb") as file:
            file.seek(self._from)
            for text in file:
                line = read_line(text)
                if line is not None:
                    yield line

    def _records(self) -> Iterator[LogLine]:
        for row in Archive(self._path).turns(Selection(since=self._since), _MOST, slowest=False):
            yield LogLine("turn", json.loads(row["record"]))
