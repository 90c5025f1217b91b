"""Processor time of the media thread per bridged call: relayed, and transcoded from PCMU to G.722 and back.

    python benchmarks/bridged_calls.py --calls 50 --seconds 10

Both phones of each call send 50 packets a second, from this process; counted is the processor time of the media thread
alone (schedstat), and with it all system calls of both legs.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import socket
import struct
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from codecs_ext import rtp
from codecs_ext.codec import Coder
from codecs_ext.g711 import PCMU
from codecs_ext.g722 import G722
from gateway.media.bridge import bridge
from gateway.media.contract import Stream
from gateway.media.leg import PlaneLeg
from gateway.media.options import MediaOptions
from gateway.media.plane import MediaPlane

KINDS = {"PCMU": (0, PCMU), "G722": (9, G722)}


class Deaf:
    """An observer that does not listen."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


class Phone:
    def __init__(self, plane: MediaPlane, codec: str, beside: PlaneLeg | None = None) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.kind, kernel = KINDS[codec]
        noise = random.Random(1)
        pcm = struct.pack(f"<{kernel.rate // 50}h", *(noise.randint(-4000, 4000) for _ in range(kernel.rate // 50)))
        self.payload = Coder(kernel).encode(pcm)
        self.leg = plane.open_leg(Deaf(), beside=beside)
        self.leg.connect(Stream(self.socket.getsockname(), self.kind, codec))

    def send(self, number: int) -> None:
        packet = rtp.build(self.kind, False, number & 0xFFFF, number * 160, 1, self.payload)
        self.socket.sendto(packet, self.leg.local)


def threads() -> set[Path]:
    return set(Path("/proc/self/task").iterdir())


def processor_ns(thread: Path) -> int:
    return int((thread / "schedstat").read_text().split()[0])


async def run(codecs: tuple[str, str], calls: int, seconds: int) -> float:
    """Processor time of the media thread in percent of a core."""
    plane, before = MediaPlane(MediaOptions(ports="30000-34999")), threads()
    plane.start()
    media = [one for one in threads() - before if (one / "comm").exists()]
    phones = []
    for _ in range(calls):
        first = Phone(plane, codecs[0])
        phones += [first, Phone(plane, codecs[1], first.leg)]
        bridge(phones[-2].leg, phones[-1].leg)
    loop, start = asyncio.get_running_loop(), 0
    begins = loop.time()
    for number in range(50 * (seconds + 1)):
        if number == 50:
            start = sum(map(processor_ns, media))
        for phone in phones:
            phone.send(number)
        await asyncio.sleep(begins + (number + 1) / 50 - loop.time())
    used = sum(map(processor_ns, media)) - start
    await plane.stop()
    for phone in phones:
        phone.socket.close()
    return used / (seconds * 1e9) * 100


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=10)
    options = parser.parse_args()
    print(f"{options.calls} bridged calls, percent of a core for each")
    for name, codecs in (("relayed", ("PCMU", "PCMU")), ("transcoded", ("PCMU", "G722"))):
        used = await run(codecs, options.calls, options.seconds)
        print(f"{name:12} {used / options.calls:.3f}%")


if __name__ == "__main__":
    asyncio.run(main())
