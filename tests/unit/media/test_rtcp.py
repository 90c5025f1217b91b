"""RTCP over real sockets: both sides report, and nobody else is believed."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from codecs_ext import rtcp
from gateway.media.contract import LegStats
from gateway.media.leg import PlaneLeg
from tests.unit.media.peer import Ear, Phone, plane_running

SOURCE = 77
CNAME = b"far-end-far-end!"
FAST = {"interval": "100ms"}
NTP_EPOCH = 2_208_988_800


class Reporter(Phone):
    """A phone with an RTCP socket, on the port above RTP's as a rule."""

    def __init__(self) -> None:
        while True:
            super().__init__()
            self.control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.control.setblocking(False)
            try:
                self.control.bind(("127.0.0.1", self.address[1] + 1))
                return
            except OSError:
                self.socket.close()
                self.control.close()

    async def report(self, ssrc: int) -> dict[str, Any]:
        """The next compound packet that the leg sends to the RTCP socket."""
        async with asyncio.timeout(5):
            said = rtcp.parse(await asyncio.get_running_loop().sock_recv(self.control, 2048), ssrc)
        assert said is not None
        return said

    def say(self, leg: PlaneLeg, *, mux: bool = False, sender: int = SOURCE, **parts: Any) -> None:
        data = rtcp.build(sender, CNAME, **parts)
        if mux:
            self.socket.sendto(data, leg.local)
        else:
            self.control.sendto(data, (leg.local[0], leg.local[1] + 1))


@asynccontextmanager
async def reporter() -> AsyncIterator[Reporter]:
    phone = Reporter()
    try:
        yield phone
    finally:
        phone.socket.close()
        phone.control.close()


async def until(leg: PlaneLeg, holds: Callable[[LegStats], bool]) -> LegStats:
    async with asyncio.timeout(5):
        while not holds(leg.stats()):
            await asyncio.sleep(0.002)
    return leg.stats()


def middle(info: dict[str, int]) -> int:
    return (info["ntp_high"] << 16 | info["ntp_low"] >> 16) & 0xFFFFFFFF


def block(ssrc: int, **fields: int) -> dict[str, int]:
    return {"ssrc": ssrc, "fraction": 0, "lost": 0, "highest": 0, "jitter": 0, "lsr": 0, "dlsr": 0} | fields


async def test_a_report_says_what_was_sent_and_what_was_heard():
    async with plane_running(rtcp=FAST) as plane, reporter() as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream())
        for number in range(10):
            if number in (3, 4):
                phone.number += 1
            else:
                phone.send(leg)
        await ear.wait("audio", 10)
        packet = (await phone.receive())[0]
        said = await phone.report(SOURCE)
        now = time.time()
        assert said["sender"] == packet[4]
        assert said["report"] == block(
            SOURCE, fraction=2 * 256 // 10, lost=2, highest=9, jitter=said["report"]["jitter"]
        )
        assert said["info"]["octets"] == 160 * said["info"]["packets"] > 0
        assert said["info"]["ntp_high"] - NTP_EPOCH == pytest.approx(now, abs=2)
        assert said["metrics"] is None


async def test_the_rtp_timestamp_of_a_sender_report_is_that_of_its_ntp_time():
    async with plane_running(rtcp=FAST) as plane, reporter() as phone:
        leg = plane.open_leg(Ear())
        leg.connect(phone.stream())
        first, second = (await phone.report(0))["info"], (await phone.report(0))["info"]
        passed = (second["ntp_high"] - first["ntp_high"]) + (second["ntp_low"] - first["ntp_low"]) / 2**32
        assert (second["timestamp"] - first["timestamp"]) % 2**32 == pytest.approx(8000 * passed, abs=2)


async def test_reports_keep_their_mean_interval_and_are_not_in_step():
    async with plane_running(rtcp=FAST) as plane, reporter() as phone:
        leg = plane.open_leg(Ear())
        leg.connect(phone.stream())
        times = []
        for _ in range(8):
            info = (await phone.report(0))["info"]
            times.append(info["ntp_high"] + info["ntp_low"] / 2**32)
        gaps = [later - earlier for earlier, later in pairwise(times)]
        # With RTCP's share of 500 octets/s, packets of some 80 octets go less often than each 100 ms (RFC 3550 6.2).
        assert all(0.5 * 0.1 / 1.22 <= gap <= 2 * 1.5 * 0.3 for gap in gaps)
        assert max(gaps) - min(gaps) > 0.005


