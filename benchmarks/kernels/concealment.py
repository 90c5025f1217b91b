"""What concealment leaves of speech with lost packets: from both sides, from the past alone, and simple recipes.

    python benchmarks/kernels/concealment.py [SPEECH.wav]

Speech at 8 kHz (the gateway's own apology, and the embedded synthesiser in four ways) in packets of 20 ms, 5% of them
lost at random, 10% in bursts of three on average, or 20% in bursts of two; mean of some seeds. Only what was lost in
the middle of speech is measured: segmental signal to noise ratio, each span held to -10 to 35 dB; log-spectral
distance, which does not mind a shifted phase; and that distance once more over the 20 ms around the joints of lost
and real audio, where a click would be.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from codecs_ext.plc import Conceal
from codecs_ext.resample import Resample
from gateway.models.espeak import Espeak
from gateway.plugs.wav import read_wav

ROOT = Path(__file__).resolve().parents[2]
FRAME, FADE, SEEDS = 160, 480, 10
TEXT = "I would like to order two large pizzas with mushrooms, and could you tell me when they will be here?"
Conceals = Callable[[np.ndarray, list[bool]], np.ndarray]


def pitch_based(speech: np.ndarray, lost: list[bool]) -> np.ndarray:
    conceal = Conceal()
    frames = speech.reshape(-1, FRAME)
    made = [conceal.make(FRAME) if gone else conceal.hear(frames[k].tobytes()) for k, gone in enumerate(lost)]
    return np.frombuffer(b"".join(made), np.int16)


def both_sides(speech: np.ndarray, lost: list[bool]) -> np.ndarray:
    """As the uplink does where the packet behind the loss is there: always, but at the end."""
    conceal, frames, made, gone = Conceal(), speech.reshape(-1, FRAME), [], 0
    for k, missing in enumerate(lost):
        if missing:
            gone += 1
            continue
        packet = frames[k].tobytes()
        if gone:
            made.append(conceal.bridge(gone * FRAME, packet) or conceal.make(gone * FRAME))
        made.append(conceal.hear(packet))
        gone = 0
    return np.frombuffer(b"".join(made) + conceal.make(gone * FRAME), np.int16)


def repetition(speech: np.ndarray, lost: list[bool]) -> np.ndarray:
    """The last packet again and again, faded out over 60 ms."""
    out, last, age = speech.reshape(-1, FRAME).copy(), np.zeros(FRAME), 0
    for k, gone in enumerate(lost):
        if gone:
            out[k] = last * np.clip((FADE - age - np.arange(FRAME)) / FADE, 0, 1)
            age += FRAME
        else:
            last, age = out[k].copy(), 0
    return out.reshape(-1)


def silence(speech: np.ndarray, lost: list[bool]) -> np.ndarray:
    return (speech.reshape(-1, FRAME) * ~np.array(lost)[:, None]).reshape(-1)


def at_random(noise: random.Random, count: int) -> list[bool]:
    return [noise.random() < 0.05 for _ in range(count)]


def in_bursts(noise: random.Random, count: int) -> list[bool]:
    lost, gone = [], False
    for _ in range(count):
        gone = noise.random() < (2 / 3 if gone else 0.1 / 0.9 / 3)
        lost.append(gone)
    return lost


def heavy(noise: random.Random, count: int) -> list[bool]:
    lost, gone = [], False
    for _ in range(count):
        gone = noise.random() < (1 / 2 if gone else 1 / 8)
        lost.append(gone)
    return lost


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(((spectra(a) - spectra(b)) ** 2).mean(axis=1)).mean())


def spectra(spans: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.abs(np.fft.rfft(spans * np.hanning(FRAME), axis=1)) ** 2 + 1e4)


def measure(speech: np.ndarray, heard: np.ndarray, lost: list[bool]) -> tuple[float, float, float]:
    spans = [k * FRAME for k in range(1, len(lost) - 1) if lost[k] and speech[k * FRAME : (k + 1) * FRAME].std() > 100]
    joints = [at + side - FRAME // 2 for at in spans for side in (0, FRAME)]

    def cut(signal: np.ndarray, places: list[int]) -> np.ndarray:
        return np.array([signal[at : at + FRAME] for at in places]).astype(float)

    a, b = cut(speech, spans), cut(heard, spans)
    ratio = 10 * np.log10((a**2).sum(axis=1) / (((a - b) ** 2).sum(axis=1) + 1))
    return float(np.clip(ratio, -10, 35).mean()), distance(a, b), distance(cut(speech, joints), cut(heard, joints))


def spoken(text: str, voice: str, speed: int, pitch: int) -> np.ndarray:
    """By the embedded synthesiser, at the loudness of a telephone."""
    bursts: list[bytes] = []
    synthesiser().speak(text, lambda pcm: bursts.append(pcm) is None, voice=voice, speed=speed, pitch=pitch)
    pcm = np.frombuffer(Resample(synthesiser().rate, 8000).process(b"".join(bursts)), np.int16)
    return np.round(pcm * (12000 / np.abs(pcm).max())).astype(np.int16)


@cache
def synthesiser() -> Espeak:
    return Espeak()


def speeches() -> dict[str, np.ndarray]:
    apology = np.frombuffer(read_wav(ROOT / "gateway/plugs/data/apology.wav").pcm, np.int16)
    low = spoken(TEXT, "en-us", 150, 20)
    noise = np.random.default_rng(1).normal(0, 600, len(low))
    return {
        "apology": apology,
        "low voice": low,
        "high voice": spoken(TEXT, "en-us+f3", 160, 80),
        "fast German": spoken(
            "Ich hätte gerne einen Tisch für vier Personen, morgen um acht, am Fenster bitte.", "de", 230, 50
        ),
        "low, in noise": np.clip(low + noise, -32768, 32767).astype(np.int16),
    }


def main() -> None:
    chosen = speeches()
    if len(sys.argv) > 1:
        chosen = {Path(sys.argv[1]).name: np.frombuffer(read_wav(Path(sys.argv[1])).pcm, np.int16)}
    print("| speech | loss | concealment | SNR | LSD | LSD at the joints |\n|---|---|---|---|---|---|")
    for speech_name, whole in chosen.items():
        speech = whole[: len(whole) // FRAME * FRAME]
        for loss_name, losses in LOSSES.items():
            for name, conceals in METHODS.items():
                results = []
                for seed in range(SEEDS):
                    lost = losses(random.Random(seed), len(speech) // FRAME)
                    results.append(measure(speech, conceals(speech, lost), lost))
                snr, inside, joints = np.mean(results, axis=0)
                print(f"| {speech_name} | {loss_name} | {name} | {snr:.1f} | {inside:.1f} | {joints:.1f} |", flush=True)


LOSSES = {"5% at random": at_random, "10% in bursts": in_bursts, "20% in short bursts": heavy}
METHODS = {"silence": silence, "repetition": repetition, "the past": pitch_based, "both sides": both_sides}

if __name__ == "__main__":
    main()
