"""How well and at what cost the embedded recogniser hears telephone speech.

    python benchmarks/models/stt.py

Every example sentence of the dialogue, and sentences that it cannot know, spoken by several espeak-ng voices at
several speeds, at 8 kHz through G.711 mu-law with line noise, as 20 ms frames. Prints the share of sentences with the
right intent and slots, of foreign sentences and of noises turned away, CPU per second of speech, and the time from
the end of a turn to its final.
"""

from __future__ import annotations

import asyncio
import itertools
import resource
from collections import Counter

import numpy as np
import numpy.typing as npt
import soxr

from gateway.models import dialogue
from gateway.models.espeak import Espeak
from gateway.models.stt import Recogniser, Result

VOICES = ("en-us", "en-us+f2", "en-us+f3", "en-us+m3")
SPEEDS = (150, 165, 180)
MORE = ("margarita", "small", "large please", "how much is it", "when do you close", "i want a pizza", "delivery")
FOREIGN = (
    "the weather in london is terrible today",
    "my dog ate the homework again",
    "seventeen elephants walked slowly home",
    "could you play some jazz music",
    "transfer me to the accounting department",
    "hello hello can you hear me",
    "i have never been to paris in spring",
    "where is my parcel",
    "i forgot my password",
    "tomorrow afternoon",
    "speak to a human",
)

Samples = npt.NDArray[np.int16]


def telephone(speech: Samples, rate: int, rng: np.random.Generator) -> bytes:
    """To 8 kHz, noise at -62 dBFS, mu-law and back (G.711), to the recogniser's 16 kHz."""
    narrow = soxr.resample(speech, rate, 8000).astype(np.float64) * 0.6
    narrow = np.concatenate([np.zeros(2400), narrow, np.zeros(2000)]) + rng.normal(0, 3, len(narrow) + 4400)
    magnitude = np.minimum(np.abs(narrow).astype(np.int32), 32635) + 132
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 15
    decoded = (((mantissa << 3) + 132) << exponent) - 132
    line = np.where(narrow < 0, -decoded, decoded).astype(np.int16)
    return bytes(soxr.resample(line, 8000, 16000).astype(np.int16).tobytes())


async def hear(recogniser: Recogniser, pcm: bytes) -> Result:
    done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    turn = recogniser.begin(None, done.set_result)
    for at in range(0, len(pcm), 640):
        turn.audio(pcm[at : at + 640])
    while turn.decoded < len(pcm):  # noqa: ASYNC110 - in a call the audio has long been decoded when the turn ends
        await asyncio.sleep(0.001)
    turn.end()
    return await done


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def main() -> None:
    script = dialogue.load()
    recogniser = Recogniser(script, threads=1, decoders=1, turns=8)
    await recogniser.start()
    engine, rng = Espeak(), np.random.default_rng(1)

    def say(text: str, voice: str, speed: int) -> bytes:
        bursts: list[bytes] = []
        engine.speak(text, lambda burst: bursts.append(burst) is None, voice=voice, speed=speed, pitch=50)
        return telephone(np.frombuffer(b"".join(bursts), np.int16), engine.rate, rng)

    known = [*script.script.examples, *MORE]
    cases = [(text, say(text, *how)) for how in itertools.product(VOICES, SPEEDS) for text in known]
    foreign = [say(text, *how) for how in itertools.product(VOICES, SPEEDS) for text in FOREIGN]
    noises = [
        telephone((rng.normal(0, level, 22050)).astype(np.int16), 22050, rng)
        for level in (30, 300, 3000)
        for _ in range(4)
    ]

    began, wrong, refused, finals = cpu(), [], [], []
    for text, pcm in cases:
        result = await hear(recogniser, pcm)
        finals.append(result.elapsed_ns / 1e6)
        if not result.text:
            refused.append(text)
        elif script.understand(result.text) != script.understand(text):
            wrong.append((text, result.text))
    seconds = sum(len(pcm) for _, pcm in cases) / 32000
    load = (cpu() - began) / seconds
    away = sum([not (await hear(recogniser, pcm)).text for pcm in foreign])
    quiet = sum([not (await hear(recogniser, pcm)).text for pcm in noises])
    finals.sort()
    total = len(cases)
    right = total - len(wrong) - len(refused)
    print(f"sentences          {total}: right {right / total:.1%}, asked again {len(refused) / total:.1%}", end="")
    print(f", wrong {len(wrong) / total:.1%}")
    print(f"foreign sentences  {len(foreign)}: turned away {away / len(foreign):.1%}")
    print(f"noises             {len(noises)}: turned away {quiet / len(noises):.1%}")
    print(f"CPU                {load:.2%} of a core per stream of speech")
    p50, p99 = finals[total // 2], finals[total * 99 // 100]
    print(f"final              p50 {p50:.2f} ms, p99 {p99:.2f} ms after the end of the turn")
    for text, heard in wrong:
        print(f"  wrong: {text!r} heard as {heard!r}")
    for text, times in Counter(refused).most_common():
        print(f"  asked again: {text!r}, {times} of {len(VOICES) * len(SPEEDS)}")
    await recogniser.close()


asyncio.run(main())
