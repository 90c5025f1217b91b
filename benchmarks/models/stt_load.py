"""Many callers speaking at once to the embedded recogniser, at the pace of speech.

    python benchmarks/models/stt_load.py --callers 30 --seconds 8

A caller of a dialogue speaks about a quarter of the time, so 30 at once are some 100 calls. Prints CPU, and how late
finals are.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import time

import numpy as np
import soxr

from gateway.models import dialogue
from gateway.models.espeak import Espeak
from gateway.models.stt import Recogniser, Result


def speech(text: str) -> list[bytes]:
    engine, bursts = Espeak(), list[bytes]()
    engine.speak(text, lambda burst: bursts.append(burst) is None, voice="en-us", speed=165, pitch=50)
    narrow = soxr.resample(np.frombuffer(b"".join(bursts), np.int16), engine.rate, 8000)
    padded = np.concatenate([np.zeros(1600, np.int16), narrow, np.zeros(1600, np.int16)])
    noisy = padded + np.random.default_rng(1).normal(0, 3, len(padded))
    wide = soxr.resample(noisy.astype(np.int16), 8000, 16000).astype(np.int16).tobytes()
    return [wide[at : at + 640] for at in range(0, len(wide), 640)]


async def caller(recogniser: Recogniser, frames: list[bytes], start: float, until: float, finals: list[float]) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(start)
    while loop.time() < until:
        done: asyncio.Future[Result] = loop.create_future()
        turn = recogniser.begin(None, done.set_result)
        at = loop.time()
        for frame in frames:
            turn.audio(frame)
            at += 0.02
            await asyncio.sleep(max(0.0, at - loop.time()))
        asked = time.monotonic_ns()
        turn.end()
        await done
        finals.append((time.monotonic_ns() - asked) / 1e6)


async def main(callers: int, seconds: float) -> None:
    recogniser = Recogniser(dialogue.load(), threads=2, decoders=callers // 2 + 1, turns=256)
    await recogniser.start()
    frames = speech("i would like a large pizza with mushrooms please")
    finals: list[float] = []
    until = asyncio.get_running_loop().time() + seconds
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    await asyncio.gather(*(caller(recogniser, frames, n * 0.077, until, finals) for n in range(callers)))
    after, took = resource.getrusage(resource.RUSAGE_SELF), time.monotonic() - began
    cpu = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / took
    finals.sort()
    print(f"callers speaking   {callers}, {len(finals)} turns")
    print(f"CPU                {cpu:.2f} cores, {cpu / callers:.2%} of a core per speaking caller (test included)")
    print(f"final              p50 {finals[len(finals) // 2]:.1f} ms, p99 {finals[len(finals) * 99 // 100]:.1f} ms")
    print(f"memory             {after.ru_maxrss / 1024:.0f} MB")
    await recogniser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callers", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=8.0)
    options = parser.parse_args()
    asyncio.run(main(options.callers, options.seconds))
