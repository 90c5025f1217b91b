"""G.711 A-law (RFC 3551 4.5.14)."""

from __future__ import annotations

from codecs_ext import g711
from gateway.media.codecs.contract import CodecSpec
from gateway.sdp.types import PCMA

__all__ = ["SPEC"]

SPEC = CodecSpec(PCMA, g711.PCMA)