async def test_the_round_trip_is_measured_and_only_from_our_own_stamps():
    async with plane_running(rtcp=FAST) as plane, reporter() as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream())
        phone.send(leg)
        info = (await phone.report(SOURCE))["info"]
        ours = (await phone.receive())[0][4]
        phone.say(leg, report=block(ours, lsr=middle(info) - 70_000))
        await until(leg, lambda stats: stats.rtcp_received == 1)
        assert leg.stats().round_trip_ms is None
        phone.say(leg, report=block(ours, lsr=middle(info), dlsr=0))
        stats = await until(leg, lambda stats: stats.round_trip_ms is not None)
        assert stats.round_trip_ms is not None
        assert 0 <= stats.round_trip_ms < 500
        phone.say(leg, report=block(ours, lsr=middle(info), dlsr=0xFFFFFFFF))
        await until(leg, lambda stats: stats.rtcp_received == 3)
        assert (leg.stats().round_trip_ms or 0) < 500


async def test_a_sender_report_is_answered_with_its_stamp_and_our_delay():
    async with plane_running(rtcp=FAST) as plane, reporter() as phone:
        leg = plane.open_leg(Ear())
        leg.connect(phone.stream())
        phone.send(leg)
        info = {"ntp_high": 0x12345678, "ntp_low": 0x9ABCDEF0, "timestamp": 0, "packets": 1, "octets": 160}
        await phone.report(SOURCE)
        phone.say(leg, info=info)
        await until(leg, lambda stats: stats.rtcp_received == 1)
        asked = time.monotonic()
        phone.send(leg)
        said = await phone.report(SOURCE)
        while said["report"] is None or not said["report"]["lsr"]:
            phone.send(leg)
            said = await phone.report(SOURCE)
        assert said["report"]["lsr"] == 0x56789ABC
        assert said["report"]["dlsr"] / 65536 == pytest.approx(time.monotonic() - asked, abs=0.1)


async def test_the_far_ends_report_is_kept_beside_ours():
    async with plane_running(rtcp=FAST) as plane, reporter() as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream(rtcp_metrics=True))
        phone.send(leg)
        ours = (await phone.receive())[0][4]
        await ear.wait("audio")
        said = await phone.report(SOURCE)
        assert said["metrics"]["ssrc"] == SOURCE
        assert (said["metrics"]["gmin"], said["metrics"]["r_factor"], said["metrics"]["mos_conversation"]) == (
            16,
            93,
            44,
        )
        metrics = said["metrics"] | {"ssrc": ours, "r_factor": 81, "mos_conversation": 39, "end_delay_ms": 60}
        phone.say(leg, report=block(ours, fraction=64, lost=1, jitter=80), metrics=metrics)
        leg_stats = await until(leg, lambda stats: stats.far is not None)
        assert leg_stats.far is not None
        assert (leg_stats.far.packets_lost, leg_stats.far.recent_loss, leg_stats.far.jitter_ms) == (1, 0.25, 10.0)
        assert (leg_stats.far.reported_r_factor, leg_stats.far.reported_mos) == (81, 3.9)
        assert leg_stats.far.r_factor < 93
        assert leg_stats.mos is not None
        assert leg_stats.mos > 4.3


async def test_the_end_is_told_with_bye():
    async with plane_running() as plane, reporter() as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream())
        await phone.receive()
        leg.close()
        said = await phone.report(0)
        assert said["bye"]
        assert said["info"] is not None
        await ear.wait("closed")
        assert ear.stats.rtcp_sent == 1


async def test_a_leg_that_never_sent_leaves_without_a_word():
    async with plane_running() as plane, reporter() as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream(send=False))
        leg.close()
        await ear.wait("closed")
        assert ear.stats.rtcp_sent == 0
        with pytest.raises(BlockingIOError):
            phone.control.recv(2048)


