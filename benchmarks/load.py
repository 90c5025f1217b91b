"""What a call costs the whole daemon, and what happens to its packets, with many calls at once.

    python benchmarks/load.py --kind echo --calls 200 --seconds 10
    python benchmarks/load.py --kind srtp --calls 200
    python benchmarks/load.py --kind floor --calls 400 --seconds 4
    python benchmarks/load.py --kind multiplexed --calls 200
    python benchmarks/load.py --kind own --calls 200
    python benchmarks/load.py --kind wss --calls 200

``echo``: the number ``echo`` (decode, to 16 kHz, back, encode), no WebSocket; ``srtp``: the same, encrypted.
``multiplexed``: a realtime model that echoes (``echo_server.c``), all calls on one native connection. ``own``: the
same with a connection for each call; ``wss``: with TLS on each. The calls are set up by SIP, their packets come from
``generator.c``, which is compiled on the way and says how late it was itself. CPU is that of the gateway's process.
``floor``: the kernel alone, with the same packets and system calls.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import yaml
from calls import Calls
from common import Cpu, free_port, machine

from gateway.bench.callers.host import quiet_log
from gateway.bench.children import Child

HERE = Path(__file__).resolve().parent
WARM_UP, IDLE = 4.0, 2.0
OWN = ("own", "wss")
ECHO = ("echo", "srtp")
KEY = bytes(range(30))
RUN = (
    "import ctypes, sys; words = [word.encode() for word in sys.argv[1:]]; "
    "ctypes.CDLL(sys.argv[1]).main(len(words), (ctypes.c_char_p * len(words))(*words))"
)
"""The generator as a library in an interpreter: pylibsrtp's library does not load without one."""


