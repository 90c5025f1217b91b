"""ffmpeg's codecs, through PyAV: encoders and decoders that share nothing with ours."""

from __future__ import annotations

from fractions import Fraction

import av


class Encoder:
    """One stream of 16-bit mono; whole packets of 20 ms in."""

    def __init__(self, name: str, rate: int) -> None:
        self._rate, self._sent = rate, 0
        self._context = av.CodecContext.create(name, "w")
        self._context.sample_rate = rate
        self._context.layout = "mono"
        self._context.format = "s16"
        self._context.time_base = Fraction(1, rate)

    def encode(self, pcm: bytes) -> bytes:
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
        frame.planes[0].update(pcm.ljust(frame.planes[0].buffer_size, b"\0"))
        frame.sample_rate, frame.pts = self._rate, self._sent
        self._sent += len(pcm) // 2
        return b"".join(bytes(packet) for packet in self._context.encode(frame))


class Decoder:
    """One stream to 16-bit mono."""

    def __init__(self, name: str, rate: int) -> None:
        self._context = av.CodecContext.create(name, "r")
        self._context.sample_rate = rate
        self._context.layout = "mono"

    def decode(self, payload: bytes) -> bytes:
        return b"".join(
            bytes(frame.planes[0])[: 2 * frame.samples] for frame in self._context.decode(av.Packet(payload))
        )
