"""What each kernel of the media path costs per 20 ms of one call, in microseconds of processor time.

    python benchmarks/kernels/media.py
    python benchmarks/kernels/instructions.py       the same in instructions, which do not mind who else is running

Best of several rounds. The first rows are the cost inside the kernel: what fifty frames in one call cost more than one,
by 49; and of SRTP, what a packet costs more than one that is refused for its length. The others are called through
their Python face, whose own cost is the line ``nothing``.
"""

from __future__ import annotations

import random
import struct
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from codecs_ext.codec import Coder
from codecs_ext.downlink import Sender
from codecs_ext.g711 import alaw_to_linear, linear_to_alaw, linear_to_ulaw, ulaw_to_linear
from codecs_ext.g722 import G722
from codecs_ext.plc import Conceal
from codecs_ext.resample import Resample
from codecs_ext.ring import Pipe
from codecs_ext.rtp import build, parse
from codecs_ext.srtp import KEY_BYTES, Direction
from codecs_ext.uplink import Receiver
from codecs_ext.vad import Detector
from gateway.media.codecs.opus import SPEC as OPUS
from gateway.media.dtls import Association, Identity
from gateway.media.srtp import load_srtp
from gateway.sdp import DtlsPeer

ROUNDS, CALLS = 7, 2000
SUITE = "AES_CM_128_HMAC_SHA1_80"
PAIRS = ((8000, 16000), (16000, 8000), (8000, 24000), (24000, 8000), (16000, 24000), (24000, 16000), (48000, 8000),
         (8000, 48000), (44100, 8000))  # fmt: skip
NOISE = random.Random(1)
PCM = {rate: struct.pack(f"<{rate // 50}h", *(NOISE.randint(-8000, 8000) for _ in range(rate // 50)))
       for rate in (8000, 16000, 24000, 44100, 48000)}  # fmt: skip


def cost(call: Callable[[], object], calls: int = CALLS, rounds: int = ROUNDS) -> float:
    """Microseconds of one call, of this thread's processor time: what others do on the machine is not in it."""
    best = 1 << 62
    for _ in range(rounds):
        start = time.thread_time_ns()
        for _ in range(calls):
            call()
        best = min(best, time.thread_time_ns() - start)
    return best / calls / 1e3


def inside(call: Callable[[bytes], object], frame: bytes, frames: int = 50) -> float:
    """Microseconds of a frame in the loop itself."""
    many = frame * frames
    return (cost(lambda: call(many), 100, 60) - cost(lambda: call(frame), 100, 60)) / (frames - 1)


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


def srtp_cost(call: Callable[[], object]) -> float:
    """Microseconds of SRTP in C: without the call, the buffer and the answer, which a packet too long costs as well."""
    direction, long = Direction(SUITE, bytes(KEY_BYTES[SUITE]), inbound=False), bytes(4096)
    return cost(call) - cost(lambda: direction.seal(long))


def handshake() -> float:
    """Microseconds of one end of a DTLS handshake: half of both."""
    ends = Identity(), Identity()
    prints = [("sha-256", bytes.fromhex(end.fingerprint.split()[1].replace(":", ""))) for end in ends]

    def shake() -> None:
        client = Association(ends[0], DtlsPeer("active", (prints[1],)))
        server = Association(ends[1], DtlsPeer("passive", (prints[0],)))
        client.start()
        while said := [(server, one) for one in client.outgoing()] + [(client, one) for one in server.outgoing()]:
            for end, datagram in said:
                end.receive(datagram)
        assert client.keys is not None

    return cost(shake, 20, 3) / 2


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


def in_the_loop() -> list[tuple[str, float]]:
    ulaw, alaw, wide = linear_to_ulaw(PCM[8000]), linear_to_alaw(PCM[8000]), Coder(G722)
    heard = wide.encode(PCM[16000])
    found = [
        ("G.711 mu-law decode", inside(ulaw_to_linear, ulaw)),
        ("G.711 mu-law encode", inside(linear_to_ulaw, PCM[8000])),
        ("G.711 A-law decode", inside(alaw_to_linear, alaw)),
        ("G.711 A-law encode", inside(linear_to_alaw, PCM[8000])),
        ("G.722 encode", inside(wide.encode, PCM[16000], 3)),
        ("G.722 decode", inside(wide.decode, heard, 3)),
    ]
    for low, high in PAIRS:
        found.append((f"resample {low} to {high}", inside(Resample(low, high).process, PCM[low])))
    found += [(f"seal {suite}", srtp_cost(sealed(suite))) for suite in KEY_BYTES]
    return found + [(f"open {suite}", srtp_cost(opened(suite))) for suite in KEY_BYTES]


def through_python() -> list[tuple[str, Callable[[], object]]]:
    packet, detector, conceal, clock = build(0, False, 1, 2, 3, b"\xff" * 160), Detector(), Conceal(), count()
    return [
        ("nothing (a Python call)", lambda: None),
        ("RTP parse", lambda: parse(packet)),
        ("voice activity", lambda: detector.process(PCM[8000], next(clock), 0)),
        ("concealment", lambda: (conceal.hear(PCM[8000]), conceal.make(160))),
        ("ring, in and out, 640 bytes", through(Pipe(1 << 16))),
        *((f"uplink whole, handed up at {rate}", uplink(rate)) for rate in (8000, 16000, 24000)),
        *((f"downlink whole, queued at {rate}", downlink(rate)) for rate in (8000, 16000, 24000, 48000)),
        *opus(16000),
        *opus(48000),
    ]


def main() -> None:
    load_srtp()
    for name, microseconds in in_the_loop():
        print(f"{name:32} {microseconds:7.3f} us")
    print()
    for name, call in through_python():
        print(f"{name:32} {cost(call):6.2f} us")


if __name__ == "__main__":
    main()
