"""Speech for synthetic callers, made ahead of time so that its first and last sample are known before it is sent.

Whatever it was made by, it goes through the band of a telephone (300 to 3400 Hz), is cut to its sound, so that the
first and the last sample that leave are speech, and is brought to its active speech level (ITU-T P.56).

``lifted`` makes of it what the reference agent is spoken to with: no millisecond within is digital silence, so exact
silence means that the caller has finished, and no speech detector is needed to know when. Nobody else is: recognisers
hear what was lifted, and understand less.
"""

from __future__ import annotations

import asyncio
import math
import wave
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol

from codecs_ext.resample import SOURCES, Resample
from gateway.bench.callers.level import active_level, scaled
from gateway.bench.measure.onset import first_sound, last_sound
from gateway.errors import ConfigError, ProviderError
from gateway.providers.contract import Failed, Provider, Speech, SpeechDone, TtsResult

__all__ = ["FRAME", "PREPARED", "RATE", "lifted", "prepare", "read_wav", "synthesise"]

RATE: Final = 8000
FRAME: Final = 160
"""Samples of a 20 ms packet."""
PREPARED: Final = 3
"""Grows when ``prepare`` makes something else of the same input: what was kept on disk is then made anew."""
_CUT_DBFS: Final = -38.0
"""What lies before and after is breath and decay that a telephone network's noise would cover."""
_USUAL_DBFS: Final = -20.0
_EDGE: Final = 8
"""Samples over which a cut edge is faded, so that it does not click."""
_FIRM: Final = 64
"""The first and the last sample are at least so large that both laws of G.711 say them as more than silence."""
_LIFTED: Final = 40
_SPAN: Final = 8
"""Samples of which at least one is at least ``_LIFTED``."""
_LOW_HZ, _HIGH_HZ = 300.0, 3400.0
_BYTES: Final = 2


class Kept(Protocol):
    """Where clips are found that were made before."""

    def find(self, *what: object) -> bytes | None: ...

    def keep(self, clip: bytes, *what: object) -> None: ...


async def synthesise(
    provider: Provider,
    texts: Iterable[str],
    level_dbfs: float,
    language: str = "en",
    *,
    voice: str = "",
    kept: Kept | None = None,
) -> dict[str, bytes]:
    """Each text as PCM at 8000 Hz, ready to be played. Raises ``ProviderError``.

    ``voice`` is what the provider speaks with, as far as ``kept`` has to know it.
    """
    results: asyncio.Queue[TtsResult] = asyncio.Queue()
    session = await provider.open_tts(results.put_nowait, rate=RATE, language=language)
    try:
        wanted = dict.fromkeys(texts)
        clips = {}
        for request, text in enumerate(wanted, 1):
            what = (text, voice, language, level_dbfs, session.model.name, session.model.version)
            clip = kept.find(*what) if kept is not None else None
            if clip is None:
                session.speak(request, text)
                clip = prepare(await _collect(results, provider.name), level_dbfs)
                if kept is not None:
                    kept.keep(clip, *what)
            clips[text] = clip
        return clips
    finally:
        session.close()


async def _collect(results: asyncio.Queue[TtsResult], name: str) -> bytes:
    pcm = bytearray()
    while True:
        match await results.get():
            case Speech(audio=burst, rate=rate) if rate == RATE:
                pcm += burst
            case Speech(rate=rate):
                raise ProviderError(name, f"asked for speech at {RATE} Hz, got {rate}", transient=False)
            case SpeechDone():
                return bytes(pcm)
            case Failed(error=error):
                raise error


