"""Recorded audio of the house: WAV files, 16-bit mono at a rate that the plane plays."""

from __future__ import annotations

import wave
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator

from gateway.errors import ConfigError

__all__ = ["RATES", "Clip", "WavFile", "apology", "read_wav", "write_wav"]

RATES: Final = (8000, 16000, 24000, 48000)


class Clip:
    """Samples of one recording: ``pcm`` is 16-bit little-endian mono at ``rate`` Hz."""

    __slots__ = ("pcm", "rate")

    def __init__(self, pcm: bytes, rate: int) -> None:
        self.pcm = pcm
        self.rate = rate

    @property
    def samples(self) -> int:
        """Length at 8 kHz, the unit of playout positions."""
        return len(self.pcm) // 2 * 8000 // self.rate


def read_wav(path: Path) -> Clip:
    """Raises ``ConfigError`` with one line if the file is missing or of another shape."""
    try:
        with wave.open(str(path), "rb") as file:
            shape = file.getsampwidth(), file.getnchannels(), file.getframerate()
            pcm = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise ConfigError([f"{path}: cannot be played: {error}; give a WAV file, 16-bit mono"]) from error
    if shape[:2] != (2, 1) or shape[2] not in RATES:
        found = f"{shape[0] * 8}-bit, {shape[1]} channels, {shape[2]} Hz"
        raise ConfigError([f"{path}: is {found}; give 16-bit mono at {', '.join(map(str, RATES))} Hz"])
    return Clip(pcm, shape[2])


def write_wav(path: Path, clip: Clip) -> None:
    """Raises ``OSError``."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(clip.rate)
        file.writeframes(clip.pcm)


def _playable(path: Path) -> Path:
    try:
        read_wav(path)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return path


WavFile = Annotated[Path, AfterValidator(_playable)]
"""An option that names a recording: one that cannot be played is told together with its line of the file."""


@cache
def apology() -> Clip:
    """The sentence that needs no model: "We are sorry, we cannot help you at the moment. Please call again later."."""
    with as_file(files("gateway.plugs") / "data" / "apology.wav") as path:
        return read_wav(path)
