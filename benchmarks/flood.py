"""A flood of malformed datagrams from strangers while calls are up: is their audio untouched, and what does it cost?

    python benchmarks/flood.py --calls 20 --rate 20000 --seconds 10
    python benchmarks/flood.py --calls 20 --rate 20000 --seconds 10 --sources 1000

Calls hear the milliwatt tone. Each packet's arrival is stamped by the kernel; its lateness is against the stream's own
20 ms grid, from the earliest packet on. What else comes to that port, such as the RTCP of a call whose port is the one
below, is not listened to. The first three seconds are quiet, for comparison. Strangers are addresses of 127.0.0.0/8
that belong to no trunk.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop
import yaml
from common import Cpu, free_port, machine

from gateway.bench.children import Child
from gateway.net.endpoint import open_endpoint
from gateway.net.options import SignallingOptions
from gateway.net.transport import Listen
from gateway.sdp import offer, parse
from gateway.sip.events import Answered, Event

QUIET_S = 3
HALF = 1 << 31
STAMP = getattr(socket, "SO_TIMESTAMPNS", 35)


class Ear:
    """The RTP of one call: when each packet came, by the kernel's clock, and where it belongs."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, STAMP, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.heard: list[tuple[float, int]] = []
        asyncio.get_running_loop().add_reader(self.socket, self.listen)

    def tune(self, sdp: bytes) -> None:
        """To the answer's sender alone: from now on the kernel drops what others send."""
        stream = parse(sdp).media[0]
        self.socket.connect((stream.host, stream.port))
        self.listen()
        self.heard.clear()

    def listen(self) -> None:
        while True:
            try:
                data, ancillary, _, _ = self.socket.recvmsg(2048, 128)
            except BlockingIOError:
                return
            seconds, nanos = struct.unpack("qq", ancillary[0][2][:16])
            self.heard.append((seconds + nanos / 1e9, struct.unpack_from("!I", data, 4)[0]))

    def lateness_ms(self, since: float) -> list[float]:
        """The stream's clock starts anywhere, and may wrap."""
        _, first = self.heard[0]
        offsets = [(at, at - ((media - first + HALF) % (2 * HALF) - HALF) / 8000) for at, media in self.heard]
        earliest = min(offset for _, offset in offsets)
        return [1000 * (offset - earliest) for at, offset in offsets if at >= since]

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.socket)
        self.socket.close()


def flood(port: int, rate: int, seconds: float, sources: int) -> None:
    """In a process of its own. Garbage of three kinds: noise, half a request, a request without what it needs."""
    sockets = []
    for number in range(sources):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((f"127.66.{number >> 8}.{number & 255}", 0))
        sock.connect(("127.0.0.1", port))
        sockets.append(sock)
    kinds = [random.randbytes(300), b"INVITE sip:100@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP", b"OPTIONS x\r\n\r\n" * 20]
    began, sent = time.monotonic(), 0
    while (spent := time.monotonic() - began) < seconds:
        for _ in range(int(spent * rate) - sent):
            sockets[sent % sources].send(kinds[sent % 3])
            sent += 1
        time.sleep(0.001)
    print(sent / seconds)


def configuration(port: int) -> dict[str, object]:
    return {
        "sip": {"listen": f"udp://127.0.0.1:{port}"},
        "media": {"address": "127.0.0.1", "ports": "20000-21999", "rtp_timeout": "60s"},
        "plugs": {"tone": {"kind": "tone"}},
        "trunks": [{"name": "carrier", "from": ["127.0.0.1/32"]}],
        "routes": [{"to": "tone", "plug": "tone"}],
        "log": {"format": "json"},
    }


async def place(calls: int, port: int, ears: list[Ear]) -> object:
    up = asyncio.Event()
    waiting: dict[int, Ear] = {}

    def hear(event: Event) -> None:
        if isinstance(event, Answered):
            waiting.pop(event.call).tune(event.sdp or b"")
            if not waiting:
                up.set()

    caller = await open_endpoint(SignallingOptions(), listen=[Listen("udp", "127.0.0.1", 0)], on_event=hear)
    for number in range(calls):
        ears.append(Ear())
        sdp = offer(ears[-1].socket.getsockname()[:2], number + 1)
        waiting[caller.invite(f"sip:tone@127.0.0.1:{port}", sdp, caller="bench")] = ears[-1]
    await asyncio.wait_for(up.wait(), 20)
    return caller


def told(name: str, values: list[float]) -> str:
    values.sort()
    p99 = values[int(len(values) * 0.99)]
    return f"{name}: {len(values)} packets, late by p99 {p99:.2f} ms, max {values[-1]:.2f} ms"


def written(directory: str, port: int) -> Path:
    path = Path(directory, "linecard.yaml")
    path.write_text(yaml.safe_dump(configuration(port)))
    return path


async def run(options: argparse.Namespace) -> bool:
    port = free_port(socket.SOCK_DGRAM)
    lines = []
    with tempfile.TemporaryDirectory() as directory:
        path = written(directory, port)
        gateway = await Child.start("linecard run", ["run", str(path)], lines.append)
        await gateway.ready(("ready",), 20)
        ears: list[Ear] = []
        caller = await place(options.calls, port, ears)
        quiet_cpu = Cpu(gateway.pid)
        await asyncio.sleep(QUIET_S)
        quiet, began, cpu = quiet_cpu.share(), time.time(), Cpu(gateway.pid)
        attack = [sys.executable, __file__, "--attack", str(port), "--rate", str(options.rate)]
        attack += ["--seconds", str(options.seconds), "--sources", str(options.sources)]
        process = await asyncio.create_subprocess_exec(*attack, stdout=subprocess.PIPE)
        output, _ = await process.communicate()
        share = cpu.share()
        before = [late for ear in ears for late in ear.lateness_ms(0)[: QUIET_S * 45]]
        during = [late for ear in ears for late in ear.lateness_ms(began)]
        await caller.close()  # type: ignore[attr-defined]
        for ear in ears:
            ear.close()
        await gateway.stop(2.0)
    print(machine())
    print(f"{options.calls} calls, {float(output):.0f} malformed datagrams a second from {options.sources} source(s)")
    print(told("quiet", before))
    print(told("flood", during))
    print(f"gateway: {100 * quiet:.1f}% of a core before, {100 * share:.1f}% during")
    print(f"log lines: {len(lines)}")
    return max(during) < 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--rate", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--sources", type=int, default=1)
    parser.add_argument("--attack", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.attack:
        flood(options.attack, options.rate, options.seconds, options.sources)
        return 0
    return 0 if uvloop.run(run(options)) else 1


if __name__ == "__main__":
    raise SystemExit(main())
