"""Nothing is left over: descriptors, threads and memory after many starts, stops, legs and calls."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
from pathlib import Path

from codecs_ext.plane import PlaneShard
from tests.unit.media.peer import Ear, phone_running, plane_running

# AddressSanitizer keeps what was freed for a while.
GROWTH_KIB = 300_000 if "libasan" in os.environ.get("LD_PRELOAD", "") else 2000


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def resident_kib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


def growth(readings: list[int]) -> int:
    """Between the halves, each at its lowest: the allocator gives memory back late and in lumps, a leak never does."""
    half = len(readings) // 2
    return min(readings[half:]) - min(readings[:half])


def shard() -> PlaneShard:
    return PlaneShard(
        100, print, print, print, event_bytes=1 << 20, window_ns=1, window_least_ns=1, stall_ns=1, timeout_ns=1,
        hold_timeout_ns=1, max_gap=1, playout_limit=1, fade_ms=10, gain=1.0, comfort_db=0.0, catch_up=True, learn="any",
        learn_packets=3, settle_ns=1, silence_ns=0, report_ns=10**9, tape_bytes=1 << 12, vad_threshold_db=10.0,
        vad_min_level_db=-48.0, vad_attack=2, vad_release=20,
    )  # fmt: skip


def test_a_thousand_starts_and_stops_leave_nothing():
    def start_and_stop(count: int) -> None:
        batch: list[PlaneShard] = []
        for _ in range(count):  # twenty at a time: a stop takes up to a tick
            batch.append(shard())
            batch[-1].start(realtime=False)
            if len(batch) == 20:
                for one in batch:
                    one.request_stop()
                for one in batch:
                    one.finish()
                batch.clear()

    start_and_stop(500)  # the allocator's arenas grow first
    gc.collect()
    before = descriptors(), threads()
    memory = []
    for _ in range(4):
        start_and_stop(500)
        gc.collect()
        memory.append(resident_kib())
    assert (descriptors(), threads()) == before
    assert growth(memory) < GROWTH_KIB


def test_a_shard_that_is_forgotten_ends_by_itself():
    before = descriptors(), threads()
    for _ in range(5):
        shard().start(realtime=False)
        shard()
    gc.collect()
    after = descriptors(), threads()
    assert after[0] <= before[0]  # what an earlier test left to the collector may have gone meanwhile
    assert after[1] <= before[1]


async def test_thousands_of_legs_leave_nothing():
    async with plane_running(ports="44000-44199") as plane, phone_running() as phone:

        async def open_and_close(rounds: int) -> None:
            for _ in range(rounds):
                ears = [Ear() for _ in range(50)]
                legs = [plane.open_leg(ear) for ear in ears]
                for number, leg in enumerate(legs):
                    leg.connect(phone.stream())
                    leg.play(bytes(4800), 24000)
                    leg.mark(1)
                    if number % 2:
                        leg.flush(2)
                    leg.close()
                await asyncio.gather(*(ear.wait("closed") for ear in ears))

        await open_and_close(5)
        gc.collect()
        before = descriptors(), threads()
        memory = []
        for _ in range(4):
            await open_and_close(15)
            gc.collect()
            memory.append(resident_kib())
        assert (descriptors(), threads()) == before
        assert plane.legs_open == 0
        assert growth(memory) < GROWTH_KIB


async def test_planes_with_calls_on_them_start_and_stop():
    async def once() -> None:
        async with plane_running(shards=2) as plane, phone_running() as phone:
            for _ in range(4):
                leg = plane.open_leg(Ear())
                leg.connect(phone.stream())
                leg.play(bytes(48000), 48000)
                phone.send(leg)
            await phone.receive()

    await once()
    gc.collect()
    before = descriptors(), threads()
    memory = []
    for _ in range(6):
        for _ in range(10):
            await once()
        gc.collect()
        memory.append(resident_kib())
    assert (descriptors(), threads()) == before
    assert growth(memory) < GROWTH_KIB
