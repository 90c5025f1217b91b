"""Opus (RFC 7587): wideband speech that repairs lost packets itself. One voice, whatever ``/2`` in its name says.

The library comes with PyAV's wheel (``linecard[opus]``) or from the system; without it the codec cannot be configured.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from codecs_ext import opus
from codecs_ext.codec import Kernel
from gateway.errors import ResourceError
from gateway.media.codecs.contract import CodecSpec
from gateway.sdp.types import AudioFormat

__all__ = ["SPEC", "load_opus"]

_SYSTEM: Final = ("libopus.so.0", "libopus.so")
_OURS: Final = "maxplaybackrate=24000;sprop-maxcapturerate=24000;useinbandfec=1"
"""Speech models end at 24 kHz: whoever sends more wastes it. Mono is the default (RFC 7587 6.1)."""
_FEC_LOSS: Final = 10
"""Percent of packets that FEC is made to bear, where the far end can use it."""
_BITRATES: Final[Mapping[int, int]] = {8000: 12_000, 12_000: 16_000, 16_000: 24_000, 24_000: 32_000, 48_000: 40_000}
"""For mono speech by the highest rate played, with room for FEC (RFC 7587 3.1.1)."""


@cache
def load_opus() -> str:
    """Loads libopus once per process; returns its version. Raises ``ResourceError`` if there is none."""
    reasons = []
    for path in _candidates():
        try:
            return opus.load(path)
        except OSError as error:
            reasons.append(str(error))
    raise ResourceError(f"opus needs libopus; install linecard[opus] or libopus0 ({'; '.join(reasons)})")


def _candidates() -> Iterator[str]:
    """PyAV's wheel keeps its libraries beside the package; none of its Python code runs."""
    spec = importlib.util.find_spec("av")
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        yield from (str(path) for path in sorted((Path(folder).parent / "av.libs").glob("libopus-*.so*")))
    yield from _SYSTEM


def _parameters(fmtp: str) -> dict[str, int]:
    """Those with a plausible number; RFC 7587 6.1 lets us ignore what we do not understand."""
    found = {}
    for part in fmtp.split(";"):
        name, _, value = part.partition("=")
        if value.strip().isascii() and value.strip().isdecimal() and len(value.strip()) <= 7:
            found[name.strip().lower()] = int(value)
    return found


def _fit(fmtp: str, rate: int) -> Kernel:
    """What the far end wants to receive, at the rate that the leg wants to hear, but never narrower than wideband: both
    directions have one rate, and the caller's ear is the better one."""
    theirs = _parameters(fmtp)
    plays = next((known for known in _BITRATES if known >= theirs.get("maxplaybackrate", 48_000)), 48_000)
    ours = max(16_000, rate)
    return opus.kernel(
        ours,
        bitrate=min(_BITRATES[min(plays, ours)], theirs.get("maxaveragebitrate", 510_000)),
        max_rate=plays,
        fec_loss=_FEC_LOSS if theirs.get("useinbandfec") == 1 else 0,
        dtx=theirs.get("usedtx") == 1,
        cbr=theirs.get("cbr") == 1,
    )


SPEC = CodecSpec(
    AudioFormat("opus", 48_000, channels=2, fmtp=_OURS, agree=lambda _: _OURS),
    fit=_fit,
    packet_times_ms=(10, 20, 40, 60),
    library=load_opus,
)