async def test_reports_share_the_port_when_that_was_agreed():
    async with plane_running(rtcp=FAST) as plane, reporter() as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream(rtcp_mux=True))
        phone.send(leg)
        async with asyncio.timeout(5):
            while True:
                data = await asyncio.get_running_loop().sock_recv(phone.socket, 2048)
                if 192 <= data[1] <= 223:
                    break
        assert rtcp.parse(data, SOURCE) is not None
        phone.say(leg, mux=True, bye=True)
        stats = await until(leg, lambda stats: stats.rtcp_received == 1)
        assert (stats.packets_refused, stats.packets_received) == (0, 1)
        with pytest.raises(BlockingIOError):
            phone.control.recv(2048)


async def test_without_that_a_report_on_the_rtp_port_is_refused():
    async with plane_running() as plane, reporter() as phone:
        leg = plane.open_leg(Ear())
        leg.connect(phone.stream())
        phone.say(leg, mux=True)
        await until(leg, lambda stats: stats.packets_refused == 1)
        assert leg.stats().rtcp_received == 0


async def test_reports_go_where_sdp_says():
    async with plane_running(rtcp=FAST) as plane, reporter() as phone, reporter() as elsewhere:
        leg = plane.open_leg(Ear())
        leg.connect(phone.stream(rtcp=elsewhere.control.getsockname()))
        assert (await elsewhere.report(0))["info"] is not None


async def test_a_report_that_fits_decides_where_ours_go_and_strangers_do_not():
    """Symmetric RTCP (RFC 4961): who does not know either source is not believed."""
    async with plane_running(rtcp=FAST) as plane, reporter() as phone, reporter() as nat, reporter() as stranger:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream())
        phone.send(leg)
        await ear.wait("audio")
        stranger.say(leg, sender=4711, bye=True)
        await until(leg, lambda stats: stats.rtcp_refused == 1)
        nat.say(leg)
        await until(leg, lambda stats: stats.rtcp_received == 1)
        stranger.say(leg)
        await until(leg, lambda stats: stats.rtcp_refused == 2)
        assert (await nat.report(0))["info"] is not None
        with pytest.raises(BlockingIOError):
            stranger.control.recv(2048)


async def test_hostile_datagrams_are_counted_and_the_call_goes_on():
    async with plane_running() as plane, reporter() as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream())
        good = rtcp.build(SOURCE, CNAME, report=block(1))
        hostile = [b"", b"\x80", bytes(64), good[:-3], good + bytes(3000), struct.pack("!BBHI", 0x9F, 201, 1, SOURCE)]
        for data in hostile:
            phone.control.sendto(data, (leg.local[0], leg.local[1] + 1))
        await until(leg, lambda stats: stats.rtcp_refused == len(hostile))
        phone.send(leg)
        await ear.wait("audio")


async def test_a_far_end_without_an_rtcp_port_does_no_harm():
    async with plane_running(rtcp=FAST) as plane, reporter() as phone:
        phone.control.close()
        leg = plane.open_leg(Ear())
        leg.connect(phone.stream())
        await until(leg, lambda stats: stats.rtcp_sent >= 3)
        await phone.receive(3)


async def test_a_hold_of_old_sends_nothing_to_ourselves():
    """RFC 3264 8.4: to Linux, 0.0.0.0 is this machine."""
    async with plane_running(rtcp=FAST) as plane, reporter() as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream())
        await phone.report(0)
        stream = phone.stream(send=False)
        leg.connect(
            type(stream)(**{name: getattr(stream, name) for name in stream.__slots__} | {"remote": ("0.0.0.0", 9)})
        )
        leg.mark(1)
        await ear.wait("mark")
        sent = leg.stats().rtcp_sent
        leg.close()
        await ear.wait("closed")
        assert ear.stats.rtcp_sent == sent


async def test_it_can_be_turned_off():
    async with plane_running(rtcp={"interval": "0s"}) as plane, reporter() as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream(rtcp_mux=True))
        phone.send(leg)
        phone.say(leg, mux=True)
        await until(leg, lambda stats: stats.rtcp_refused == 1)
        leg.close()
        await ear.wait("closed")
        assert ear.stats.rtcp_sent == 0
        assert ear.stats.r_factor is not None


async def test_an_odd_port_that_somebody_has_costs_its_pair():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as somebody:
        somebody.bind(("127.0.0.1", 43501))
        async with plane_running(ports="43500-43503") as plane:
            assert plane.open_leg(Ear()).local[1] == 43502
