"""The blocks ``recording`` and ``capture`` of a route, and where their files lie."""

from __future__ import annotations

import importlib.util
import re
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from gateway.options import Duration, Options
from gateway.units import SECOND

__all__ = ["BeepOptions", "CaptureOptions", "RecordingOptions", "fill_in"]

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9@+_-]")
_FIELDS: Final = ("date", "time", "call_id", "caller", "called", "trunk")


def fill_in(template: str, suffix: str, now: datetime, **values: str) -> Path:
    """The file that a template names. What came by the wire can name no other directory: all but letters, digits and
    ``@+_-`` becomes ``_``."""
    safe = {name: _UNSAFE.sub("_", values.get(name, ""))[:120] or "_" for name in _FIELDS}
    safe["date"], safe["time"] = now.strftime("%Y-%m-%d"), now.strftime("%H%M%S")
    path = template.format(**safe)
    return Path(path if path.endswith(suffix) else path + suffix)


def _known_fields(template: str) -> str:
    try:
        fill_in(template, "", datetime.now(UTC))
    except (KeyError, IndexError, ValueError, AttributeError):
        known = ", ".join(f"{{{name}}}" for name in _FIELDS)
        raise ValueError(f"{template!r} cannot be filled in; known are {known}") from None
    return template


FileTemplate = Annotated[str, Field(min_length=1), AfterValidator(_known_fields)]
"""A path; ``{date}``, ``{time}`` (UTC), ``{call_id}``, ``{caller}``, ``{called}`` and ``{trunk}`` are filled in."""


class BeepOptions(Options):
    """A short tone that tells a caller that the line is recorded."""

    every: Duration = Field(default="15s", validate_default=True)
    """From one beep to the next; the first comes at once."""
    to: Literal["caller", "both"] = "caller"
    """``both``: the agent hears it too."""

    @model_validator(mode="after")
    def _seldom(self) -> BeepOptions:
        if not SECOND <= self.every <= 3600 * SECOND:
            raise ValueError("a beep comes every 1s to 1h")
        return self


class RecordingOptions(Options):
    """A recording of the call: the caller on the left, the agent on the right, aligned to the sample."""

    file: FileTemplate
    """Where it goes; `{date}`, `{time}` (UTC), `{call_id}`, `{caller}`, `{called}` and `{trunk}` are filled in, missing
    directories are made, and the suffix of the format is added. Only the gateway's user may read it (0600)."""
    format: Literal["wav", "opus"] = "wav"
    """``wav``: 16-bit PCM, valid whenever the process dies. ``opus``: Opus in Ogg, which needs the package ``av``."""
    rate: Literal["auto", "8000", "16000"] = "auto"
    """Samples per second; `auto` takes 8000 for narrow-band calls and 16000 for all others."""
    bitrate: int = Field(default=48_000, ge=12_000, le=256_000)
    """Of ``opus``, both channels together."""
    pause: Literal["silence", "cut"] = "silence"
    """What stays of the time in which the recording was paused: silence of its length, or nothing."""
    pause_digit: str | None = Field(default=None, pattern=r"^[0-9*#A-D]$")
    """The caller pauses and resumes the recording with this key (before saying the number of a card)."""
    beep: BeepOptions | None = None
    """Let a beep tell that the call is recorded; none by default."""

    @model_validator(mode="after")
    def _loadable(self) -> RecordingOptions:
        if self.format == "opus" and importlib.util.find_spec("av") is None:
            raise ValueError("format: opus needs the package av; install linecard[opus] or write wav")
        return self


class CaptureOptions(Options):
    """A capture of the call's packets (SIP, RTP, RTCP) for Wireshark, with their addresses and the kernel's times."""

    file: FileTemplate
    """Where it goes, like the `file` of a recording; the suffix is .pcapng."""
    keep: Literal["failure", "always"] = "failure"
    """`failure` holds the packets in memory, and writes them if the call failed: it was refused, not acknowledged, lost
    its media, or was never heard."""
    memory: int = Field(default=1024, ge=64, le=65_536)
    """KiB that ``keep: failure`` holds of a call; the oldest packets go first. A minute of G.711 is 1400 KiB."""
    limit: int = Field(default=100, ge=1, le=100_000)
    """MiB that ``keep: always`` writes of a call; what follows is counted only."""
    numbers: tuple[str, ...] = ()
    """Only calls from or to these numbers (``*`` and ``?`` are wildcards); none named: all calls of the route."""
    secrets: bool = False
    """Leave passwords' digests and SRTP keys in SIP messages readable; if not, they are overwritten with ``x``.
    Encrypted packets stay encrypted either way."""

    def wants(self, *numbers: str) -> bool:
        """Whether the call is one of those that are captured."""
        return not self.numbers or any(fnmatchcase(number, one) for number in numbers for one in self.numbers)
