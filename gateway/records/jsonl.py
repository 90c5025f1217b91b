"""Records as lines of JSON, for whatever reads logs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from gateway.errors import ResourceError
from gateway.records.writer import Record
from gateway.redaction import redacted

__all__ = ["JsonLines"]


class JsonLines:
    """An append-only file."""

    def __init__(self, path: Path, *, redact: bool = False) -> None:
        self.name = str(path)
        self._path = path
        self._redact = redact

    def open(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.open("a", encoding="utf-8").close()
        except OSError as error:
            raise ResourceError(
                f"records.file: {self._path}: {error.strerror}; choose a path that can be written"
            ) from error

    def append(self, batch: Sequence[Record]) -> None:
        """Opened anew for each batch, so that a rotated file is followed."""
        records = map(redacted, batch) if self._redact else batch
        lines = [json.dumps(record, ensure_ascii=False, default=str) for record in records]
        with self._path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write("\n".join(lines) + "\n")

    def tidy(self) -> None:
        """Whoever rotates the file deletes it."""

    def close(self) -> None:
        """Nothing is open between two batches."""
