"""What a turn sounded like: a piece of the call's recording, small enough to stand in the page, and its envelope.

Opus in Ogg where PyAV is installed (some 4 KB a second), else 8-bit WAV (16 KB a second): every browser plays either.
"""

from __future__ import annotations

import base64
import io
import wave
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.bench.report.facts import Heard

__all__ = ["Clip", "cut", "encoded"]

_BEFORE_S: Final = 2.5
"""Of the caller's words, before the gap: enough to know what was asked."""
_AFTER_S: Final = 2.0
_LONGEST_S: Final = 15.0
_COLUMNS: Final = 300
_OPUS_RATES: Final = frozenset({8000, 12000, 16000, 24000, 48000})
_OPUS_BITS: Final = 32_000
_QUIET: Final = 90
"""Amplitude that is drawn as nothing, about -51 dBFS."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One turn's sound. Times are seconds from its beginning."""

    uri: str
    """``data:``, with the whole file in it."""
    length_s: float
    ended_s: float
    """The caller's last speech."""
    onset_s: float | None
    """The first of the answer."""
    caller: Sequence[float]
    """Peaks from 0 to 1, evenly over the clip."""
    agent: Sequence[float]


def cut(one: Heard, directory: Path) -> Clip | None:
    """The turn, with a little before and after it; None if there is no recording that can be read."""
    call, turn = one.call, one.turn
    if call.recording is None or call.started_s is None:
        return None
    path = (directory / call.recording).resolve()
    if not path.is_relative_to(directory.resolve()):  # a run file may come from anybody
        return None
    # The first sample was the first packet received (callers/recording.py).
    began = call.started_s + ((call.answered_ms or 0.0) + (call.first_audio_ms or 0.0)) / 1000
    start = max(0.0, max(turn.spoke_s - 0.2, turn.ended_s - _BEFORE_S) - began)
    ended = turn.ended_s - began
    onset = None if turn.onset_s is None else turn.onset_s - began
    end = min(start + _LONGEST_S, (onset if onset is not None else ended + 5.0) + _AFTER_S)
    found = _read(path, start, end)
    if found is None:
        return None
    pcm, rate, sides = found
    return Clip(
        uri=encoded(pcm, rate, sides),
        length_s=len(pcm) / 2 / sides / rate,
        ended_s=ended - start,
        onset_s=None if onset is None else onset - start,
        caller=_envelope(pcm, 0, sides),
        agent=_envelope(pcm, sides - 1, sides),
    )


def _read(path: Path, start: float, end: float) -> tuple[bytes, int, int] | None:
    """16-bit PCM between two times, its rate, and its channels."""
    try:
        with wave.open(str(path), "rb") as file:
            rate, sides = file.getframerate(), file.getnchannels()
            if file.getsampwidth() != 2 or sides not in {1, 2} or not rate or round(start * rate) >= file.getnframes():
                return None
            file.setpos(round(start * rate))
            pcm = file.readframes(round((end - start) * rate))
    except (OSError, EOFError, wave.Error):
        return None
    return (pcm, rate, sides) if pcm else None


def encoded(pcm: bytes, rate: int, sides: int) -> str:
    """A data URI."""
    try:
        kind, data = "audio/ogg", _opus(pcm, rate, sides)
    except (ImportError, ValueError):
        kind, data = "audio/wav", _wav(pcm, rate, sides)
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _opus(pcm: bytes, rate: int, sides: int) -> bytes:
    """Raises ``ImportError`` without PyAV, ``ValueError`` for a rate that Opus does not have, or from libav."""
    if rate not in _OPUS_RATES:
        raise ValueError(rate)
    import av

    layout = "stereo" if sides == 2 else "mono"
    output = io.BytesIO()
    with av.open(output, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=rate, layout=layout)
        stream.bit_rate = _OPUS_BITS
        size = rate // 50 * 2 * sides
        for position in range(0, len(pcm), size):
            piece = pcm[position : position + size].ljust(size, b"\0")
            frame = av.AudioFrame(format="s16", layout=layout, samples=rate // 50)
            frame.planes[0].update(piece)
            frame.sample_rate, frame.pts = rate, position // 2 // sides
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return output.getvalue()


def _wav(pcm: bytes, rate: int, sides: int) -> bytes:
    """8 bits, unsigned."""
    output = io.BytesIO()
    with wave.open(output, "wb") as file:
        file.setparams((sides, 1, rate, 0, "NONE", "not compressed"))
        file.writeframes(bytes((sample >> 8) + 128 for sample in array("h", pcm)))
    return output.getvalue()


def _envelope(pcm: bytes, side: int, sides: int) -> list[float]:
    """The loudest sample of each column, on a scale that shows soft speech too (the square root)."""
    samples = array("h", pcm)[side::sides]
    width = max(1, len(samples) // _COLUMNS)
    peaks = [max(map(abs, samples[i : i + width])) for i in range(0, len(samples), width)]
    return [0.0 if peak < _QUIET else round((peak / 32768) ** 0.5, 3) for peak in peaks]
