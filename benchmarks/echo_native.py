"""Audio through the whole gateway and over the native protocol to a realtime model that sends it back.

    python benchmarks/echo_native.py --calls 100 --seconds 10

Every 20 ms packet that a caller sends is noise of its own, so each can be looked for in what comes back: G.711 to PCM
to WebSocket to PCM to G.711 changes no sample. The model is the ``echo`` of ``linecard models`` (``--prompt``: of
``prompt_models.py``).
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from array import array

import uvloop
from common import Cpu, gateway, machine, row

from gateway.bench.callers.caller import Caller
from gateway.bench.callers.host import CallerHost, find, quiet_log
from gateway.bench.callers.scenario import Scenario
from gateway.bench.callers.speech import FRAME
from gateway.units import SECOND, to_ms

SPREAD_S = 1.0
FRAME_BYTES = FRAME * 2


def levels() -> list[int]:
    """The loud half of the 256 values that mu-law has: they come back as they are (G.711 table 2a)."""
    values = []
    for byte in range(256):
        code = ~byte & 0xFF
        magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
        if 500 < magnitude < 12000:
            values.append(-magnitude if code & 0x80 else magnitude)
    return values


def noise(seconds: float, seed: int) -> bytes:
    return array("h", random.Random(seed).choices(levels(), k=round(seconds * 50) * FRAME)).tobytes()


def pieces(pcm: bytes) -> list[bytes]:
    return [pcm[start : start + FRAME_BYTES] for start in range(0, len(pcm), FRAME_BYTES)]


def missing(caller: Caller) -> int:
    """Packets that were sent and did not come back whole."""
    came_back = {pcm for _, pcm in caller.ear.heard}
    return sum(piece not in came_back for piece in pieces(caller.clips["noise"]))


def delay_ms(caller: Caller) -> float:
    """First packet sent to the same packet received."""
    first = pieces(caller.clips["noise"])[0]
    began = caller.ear.first_audio or 0
    at = next((media_time for media_time, pcm in caller.ear.heard if pcm == first), None)
    return float("nan") if at is None else to_ms(began + at * SECOND // 8000 - caller.sayings[0].first_sent)


async def main(calls: int, seconds: float, *, prompt: bool) -> int:
    quiet_log()
    print(f"{machine()}\n{calls} calls at once, {seconds:g} s of audio each, echoed over the native protocol")
    steps = [{"think": "300ms"}, {"say": "noise"}, {"silence": "500ms"}, "hang_up"]
    plot = Scenario.model_validate({"name": "echo", "limit": "120s", "steps": steps})
    async with gateway(prompt=prompt) as bench:
        async with CallerHost(await find(f"sip:echo@{bench.sip[0]}:{bench.sip[1]}")) as host:
            callers = [host.caller(plot, {"noise": noise(seconds, seed)}, record=True) for seed in range(calls)]

            async def one(number: int) -> None:
                await asyncio.sleep(number * SPREAD_S / calls)
                await host.run(callers[number])

            cpu = [Cpu(pid) for pid in (bench.gateway.pid, bench.models.pid)]
            began, own = time.monotonic(), time.process_time()
            await asyncio.gather(*(one(number) for number in range(calls)))
            gateway_share, models_share = (measured.share() for measured in cpu)
            callers_share = (time.process_time() - own) / (time.monotonic() - began)
        await bench.all_ended(calls)
    lost = sum(missing(caller) for caller in callers)
    sent = sum(len(pieces(caller.clips["noise"])) for caller in callers)
    stats = [caller.result.stats for caller in callers]
    print(row("packet sent to the same packet received", [delay_ms(caller) for caller in callers]))
    print(
        f"{sent} packets of audio sent, {lost} did not come back whole; RTP lost {sum(s.packets_lost for s in stats)}, "
        f"late {sum(s.packets_late for s in stats)}\n"
        f"CPU of one core: gateway {gateway_share:.1%} ({gateway_share / calls:.2%} a call), "
        f"models {models_share:.1%} ({models_share / calls:.2%}), callers {callers_share:.1%}"
    )
    failed = [caller.result.failure for caller in callers if caller.result.failure]
    for reason in sorted(set(failed)):
        print(f"  failed: {reason} ({failed.count(reason)} times)")
    return 1 if lost or failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--prompt", action="store_true", help="echo of prompt_models.py")
    options = parser.parse_args()
    raise SystemExit(uvloop.run(main(options.calls, options.seconds, prompt=options.prompt)))
