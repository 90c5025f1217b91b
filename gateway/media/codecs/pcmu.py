"""G.711 mu-law (RFC 3551 4.5.14), the codec that every telephone has."""

from __future__ import annotations

from codecs_ext import g711
from gateway.media.codecs.contract import CodecSpec
from gateway.sdp.types import PCMU

__all__ = ["SPEC"]

SPEC = CodecSpec(PCMU, g711.PCMU)
