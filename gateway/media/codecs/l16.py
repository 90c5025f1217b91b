"""L16: samples as they are (RFC 3551 4.5.11), for peers in the same building: 256 kbit/s at 16 kHz."""

from __future__ import annotations

from codecs_ext import l16
from gateway.media.codecs.contract import CodecSpec
from gateway.sdp.types import AudioFormat

__all__ = ["SPEC_8K", "SPEC_16K"]


def _agree(theirs: str) -> str | None:
    """Pre-emphasis (RFC 4856 2.1.9) would have to be undone, and nobody has used it since the tape."""
    return None if "emphasis" in theirs.lower() else ""


SPEC_8K = CodecSpec(AudioFormat("L16", 8000, agree=_agree), l16.L16_8K)
SPEC_16K = CodecSpec(AudioFormat("L16", 16000, agree=_agree), l16.L16_16K)
