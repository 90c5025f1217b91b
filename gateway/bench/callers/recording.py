"""A call as a stereo WAV file, caller left and agent right, both placed by their packets' stamps: a second opinion.

Each side's sound lies where it was on the caller's side of the wire: what the caller said at the departure of its first
sample, what it heard at the arrival of the packets. Any audio editor or call analyser shows the gaps that the tables
claim.
"""

from __future__ import annotations

import wave
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from gateway.bench.callers.caller import Caller
from gateway.bench.callers.speech import RATE
from gateway.units import SECOND

__all__ = ["interleave", "write_recording"]

_BYTES: Final = 2
_SLIP: Final = RATE * 40 // 1000
"""Samples that packets may come early or late before what they hold is moved with them: less is jitter."""


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


def placed(frames: Iterable[tuple[int, bytes]], began: int) -> Iterator[tuple[int, bytes]]:
    """Frames with their arrivals, to where they lie: behind each other as long as they come about in time. Behind
    silence a frame lies where it came, so that speech begins when it was heard."""
    following: int | None = None
    for arrival, pcm in frames:
        here = (arrival - began) * RATE // SECOND
        silent = not pcm.strip(b"\0")
        if following is None or silent or abs(here - following) > _SLIP:
            following = here
        yield following, pcm
        following = None if silent else following + len(pcm) // _BYTES


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
        file.writeframes(interleave(said, placed(caller.ear.heard, began)))
    return True
