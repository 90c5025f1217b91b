"""Calls that come and go without a pause, and whether anything of them stays: memory, descriptors, threads.

    python benchmarks/soak.py --calls 100 --minutes 5

``--calls`` are up at once, each for ``--length`` seconds with packets both ways, and the next ones follow at once: in
five minutes as many come and go as in an hour where calls last some 24 s. Every call is recorded, and its file removed.
The first half is warm-up (SIP keeps what it answered for 32 s, rings are touched for the first time, and garbage waits
for its collector); after it nothing may grow. Status 1 if something did.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import yaml
from calls import Calls
from common import Cpu, free_port, machine
from load import configuration, listening, memory_kib

from codecs_ext.rtp import build
from gateway.bench.callers.host import quiet_log
from gateway.bench.children import Child

GROWTH_KIB = 4096
"""What an allocator may keep more at the end than after the warm-up."""


def counted(pid: int) -> tuple[int, int, int]:
    """Memory in KiB, descriptors, threads."""
    threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    return memory_kib(pid), len(list(Path(f"/proc/{pid}/fd").iterdir())), threads


async def packets(sock: socket.socket, ports: list[int], seconds: float) -> int:
    """Sends to every port each 20 ms, and reads what comes; how many came."""
    heard, began, frame = 0, time.monotonic(), 0
    while (now := time.monotonic()) < began + seconds:
        for number, port in enumerate(ports):
            sock.sendto(build(0, False, frame, frame * 160, number + 1, b"\xa5" * 160), ("127.0.0.1", port))
        frame += 1
        with contextlib.suppress(BlockingIOError):
            while sock.recv(2048):
                heard += 1
        await asyncio.sleep(max(0.0, began + frame * 0.02 - now))
    return heard


async def soak(calls: int, seconds: float, length: float) -> int:
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = free_port(socket.SOCK_DGRAM)
        config = configuration("echo", 2 * calls, port, "", 1)
        config["routes"][0]["recording"] = {"file": str(directory / "rec" / "{call_id}")}
        path = directory / "linecard.yaml"
        path.write_text(yaml.safe_dump(config))
        gateway = await Child.start("linecard run", ["run", str(path)], lambda _: None)
        stack.push_async_callback(gateway.stop, 2.0)
        await listening(port)
        media = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        media.bind(("127.0.0.1", 0))
        media.setblocking(False)
        media.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        idle, began, done, heard, cpu = counted(gateway.pid), time.monotonic(), 0, 0, Cpu(gateway.pid)
        readings: list[tuple[int, int, int]] = []
        while time.monotonic() < began + seconds:
            uac = Calls(("127.0.0.1", port), media.getsockname()[1], name=f"r{len(readings)}")
            ports = await uac.set_up(["echo"] * calls)
            heard += await packets(media, ports, length)
            await uac.hang_up()
            done += calls
            for file in (directory / "rec").glob("*"):
                file.unlink()
            readings.append(counted(gateway.pid))
        share = cpu.share()
    flat = readings[len(readings) // 2 :]
    first, last = flat[: max(1, len(flat) // 4)], flat[-max(1, len(flat) // 4) :]
    grown = min(memory for memory, _, _ in last) - min(memory for memory, _, _ in first)
    print(f"{machine()}\n{done} calls in {seconds:.0f} s, {calls} at once, {heard} packets came back, CPU {share:.1%}")
    tenths = [readings[number * len(readings) // 10][0] for number in range(10)]
    print("memory over time, KiB: " + " ".join(map(str, tenths)))
    print(f"before: {idle[0]} KiB, {idle[1]} descriptors, {idle[2]} threads")
    print(f"after:  {last[-1][0]} KiB ({grown:+d} since the warm-up), {last[-1][1]} descriptors, {last[-1][2]} threads")
    kept = last[-1][1] > idle[1] or last[-1][2] > idle[2] + 1  # the recorder's thread starts with the first recording
    return 1 if grown > GROWTH_KIB or kept or not heard else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--length", type=float, default=2.0)
    options = parser.parse_args()
    quiet_log()
    raise SystemExit(asyncio.run(soak(options.calls, options.minutes * 60, options.length)))
