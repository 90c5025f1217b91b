"""How well and at what cost the embedded recogniser hears telephone speech.

    python benchmarks/models/stt.py

Sentences at 8 kHz through G.711 mu-law with line noise, as 20 ms frames, each as the first turn of a call. Three kinds:

- drawn at random from the dialogue's patterns, spoken by voices that nothing was tuned with: the figure to quote;
- the dialogue's examples, chosen because they are heard well, spoken by the voices that the limits were set with;
- foreign sentences, noises and short bursts of noise, which should be turned away. The limits were set with these too.

Everything is synthetic speech, clearer and more even than a person's. Prints intents and slots, CPU per second of
speech, and the time from the end of a turn to its final.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import resource
from collections import Counter

import numpy as np
import numpy.typing as npt
import soxr

from gateway.models import dialogue, pattern
from gateway.models.espeak import Espeak
from gateway.models.stt import Recogniser, Result

VOICES = ("en-us", "en-us+f2", "en-us+f3", "en-us+m3")
SPEEDS = (150, 165, 180)
OTHER_VOICES = ("en-us+f1", "en-us+f4", "en-us+m2", "en-us+m7")
DRAWN = 60
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

COLOURS = {"white": 0.0, "pink": 0.5, "brown": 1.0}
"""Name -> how the amplitude falls with the frequency above 100 Hz."""
BURST_DB = (-45, -41, -33, -26, -20)
BURST_MS = (100, 200, 300, 500, 1000, 2000)

Samples = npt.NDArray[np.int16]


def burst(colour: str, dbfs: float, ms: int, rng: np.random.Generator) -> Samples:
    """Noise at 22,050 Hz."""
    count = 22050 * ms // 1000
    frequencies = np.fft.rfftfreq(count, 1 / 22050)
    spectrum = np.fft.rfft(rng.normal(0, 1, count)) / np.maximum(frequencies, 100) ** COLOURS[colour]
    noise = np.fft.irfft(spectrum, count)
    scaled = noise / np.sqrt(np.mean(noise**2)) * 32768 * 10 ** (dbfs / 20)
    return scaled.clip(-32768, 32767).astype(np.int16)


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
    done: asyncio.Future[Result | Exception] = asyncio.get_running_loop().create_future()
    turn = recogniser.begin(None, done.set_result)
    for at in range(0, len(pcm), 640):
        turn.audio(pcm[at : at + 640])
    while turn.decoded < len(pcm):  # noqa: ASYNC110 - in a call the audio has long been decoded when the turn ends
        await asyncio.sleep(0.001)
    turn.end()
    result = await done
    assert isinstance(result, Result), result
    return result


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def draw(script: dialogue.Dialogue, number: int) -> list[str]:
    """Sentences that the patterns allow, every pattern as likely as another."""
    rng = random.Random(7)

    def speak(item: pattern.Item) -> list[str]:
        match item:
            case pattern.Word(text):
                return [text]
            case pattern.Slot(name):
                return speak(rng.choice(list(script.slots[name].values())))
            case pattern.Optional(inner):
                return speak(inner) if rng.random() < 0.5 else []
            case pattern.Sequence(parts):
                return [word for part in parts for word in speak(part)]
            case pattern.Alternatives(choices):
                return speak(rng.choice(choices))

    patterns = [item for items in script.intents.values() for item in items]
    return [" ".join(speak(rng.choice(patterns))) for _ in range(number)]


def count(tally: Counter[str], script: dialogue.Dialogue, said: str, heard: str) -> None:
    intent, slots = script.understand(said)
    got_intent, got = script.understand(heard) if heard else ("", {})
    tally["sentences"] += 1
    tally["right"] += (got_intent, got) == (intent, slots)
    tally["again"] += not heard
    tally["slots"] += len(slots) if heard else 0
    tally["slots right"] += sum(got.get(name) == value for name, value in slots.items())


def report(name: str, tally: Counter[str]) -> None:
    total, slots = tally["sentences"], max(1, tally["slots"])
    wrong = total - tally["right"] - tally["again"]
    print(f"{name:20}{total:4}: right {tally['right'] / total:.1%}, asked again {tally['again'] / total:.1%}", end="")
    print(f", wrong {wrong / total:.1%}; {slots} slots of what was accepted: {tally['slots right'] / slots:.1%}")


async def main() -> None:
    script = dialogue.load()
    recogniser = Recogniser(script, threads=1, decoders=1, turns=8)
    await recogniser.start()
    engine, rng = Espeak(), np.random.default_rng(1)

    def say(text: str, voice: str, speed: int) -> bytes:
        bursts: list[bytes] = []
        engine.speak(text, lambda burst: bursts.append(burst) is None, voice=voice, speed=speed, pitch=50)
        return telephone(np.frombuffer(b"".join(bursts), np.int16), engine.rate, rng)

    foreign = [say(text, *how) for how in itertools.product(VOICES, SPEEDS) for text in FOREIGN]
    noises = [
        telephone((rng.normal(0, level, 22050)).astype(np.int16), 22050, rng)
        for level in (30, 300, 3000)
        for _ in range(4)
    ]
    bursts = [
        telephone(burst(colour, level, ms, rng), 22050, rng)
        for colour, level, ms in itertools.product(COLOURS, BURST_DB, BURST_MS)
        for _ in range(4)
    ]

    sets = {
        "drawn, new voices": [(text, say(text, voice, 165)) for text in draw(script, DRAWN) for voice in OTHER_VOICES],
        "chosen examples": [
            (text, say(text, *how)) for text in script.script.examples for how in itertools.product(VOICES, SPEEDS)
        ],
    }
    finals: list[float] = []
    began, seconds = cpu(), 0.0
    for name, cases in sets.items():
        tally = Counter[str]()
        for text, pcm in cases:
            result = await hear(recogniser, pcm)
            finals.append(result.elapsed_ns / 1e6)
            seconds += len(pcm) / 32000
            count(tally, script, text, result.text)
        report(name, tally)
    load = (cpu() - began) / seconds
    for name, cases in (("foreign sentences", foreign), ("noises", noises), ("bursts of noise", bursts)):
        away = sum([not (await hear(recogniser, pcm)).text for pcm in cases])
        print(f"{name:20}{len(cases):4}: turned away {away / len(cases):.1%}")
    finals.sort()
    p50, p99 = finals[len(finals) // 2], finals[len(finals) * 99 // 100]
    print(f"CPU                 {load:.2%} of a core per stream of speech")
    print(f"final               p50 {p50:.2f} ms, p99 {p99:.2f} ms after the end of the turn")
    await recogniser.close()


asyncio.run(main())
