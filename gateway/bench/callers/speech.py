"""Speech for synthetic callers, made ahead of time so that its first and last sample are known before it is sent.

The voice comes from a provider (the embedded models' TTS by default): its synthesiser is GPL and stays in that process.
A clip is cut to its sound, so that the first and the last packet that leave are speech, and brought to telephone level.
"""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import Iterable
from typing import Final

from gateway.bench.measure.onset import first_sound, last_sound
from gateway.errors import ProviderError
from gateway.providers.contract import Failed, Provider, Speech, SpeechDone, TtsResult

__all__ = ["FRAME", "RATE", "prepare", "synthesise"]

RATE: Final = 8000
FRAME: Final = 160
"""Samples of a 20 ms packet."""
_FULL_SCALE: Final = 32768
_CUT_DBFS: Final = -38.0
"""What lies before and after is breath and decay that a telephone network's noise would cover."""
_EDGE: Final = 8
"""Samples over which a cut edge is faded, so that it does not click."""


async def synthesise(
    provider: Provider, texts: Iterable[str], level_dbfs: float, language: str = "en"
) -> dict[str, bytes]:
    """Each text as PCM at 8000 Hz, ready to be played. Raises ``ProviderError``."""
    results: asyncio.Queue[TtsResult] = asyncio.Queue()
    session = await provider.open_tts(results.put_nowait, rate=RATE, language=language)
    try:
        wanted = dict.fromkeys(texts)
        clips = {}
        for request, text in enumerate(wanted, 1):
            session.speak(request, text)
            clips[text] = prepare(await _collect(results, provider.name), level_dbfs)
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


def prepare(pcm: bytes, level_dbfs: float) -> bytes:
    """Cut to its sound, at ``level_dbfs`` RMS over its loud parts, filled up with silence to whole 20 ms packets."""
    leveled = _level(array("h", pcm), level_dbfs)
    first, last = first_sound(leveled.tobytes(), RATE, _CUT_DBFS), last_sound(leveled.tobytes(), RATE, _CUT_DBFS)
    if first is None or last is None:
        raise ProviderError("tts", "the synthesised clip holds no sound", transient=False)
    clip = leveled[first:last]
    for n in range(min(_EDGE, len(clip))):
        clip[n] = clip[n] * n // _EDGE
        clip[-1 - n] = clip[-1 - n] * n // _EDGE
    clip.extend([0] * (-len(clip) % FRAME))
    return clip.tobytes()


def _level(samples: array[int], level_dbfs: float) -> array[int]:
    """Scaled so that its active frames have the level wanted: a short cut to ITU-T P.56 that is good to about 1 dB."""
    energies = [sum([x * x for x in samples[n : n + FRAME]]) for n in range(0, len(samples), FRAME)]
    loudest = max(energies, default=0)
    active = [energy for energy in energies if energy > loudest / 1000]  # within 30 dB of the loudest
    if not active:
        return samples
    gain = _FULL_SCALE * 10 ** (level_dbfs / 20) / math.sqrt(sum(active) / len(active) / FRAME)
    return array("h", [max(-_FULL_SCALE, min(_FULL_SCALE - 1, round(x * gain))) for x in samples])