def read_wav(path: Path) -> bytes:
    """The left channel at 8000 Hz. Raises ``ConfigError`` for what is no 16-bit WAV of a usual rate."""
    try:
        with wave.open(str(path), "rb") as file:
            rate, width, channels = file.getframerate(), file.getsampwidth(), file.getnchannels()
            samples = array("h", file.readframes(file.getnframes())) if width == _BYTES else array("h")
    except (OSError, EOFError, wave.Error, ValueError) as error:
        raise ConfigError([f"{path}: this is no WAV file that can be read: {error}"]) from error
    if width != _BYTES or rate not in SOURCES:
        rates = ", ".join(map(str, SOURCES))
        raise ConfigError([f"{path}: {8 * width} bits at {rate} Hz; 16 bits at {rates} Hz are read"])
    left = samples[::channels].tobytes()
    return left if rate == RATE else Resample(rate, RATE).process(left)


def prepare(pcm: bytes, level_dbfs: float) -> bytes:
    """Through the telephone band, at ``level_dbfs`` of active speech (P.56), cut to its sound."""
    sound = _cut(_telephone(array("h", pcm)))
    level = active_level(sound, RATE)
    if level is None:
        raise ProviderError("tts", "the clip holds no sound", transient=False)
    return _firm(_faded(array("h", scaled(sound, 10 ** ((level_dbfs - level) / 20))))).tobytes()


def _cut(samples: Sequence[int]) -> Sequence[int]:
    """Without what lies before and after. That is a level of the sound itself: a soft speaker has as long a tail."""
    level = active_level(samples, RATE)
    shown = array("h", scaled(samples, 0 if level is None else 10 ** ((_USUAL_DBFS - level) / 20))).tobytes()
    first, last = first_sound(shown, RATE, _CUT_DBFS), last_sound(shown, RATE, _CUT_DBFS)
    return [] if first is None or last is None else samples[first:last]


def _telephone(samples: Sequence[int]) -> list[int]:
    """Two second-order sections each way: 24 dB an octave beyond the band."""
    wave_form = [float(x) for x in samples]
    for q in (0.5412, 1.3066):  # Butterworth of order four
        wave_form = _biquad(wave_form, _HIGH_HZ, q, high_pass=False)
        wave_form = _biquad(wave_form, _LOW_HZ, q, high_pass=True)
    return [round(x) for x in wave_form]


def _biquad(samples: Sequence[float], hertz: float, q: float, *, high_pass: bool) -> list[float]:
    """A section by the bilinear transform (Audio EQ Cookbook)."""
    w = 2 * math.pi * hertz / RATE
    alpha, c = math.sin(w) / (2 * q), math.cos(w)
    b1 = -(1 + c) if high_pass else 1 - c
    b0, a0, a1, a2 = abs(b1) / 2, 1 + alpha, -2 * c, 1 - alpha
    b0, b1, a1, a2 = b0 / a0, b1 / a0, a1 / a0, a2 / a0
    out: list[float] = []
    x1 = x2 = y1 = y2 = 0.0
    for x in samples:
        y = b0 * (x + x2) + b1 * x1 - a1 * y1 - a2 * y2
        x2, x1, y2, y1 = x1, x, y1, y
        out.append(y)
    return out


def _faded(clip: array[int]) -> array[int]:
    for n in range(min(_EDGE, len(clip))):
        clip[n] = clip[n] * (n + 1) // (_EDGE + 1)
        clip[-1 - n] = clip[-1 - n] * (n + 1) // (_EDGE + 1)
    return clip


def _firm(clip: array[int]) -> array[int]:
    """Begins and ends with a sample that is no silence."""
    first = next((n for n, x in enumerate(clip) if abs(x) >= _FIRM), 0)
    last = next((n for n in range(len(clip), 0, -1) if abs(clip[n - 1]) >= _FIRM), len(clip))
    return clip[first:last]


def lifted(pcm: bytes) -> bytes:
    """A clip for the reference agent: where it is quieter than G.711 can say, single samples at -58 dBFS."""
    clip = array("h", pcm)
    for start in range(0, len(clip) - _SPAN, _SPAN):
        if max(clip[start : start + _SPAN]) < _LIFTED and min(clip[start : start + _SPAN]) > -_LIFTED:
            clip[start + _SPAN // 2] = _LIFTED if start // _SPAN % 2 else -_LIFTED
    return clip.tobytes()
