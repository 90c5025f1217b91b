"""G.722 at 64 kbit/s: 16 kHz speech in the bits of G.711.

Its RTP clock and its rate in SDP are 8000 Hz, an error of RFC 1890 that RFC 3551 4.5.2 keeps.
"""

from __future__ import annotations

from codecs_ext import g722
from gateway.media.codecs.contract import CodecSpec
from gateway.sdp.types import AudioFormat

__all__ = ["SPEC"]

SPEC = CodecSpec(AudioFormat("G722", 8000, payload_type=9), g722.G722)
