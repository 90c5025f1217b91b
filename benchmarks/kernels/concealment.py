"""What concealment leaves of speech with lost packets: ours, and the repetition of the last 20 ms that it replaced.

    python benchmarks/kernels/concealment.py [SPEECH.wav]

Speech at 8 kHz (the gateway's own apology by default) in packets of 20 ms, 5 % of them lost at random or 10 % in bursts
of three on average; mean of some seeds. Only what was lost in the middle of speech is measured: segmental signal to
noise ratio, each span held to -10 to 35 dB; log-spectral distance, which does not mind a shifted phase; and that
distance once more over the 20 ms around the joints of lost and real audio, where a click would be.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from codecs_ext.plc import Conceal
from gateway.plugs.wav import read_wav

ROOT = Path(__file__).resolve().parents[2]
FRAME, FADE, SEEDS = 160, 480, 10
Conceals = Callable[[np.ndarray, list[bool]], np.ndarray]


def pitch_based(speech: np.ndarray, lost: list[bool]) -> np.ndarray:
    conceal = Conceal()
    frames = speech.reshape(-1, FRAME)
    made = [conceal.make(FRAME) if gone else conceal.hear(frames[k].tobytes()) for k, gone in enumerate(lost)]
    return np.frombuffer(b"".join(made), np.int16)


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


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "gateway/plugs/data/apology.wav"
    speech = np.frombuffer(read_wav(path).pcm, np.int16)
    speech = speech[: len(speech) // FRAME * FRAME]
    print(f"{'':34}{'SNR dB':>8}{'LSD dB':>8}{'joints':>8}   {path.name}, {len(speech) / 8000:.1f} s")
    for loss_name, losses in (("5 % at random", at_random), ("10 % in bursts", in_bursts)):
        for name, conceals in (("silence", silence), ("repetition", repetition), ("pitch-based", pitch_based)):
            results = []
            for seed in range(SEEDS):
                lost = losses(random.Random(seed), len(speech) // FRAME)
                results.append(measure(speech, conceals(speech, lost), lost))
            snr, inside, joints = np.mean(results, axis=0)
            print(f"{loss_name:16}  {name:16}{snr:8.1f}{inside:8.1f}{joints:8.1f}")


if __name__ == "__main__":
    main()