class Echo:
    """``echo_server.c`` as a child, or with TLS ``echo_server.py``."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.pid = process.pid
        self.url = url
        self._process = process

    @classmethod
    async def start(cls, directory: Path, *, secure: bool) -> Echo:
        python = [sys.executable, str(HERE / "echo_server.py")]
        arguments = [*python, str(certificate(directory))] if secure else [str(compiled_server(directory))]
        process = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE, cwd=HERE.parent)
        assert process.stdout is not None
        return cls(process, (await process.stdout.readline()).decode().strip())

    async def stop(self) -> None:
        self._process.terminate()
        await self._process.wait()


def certificate(directory: Path) -> Path:
    """For localhost, and trusted by the gateway that is started next."""
    pem = directory / "localhost.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(pem), "-out", str(directory / "certificate")]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    pem.write_bytes(pem.read_bytes() + (directory / "certificate").read_bytes())
    os.environ["SSL_CERT_FILE"] = str(directory / "certificate")
    return pem


def compiled_server(directory: Path) -> Path:
    target = directory / "echo_server"
    subprocess.run(["cc", "-O2", "-o", str(target), str(HERE / "echo_server.c")], check=True)
    return target


def compile_c(source: str, target: Path, *options: str) -> None:
    subprocess.run(["cc", "-O2", "-o", str(target), str(HERE / source), *options], check=True)


def compiled(directory: Path) -> Path:
    target = directory / "generator.so"
    compile_c("generator.c", target, "-shared", "-fPIC", "-lm", "-ldl")
    return target


async def floor(calls: int, seconds: float) -> float:
    """Share of a core that a call's packets take in the kernel alone (``floor.c``), as the machine is now."""
    with tempfile.TemporaryDirectory() as folder:
        program, media = Path(folder) / "floor", free_port(socket.SOCK_DGRAM)
        compile_c("floor.c", program)
        words = [str(program), str(calls), str(media), str(2 * seconds)]
        echo = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
        assert echo.stdout is not None
        ports = [int(await echo.stdout.readline()) for _ in range(calls)]
        generator = await asyncio.create_subprocess_exec(
            sys.executable, "-c", RUN, str(compiled(Path(folder))), str(2 * seconds), "0", str(media), "voice",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await generator.communicate("\n".join(f"{port} 0" for port in ports).encode())
        return float(await echo.stdout.read()) * 50 / 1e6


def libsrtp() -> str:
    """In the wheel of pylibsrtp."""
    spec = importlib.util.find_spec("pylibsrtp")
    assert spec is not None
    assert spec.origin is not None
    return str(next(Path(spec.origin).parent.glob("_binding*.so")))


def configuration(kind: str, calls: int, port: int, url: str, shards: int) -> dict[str, Any]:
    names = ["m"] if kind == "multiplexed" else [f"m{number}" for number in range(calls)] if kind in OWN else []
    plugs: dict[str, Any] = {name: {"kind": "realtime", "model": name} for name in names} or {"echo": {"kind": "echo"}}
    return {
        "sip": {"listen": f"udp://127.0.0.1:{port}", "max_calls": calls + 1},
        "media": {"address": "127.0.0.1", "ports": "20000-29999", "shards": shards},
        "providers": {name: {"kind": "native", "url": url} for name in names},
        "plugs": plugs,
        "trunks": [{"name": "loopback", "from": ["127.0.0.0/8"], "srtp": "require" if kind == "srtp" else "off"}],
        "routes": [{"to": name, "plug": name} for name in plugs],
        "limits": {"concurrent_calls": calls + 1},
        "log": {"format": "json", "level": "warning"},
    }


def memory_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def threads_s(pid: int) -> dict[str, float]:
    """Processor seconds of the event loop's thread, and of all others."""
    spent: dict[str, float] = defaultdict(float)
    for task in Path(f"/proc/{pid}/task").iterdir():
        running = int((task / "schedstat").read_text().split()[0])
        spent["event loop" if task.name == str(pid) else "media and others"] += running / 1e9
    return spent


async def share_of(pid: int, seconds: float) -> float:
    """Of a core, by the scheduler's own account."""
    before = sum(threads_s(pid).values())
    await asyncio.sleep(seconds)
    return (sum(threads_s(pid).values()) - before) / seconds


async def listening(sip: int, attempts: int = 200) -> None:
    """Until the gateway answers an OPTIONS."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        probe.setblocking(False)
        here = f"127.0.0.1:{probe.getsockname()[1]}"
        for number in range(attempts):
            probe.sendto(
                f"OPTIONS sip:x@127.0.0.1:{sip} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{number}\r\n"
                f"From: <sip:x@{here}>;tag=1\r\nTo: <sip:x@127.0.0.1>\r\nCall-ID: o{number}\r\nCSeq: 1 OPTIONS\r\n"
                "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n".encode(), ("127.0.0.1", sip),
            )  # fmt: skip
            await asyncio.sleep(0.1)
            try:
                probe.recv(4096)
            except (BlockingIOError, ConnectionRefusedError):
                continue
            return
    raise RuntimeError("the gateway does not answer")


async def measure(kind: str, calls: int, seconds: float, shards: int = 1) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url, models = "", None
        if kind not in ECHO:
            models = await Echo.start(directory, secure=kind == "wss")
            url = models.url
            stack.push_async_callback(models.stop)
        port, media = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
        path = directory / "linecard.yaml"
        path.write_text(yaml.safe_dump(configuration(kind, calls, port, url, shards)))
        gateway = await Child.start("linecard run", ["run", str(path)], lambda _: None)
        stack.push_async_callback(gateway.stop, 2.0)
        await listening(port)
        idle = await share_of(gateway.pid, IDLE)
        before = memory_kib(gateway.pid)
        numbers = [f"m{n}" for n in range(calls)] if kind in OWN else ["echo" if kind in ECHO else "m"] * calls
        uac = Calls(("127.0.0.1", port), media, key=KEY if kind == "srtp" else b"")
        ports = await uac.set_up(numbers)
        manner = "pulse" if kind in ECHO else "voice"
        generator = await asyncio.create_subprocess_exec(
            sys.executable, "-c", RUN, str(compiled(directory)), str(seconds), str(WARM_UP), str(media), manner,
            *([libsrtp(), KEY.hex()] if kind == "srtp" else []),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        lines = "\n".join(f"{number} {key.hex() or 0}" for number, key in ports)
        told = asyncio.get_running_loop().create_task(generator.communicate(lines.encode()))
        await asyncio.sleep(WARM_UP)
        cpu = [Cpu(process.pid) for process in (gateway, models) if process is not None]
        before_s = threads_s(gateway.pid)
        await asyncio.sleep(seconds - 0.5)
        after_s = threads_s(gateway.pid)
        shares = [one.share() for one in cpu]
        memory = memory_kib(gateway.pid)
        out, _ = await told
        await uac.hang_up()
    figures = json.loads(out)
    figures.update(
        kind=kind,
        cpu_per_call=shares[0] / calls,
        idle=idle,
        threads={name: (spent - before_s.get(name, 0.0)) / (seconds - 0.5) / calls for name, spent in after_s.items()},
        models_per_call=shares[1] / calls if len(shares) > 1 else 0.0,
        memory_kib_per_call=(memory - before) / calls,
    )
    return figures


def told(figures: dict[str, Any]) -> str:
    threads = ", ".join(f"{name} {share:.3%}" for name, share in figures["threads"].items() if share > 1e-5)
    (p50, p99, most), late, own = figures["delay_ms"], figures["late_ms"], figures["own_lateness_ms"]
    return (
        f"{figures['kind']:<12} {figures['calls']:5d} calls  CPU {figures['cpu_per_call']:.3%} of a core a call "
        f"(models {figures['models_per_call']:.3%})  memory {figures['memory_kib_per_call']:.0f} KiB a call\n"
        f"  threads: {threads}\n"
        f"  sent {figures['sent']}, received {figures['received']}, missing {figures['missing']}; there and back "
        f"p50 {p50} p99 {p99} max {most} ms of {figures['echoed']} recognised\n"
        f"  sent late p99 {late[1]} max {late[2]} ms; generator late p99 {own[1]} max {own[2]} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=("floor", *ECHO, "multiplexed", *OWN), default="echo")
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--shards", type=int, default=1)
    options = parser.parse_args()
    quiet_log()
    print(machine())
    if options.kind == "floor":
        print(f"{asyncio.run(floor(options.calls, options.seconds)):.3%} of a core a call, in the kernel alone")
        return
    print(told(asyncio.run(measure(options.kind, options.calls, options.seconds, options.shards))))


if __name__ == "__main__":
    main()
