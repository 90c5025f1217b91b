"""The block ``records``: what is written down of calls, where, and for how long."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field

from gateway.options import Duration, Options

__all__ = ["RecordOptions"]


class RecordOptions(Options):
    """Call records. `linecard calls` and `linecard turns` ask the database."""

    database: Literal["auto", "off"] | Path = "auto"
    """SQLite file of calls, turns and events. `auto` is `calls.sqlite` in the service's state directory, or in
    `~/.local/state/linecard` when started by hand."""
    file: Path | None = None
    """Also append every record to this file, one JSON object per line."""
    headers: list[str] = Field(default=[], max_length=64)
    """Headers of INVITE and BYE to keep in ``call.started`` and ``call.ended``, like ``[X-*, User-to-User]``."""
    redact: bool = False
    """Store telephone numbers and what was said as the log shows them: shortened."""
    keep: Duration = Field(default="30d", validate_default=True)
    """Records older than this are deleted from the database."""
    keep_speech: Duration | None = None
    """What was said, and the numbers, are shortened in records older than this; the figures stay."""

    @property
    def database_file(self) -> Path | None:
        """Where the database is, or None if there is none."""
        if isinstance(self.database, Path):
            return self.database
        return None if self.database == "off" else _state_directory() / "calls.sqlite"


def _state_directory() -> Path:
    """systemd's ``StateDirectory=``, else the XDG base directory specification's place for state."""
    if directory := os.environ.get("STATE_DIRECTORY"):
        return Path(directory.partition(":")[0])
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path("~/.local/state").expanduser()) / "linecard"
