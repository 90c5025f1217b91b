"""How punctual the media plane is while Python is kept busy, and what a pair of packets costs.

    python benchmarks/kernels/packet_clock.py --legs 100 --seconds 10 --busy-ms 5

Every leg sends and receives a packet each 20 ms, against one socket in another process, which looks at the kernel's
arrival stamps. The event loop of this process does nothing but callbacks of ``--busy-ms``, one after the other.

Deviation inside: from a packet's due time to the return of its send call, as the plane counts it. Deviation outside:
arrivals of one leg against a grid of 20 ms laid through its earliest packet, so that it can only be late.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import resource
import socket
import struct
import sys
import time
from collections import defaultdict
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import structlog

from codecs_ext.plane import LEG_BYTES
from codecs_ext.rtp import build
from gateway.media.contract import LegStats, Stream
from gateway.media.options import MediaOptions
from gateway.media.plane import MediaPlane

SO_TIMESTAMPNS = 35
PERIOD = 20_000_000


class Deaf:
    """An observer that counts what it hears."""

    def __init__(self) -> None:
        self.frames = 0
        self.stats = LegStats()

    def on_audio(self, *_: object) -> None:
        self.frames += 1

    def on_closed(self, stats: LegStats) -> None:
        self.stats = stats

    def __getattr__(self, name: str) -> object:
        return lambda *_: None


def far_end(pipe: Connection) -> None:
    """The other process: plays all the callers, and answers with the arrivals of each leg."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    sock.bind(("127.0.0.1", 0))
    pipe.send(sock.getsockname())
    legs, seconds = pipe.recv()
    arrivals: dict[int, list[int]] = defaultdict(list)
    start, number = time.monotonic(), 0
    sock.setblocking(False)
    while (now := time.monotonic()) < start + seconds:
        if now >= start + number * 0.02 / 4:  # a quarter of the legs each 5 ms
            for leg in range(number % 4, len(legs), 4):
                sock.sendto(build(0, False, number // 4, number // 4 * 160, leg + 1, b"\xff" * 160), legs[leg])
            number += 1
        for _ in range(64):
            try:
                _, control, _, source = sock.recvmsg(2048, 64, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            seconds_part, nanoseconds = struct.unpack("qq", control[0][2])
            arrivals[source[1]].append(seconds_part * 1_000_000_000 + nanoseconds)
        else:
            continue
        time.sleep(0.001)
    pipe.send((number // 4, dict(arrivals)))


def outside(arrivals: dict[int, list[int]]) -> list[int]:
    """How late each packet came against its leg's own grid, in nanoseconds, sorted."""
    late = []
    for stamps in arrivals.values():
        origin = min(stamp - n * PERIOD for n, stamp in enumerate(stamps))
        late += [stamp - n * PERIOD - origin for n, stamp in enumerate(stamps)]
    return sorted(late)


def resident_kib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024


async def keep_busy(seconds: float, busy_ms: float) -> int:
    """Callbacks that burn ``busy_ms`` of the event loop, one after the other."""
    end, rounds = time.monotonic() + seconds, 0
    while (now := time.monotonic()) < end:
        while busy_ms and time.monotonic() < now + busy_ms / 1000:
            pass
        rounds += 1
        await asyncio.sleep(0 if busy_ms else 0.1)
    return rounds


async def measure(arguments: argparse.Namespace) -> None:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=far_end, args=(there,))
    process.start()
    there.close()
    address = here.recv()
    plane = MediaPlane(MediaOptions(ports="30000-39999", realtime=arguments.realtime, shards=arguments.shards))
    plane.start()
    ears = [Deaf() for _ in range(arguments.legs)]
    memory = resident_kib()
    legs = [plane.open_leg(ear, uplink_rate=arguments.rate) for ear in ears]
    memory = resident_kib() - memory
    for leg in legs:
        leg.connect(Stream(address, 0, "PCMU"))
    here.send(([leg.local for leg in legs], arguments.seconds))
    await asyncio.sleep(0.3)
    before = plane.costs()
    rounds = await keep_busy(arguments.seconds - 0.6, arguments.busy_ms)
    costs = plane.costs().since(before)
    sent, arrivals = await asyncio.to_thread(here.recv)
    await plane.stop()
    process.join()
    late = outside(arrivals)

    def share(part: float) -> float:
        return late[min(len(late) - 1, int(part * len(late)))] / 1000

    lost = sum(ear.stats.packets_lost for ear in ears)
    received = sum(ear.stats.packets_received for ear in ears)
    print(f"{arguments.legs} legs, {arguments.shards} shard(s), {rounds} callbacks of {arguments.busy_ms} ms")
    print(f"deviation inside   p50 {costs.deviation_us(0.5):6.0f}  p99 {costs.deviation_us(0.99):6.0f}  "
          f"p99.9 {costs.deviation_us(0.999):6.0f} us (steps of 10)")  # fmt: skip
    print(f"deviation outside  p50 {share(0.5):6.0f}  p99 {share(0.99):6.0f}  p99.9 {share(0.999):6.0f}  "
          f"max {late[-1] / 1000:6.0f} us over {len(late)} packets")  # fmt: skip
    print(f"ticks {costs.ticks}, late {costs.late_ticks}, largest lateness since start {costs.max_lateness_us:.0f} us")
    print(f"received {received} of {sent * arguments.legs} sent to the plane, lost {lost}, "
          f"heard by Python {sum(ear.frames for ear in ears)}, wake-ups {costs.wake_ups}")  # fmt: skip
    pairs = (costs.packets_received + costs.packets_sent) / 2
    print(f"{costs.us_per_pair:.2f} us and {costs.syscalls / max(1, pairs):.2f} system calls per packet pair, "
          f"{100 * costs.busy_s / arguments.seconds:.1f}% of a core")  # fmt: skip
    print(f"memory per leg {LEG_BYTES} bytes, {memory * 1024 // arguments.legs} resident with its Python objects")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--legs", type=int, default=100)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--busy-ms", type=float, default=5.0, help="0: the event loop rests")
    parser.add_argument("--rate", type=int, default=16000, help="of the uplink, in Hz")
    parser.add_argument("--realtime", action=argparse.BooleanOptionalAction, default=True, help="ask for SCHED_FIFO")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
