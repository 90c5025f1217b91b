"""Two gaps that a caller hears, in milliseconds at a socket: before a greeting, and where a voice dies in it.

    python benchmarks/first_sound.py --calls 1 --rounds 20
    python benchmarks/first_sound.py --calls 200

*Greeting*: from the ACK that the caller sends to the first RTP packet with sound of a greeting that was made ahead; the
goal is 50 ms. *Splice*: the first voice speaks at the pace of speech, in bursts of 20 ms, and stops in mid-sentence
without a word; the second one has its first audio 100 ms after it is asked. The gap heard, less the stall deadline and
that first byte, is what failing over costs; the goal is 40 ms. Packets are stamped by this process when it reads them,
so a busy machine is in the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import uvloop
import yaml
from calls import Calls
from common import Bench, free_port, machine, row
from prompt_models import Server, voice

from gateway.bench.callers.host import quiet_log
from gateway.bench.children import Child

RATE = 8000
BURST = 2 * RATE // 50
SPOKEN_S = 1.5
STALL_MS = 600
FIRST_BYTE_MS = 100
SAID = "Welcome to the house of many doors, where every caller finds somebody who listens, day and night."
HEADER = 12
QUIET = 0x70
"""Mu-law, without its sign, above which nothing is heard: codes count down to silence."""


class Dying(Server):
    """A voice that stops."""

    tasks: ClassVar[set[asyncio.Task[None]]] = set()

    def speak(self, stream: int, message: dict[str, Any]) -> None:
        task = asyncio.get_running_loop().create_task(self.say(stream, message["request"]))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def say(self, stream: int, request: int) -> None:
        loop = asyncio.get_running_loop()
        self.send("started", stream=stream, request=request, elapsed_us=0)
        clip, at = voice(RATE, SPOKEN_S), loop.time()
        for start in range(0, len(clip), BURST):
            self.socket.send_audio(stream, self.sequence[stream], start // 2, request, 0, clip[start : start + BURST])
            self.sequence[stream] += 1
            at += 0.02
            await asyncio.sleep(at - loop.time())


class Second(Server):
    """A voice that takes its time to begin."""

    def speak(self, stream: int, message: dict[str, Any]) -> None:
        asyncio.get_running_loop().call_later(FIRST_BYTE_MS / 1000, super().speak, stream, message)


class Ear(asyncio.DatagramProtocol):
    """When each call, told by the port that it comes from, was heard."""

    def __init__(self) -> None:
        self.heard: dict[int, list[float]] = {}

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if min(byte & 0x7F for byte in data[HEADER:]) < QUIET:
            self.heard.setdefault(addr[1], []).append(time.monotonic())


class Timed(Calls):
    """Remembers when it sent each ACK."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.acked: dict[int, float] = {}

    def _send(self, text: str) -> None:
        if text.startswith("ACK") and (found := re.search(r"Call-ID: (\d+)\.", text)):
            self.acked[int(found[1])] = time.monotonic()
        super()._send(text)


def configuration(sip: int, first: int, second: int, *, ahead: bool) -> dict[str, Any]:
    native = {"kind": "native", "breaker": {"failures": 100_000}}
    return {
        "sip": {"listen": f"udp://127.0.0.1:{sip}"},
        "media": {"address": "127.0.0.1", "ports": "20000-21999"},
        "providers": {
            "first": {**native, "url": f"ws://127.0.0.1:{first}/"},
            "second": {**native, "url": f"ws://127.0.0.1:{second}/"},
        },
        "plugs": {
            "pizza": {
                "kind": "pipeline",
                "stt": "second",
                "llm": "second",
                "tts": "second" if ahead else ["first", "second"],
                "greeting": SAID,
                "ahead": ahead,
                "failover": {"stall": f"{STALL_MS}ms", "standby": True},
            }
        },
        "trunks": [{"name": "loopback", "from": ["127.0.0.0/8"]}],
        "routes": [{"to": "pizza", "plug": "pizza"}],
        "log": {"format": "json"},
    }


@asynccontextmanager
async def house(*, ahead: bool) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        loop, ports = asyncio.get_running_loop(), []
        for kind in (Dying, Second):
            server = await loop.create_server(lambda kind=kind: kind(SPOKEN_S, 0.0).socket, "127.0.0.1", 0)  # type: ignore[misc]
            stack.callback(server.close)
            ports.append(server.sockets[0].getsockname()[1])
        sip = free_port(socket.SOCK_DGRAM)
        path = directory / "linecard.yaml"
        path.write_text(yaml.safe_dump(configuration(sip, *ports, ahead=ahead)))
        bench = Bench(("127.0.0.1", sip), None)  # type: ignore[arg-type]
        bench.gateway = await Child.start("linecard run", ["run", str(path), "--no-redact"], bench.on_line)
        stack.push_async_callback(bench.gateway.stop, 2.0)
        await bench.gateway.ready(("ready",), 20)
        await asyncio.sleep(1)  # what is made ahead is made
        yield bench


async def call(bench: Bench, calls: int, name: str, lasting: float) -> list[tuple[float, list[float]]]:
    """Of each call: when its ACK was sent, and when sound came."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
    sock.bind(("127.0.0.1", 0))
    transport, ear = await asyncio.get_running_loop().create_datagram_endpoint(Ear, sock=sock)
    placed = Timed(bench.sip, sock.getsockname()[1], name)
    ports = await placed.set_up(["pizza"] * calls)
    await asyncio.sleep(lasting)
    await placed.hang_up()
    transport.close()
    return [(placed.acked[number], ear.heard.get(port, [])) for number, (port, _) in enumerate(ports)]


def longest(heard: list[float]) -> float:
    """The gap between two packets with sound, in milliseconds; a packet's own 20 are none."""
    return max((later - earlier) * 1000 - 20 for earlier, later in pairwise(heard))


async def main(calls: int, rounds: int) -> int:
    quiet_log()
    print(machine())
    greetings, gaps, silent = [], [], 0
    for ahead in (True, False):
        async with house(ahead=ahead) as bench:
            for number in range(rounds):
                for acked, heard in await call(bench, calls, f"r{number}", 1.0 if ahead else 4.5):
                    if len(heard) < 2:
                        silent += 1
                    elif ahead:
                        greetings.append((heard[0] - acked) * 1000)
                    else:
                        gaps.append(longest(heard) - STALL_MS - FIRST_BYTE_MS)
    print(f"{calls} calls at once, {rounds} times; {silent} heard nothing")
    print(row("greeting: ACK to first sound", greetings))
    print(row("splice: gap less deadline and first byte", gaps))
    return 1 if silent else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    raise SystemExit(uvloop.run(main(options.calls, options.rounds)))
