"""A call as a stereo WAV file, caller left and agent right, both placed by their packets' stamps: a second opinion.

Any audio editor or call analyser shows the gaps that the tables claim.
"""

from __future__ import annotations

import wave
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from gateway.bench.callers.caller import Caller
from gateway.bench.callers.speech import RATE
from gateway.units import SECOND

__all__ = ["interleave", "write_recording"]

_BYTES: Final = 2


def interleave(left: Iterable[tuple[int, bytes]], right: Iterable[tuple[int, bytes]]) -> bytes:
    """Two channels of (first sample, PCM) pieces to stereo PCM; what no piece covers is silence."""
    channels = [_channel(left), _channel(right)]
    length = max(len(channel) for channel in channels)
    stereo = array("h", bytes(length * 2 * _BYTES))
    for side, channel in enumerate(channels):
        channel.extend([0] * (length - len(channel)))
        stereo[side::2] = channel
    return stereo.tobytes()


def _channel(pieces: Iterable[tuple[int, bytes]]) -> array[int]:
    samples = array("h")
    for first, pcm in pieces:
        start = max(0, first)
        samples.extend([0] * (start + len(pcm) // _BYTES - len(samples)))
        samples[start : start + len(pcm) // _BYTES] = array("h", pcm)
    return samples


def write_recording(path: Path, caller: Caller) -> bool:
    """The finished call of a caller that was made with ``record``. Nothing was heard: nothing is written, and False."""
    began = caller.ear.first_audio
    if began is None:
        return False
    said = [
        ((saying.first_sent - began) * RATE // SECOND, caller.clips[saying.text])
        for saying in caller.sayings
        if saying.text in caller.clips
    ]
    with wave.open(str(path), "wb") as file:
        file.setparams((2, _BYTES, RATE, 0, "NONE", "not compressed"))
        file.writeframes(interleave(said, caller.ear.heard))
    return True
