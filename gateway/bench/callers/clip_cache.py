"""Clips on disk, so that a second run says the same without waiting for the voice."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Final

from gateway.bench.callers.speech import PREPARED

__all__ = ["ClipCache"]

_MOST: Final = 5000
"""Clips that are kept; a clip of three seconds has 48 kB."""


class ClipCache:
    """A folder of clips, named by all that they depend on. What cannot be read or written there is made anew."""

    def __init__(self, folder: Path | None = None) -> None:
        home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        self._folder = folder or Path(home) / "linecard" / "voices"

    def find(self, *what: object) -> bytes | None:
        """``what``: text, voice, language, level, and the engine with its version."""
        try:
            clip = self._file(what).read_bytes()
        except OSError:
            return None
        return clip if clip and len(clip) % 2 == 0 else None

    def keep(self, clip: bytes, *what: object) -> None:
        """Whole or not at all: another process may read at the same time."""
        file = self._file(what)
        half = file.with_suffix(f".{os.getpid()}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            half.write_bytes(clip)
            half.replace(file)
            self._prune()
        except OSError:
            half.unlink(missing_ok=True)

    def _file(self, what: tuple[object, ...]) -> Path:
        name = hashlib.sha256(json.dumps([PREPARED, *map(str, what)]).encode()).hexdigest()
        return self._folder / f"{name}.pcm"

    def _prune(self) -> None:
        files = sorted(self._folder.glob("*.pcm"), key=lambda file: file.stat().st_mtime)
        for file in files[: max(0, len(files) - _MOST)]:
            file.unlink(missing_ok=True)
