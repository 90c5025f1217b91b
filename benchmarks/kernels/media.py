"""What each kernel of the media path costs per 20 ms of one call, in microseconds.

    python benchmarks/kernels/media.py

Each is called through its Python face, whose own cost is the first line, so subtract that. Best of several rounds.
"""

from __future__ import annotations

import random
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from codecs_ext.codec import Coder
from codecs_ext.downlink import Sender
from codecs_ext.g711 import linear_to_alaw, linear_to_ulaw, ulaw_to_linear
from codecs_ext.g722 import G722
from codecs_ext.plc import Conceal
from codecs_ext.resample import Resample
from codecs_ext.ring import Pipe
from codecs_ext.rtp import build, parse
from codecs_ext.srtp import KEY_BYTES, Direction
from codecs_ext.uplink import Receiver
from codecs_ext.vad import Detector
from gateway.media.codecs.opus import SPEC as OPUS
from gateway.media.srtp import load_srtp

ROUNDS, CALLS = 7, 2000
NOISE = random.Random(1)
PCM = {rate: struct.pack(f"<{rate // 50}h", *(NOISE.randint(-8000, 8000) for _ in range(rate // 50)))
       for rate in (8000, 16000, 24000, 48000)}  # fmt: skip


def cost(call: Callable[[], object]) -> float:
    """Microseconds of one call."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(CALLS):
            call()
        best = min(best, time.perf_counter() - start)
    return best / CALLS * 1e6


def uplink(rate: int) -> Callable[[], object]:
    """A packet in order, from datagram to PCM in the ring."""
    receiver, payload, number = Receiver(rate=rate), linear_to_ulaw(PCM[8000]), 0
    packets = [build(0, False, n, n * 160, 1, payload) for n in range(65536)]

    def receive() -> None:
        nonlocal number
        receiver.receive(packets[number & 0xFFFF], number * 20_000_000)
        number += 1
        if number % 1000 == 0:
            receiver.take()

    return receive


def downlink(rate: int) -> Callable[[], object]:
    """A packet of queued audio, from the queue to the datagram."""
    sender, tick = Sender(limit=1 << 30), 0
    sender.connect(0)
    for _ in range(ROUNDS * CALLS // 50 + 1):
        sender.play(PCM[rate] * 50, rate, 0)

    def send() -> None:
        nonlocal tick
        sender.tick(tick, tick)
        tick += 4

    return send


def sealed(suite: str) -> Callable[[], object]:
    """A packet of 20 ms out. Sequence numbers go on, or the session would refuse."""
    direction, number, payload = Direction(suite, bytes(KEY_BYTES[suite]), inbound=False, ssrc=1), 0, bytes(160)
    packets = [build(0, False, n, n * 160, 1, payload) for n in range(ROUNDS * CALLS)]

    def seal() -> None:
        nonlocal number
        direction.seal(packets[number])
        number += 1

    return seal


def opened(suite: str) -> Callable[[], object]:
    """The same packets in."""
    out = Direction(suite, bytes(KEY_BYTES[suite]), inbound=False, ssrc=1)
    direction, number = Direction(suite, bytes(KEY_BYTES[suite]), inbound=True), 0
    packets = [out.seal(build(0, False, n, n * 160, 1, bytes(160))) or b"" for n in range(ROUNDS * CALLS)]

    def unseal() -> None:
        nonlocal number
        direction.open(packets[number])
        number += 1

    return unseal


def opus(rate: int) -> list[tuple[str, Callable[[], object]]]:
    """Both directions; noise is the dearest thing to encode."""
    coder = Coder(OPUS.kernel_for("useinbandfec=1", rate))
    payload = coder.encode(PCM[rate])
    return [
        (f"Opus encode at {rate}", lambda: coder.encode(PCM[rate])),
        (f"Opus decode at {rate}", lambda: coder.decode(payload)),
    ]


def through(pipe: Pipe) -> Callable[[], object]:
    def push_and_pop() -> None:
        pipe.push(PCM[16000])
        pipe.pop()

    return push_and_pop


def main() -> None:
    ulaw, packet = linear_to_ulaw(PCM[8000]), build(0, False, 1, 2, 3, b"\xff" * 160)
    wide, heard = Coder(G722), Coder(G722).encode(PCM[16000])
    detector, conceal, clock = Detector(), Conceal(), iter(range(1 << 40))
    rows: list[tuple[str, Callable[[], object]]] = [
        ("nothing (a Python call)", lambda: None),
        ("G.711 mu-law decode", lambda: ulaw_to_linear(ulaw)),
        ("G.711 mu-law encode", lambda: linear_to_ulaw(PCM[8000])),
        ("G.711 A-law encode", lambda: linear_to_alaw(PCM[8000])),
        ("G.722 encode", lambda: wide.encode(PCM[16000])),
        ("G.722 decode", lambda: wide.decode(heard)),
        ("RTP parse", lambda: parse(packet)),
        ("voice activity", lambda: detector.process(PCM[8000], next(clock), 0)),
        ("concealment", lambda: (conceal.hear(PCM[8000]), conceal.make(160))),
        ("ring, in and out, 640 bytes", through(Pipe(1 << 16))),
    ]
    for low, high in ((8000, 16000), (8000, 24000), (8000, 48000), (16000, 8000), (24000, 8000), (48000, 8000)):
        resample = Resample(low, high)
        rows.append((f"resample {low} to {high}", lambda resample=resample, low=low: resample.process(PCM[low])))
    rows += [(f"uplink whole, handed up at {rate}", uplink(rate)) for rate in (8000, 16000, 24000)]
    rows += [(f"downlink whole, queued at {rate}", downlink(rate)) for rate in (8000, 16000, 24000, 48000)]
    rows += opus(16000) + opus(48000)
    load_srtp()
    rows += [(f"seal {suite}", sealed(suite)) for suite in KEY_BYTES]
    rows += [(f"open {suite}", opened(suite)) for suite in KEY_BYTES]
    for name, call in rows:
        print(f"{name:32} {cost(call):6.2f} us")


if __name__ == "__main__":
    main()
