"""What strangers can do to a call with RTP: nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest

from codecs_ext import rtp
from codecs_ext.g711 import ulaw_to_linear
from gateway.media.leg import PlaneLeg
from tests.unit.media.peer import Ear, Phone, phone_running, plane_running

OURS, THEIRS = b"\x80" * 160, b"\x91" * 160


@contextmanager
def stranger(address: str = "127.0.0.66") -> Iterator[Phone]:
    phone = Phone(address)
    try:
        yield phone
    finally:
        phone.socket.close()


def heard(ear: Ear) -> set[bytes]:
    return {frame[0] for frame in ear.named("audio")}


async def talk(phone: Phone, leg: PlaneLeg, ear: Ear, count: int) -> None:
    before = len(ear.named("audio"))
    for _ in range(count):
        phone.send(leg, OURS)
    await ear.wait("audio", before + count)


def got_nothing(phone: Phone) -> bool:
    try:
        phone.socket.recv(2048)
    except BlockingIOError:
        return True
    return False


@pytest.fixture
async def other() -> AsyncIterator[Phone]:
    with stranger() as phone:
        yield phone


async def test_a_stream_injected_into_a_live_call_is_never_heard(other: Phone):
    """From another address, with our sequence numbers, timestamps and synchronisation source: all but the address."""
    async with plane_running() as plane, phone_running() as phone:
        ear = Ear()
        leg = plane.open_leg(ear, uplink_rate=8000)
        leg.connect(phone.stream())
        await talk(phone, leg, ear, 5)
        for _ in range(10):
            other.number = phone.number
            for _ in range(5):
                other.send(leg, THEIRS)
            await talk(phone, leg, ear, 1)
        assert heard(ear) == {ulaw_to_linear(OURS)}
        assert got_nothing(other)


async def test_packets_of_another_source_with_the_callers_own_address_are_refused():
    """Who can forge the address does not know the caller's synchronisation source."""
    async with plane_running() as plane, phone_running() as phone:
        ear = Ear()
        leg = plane.open_leg(ear, uplink_rate=8000)
        leg.connect(phone.stream())
        await talk(phone, leg, ear, 2)
        for number in range(10):
            phone.socket.sendto(rtp.build(0, False, 9000 + number, number * 160, 1234, THEIRS), leg.local)
            await talk(phone, leg, ear, 1)
        assert heard(ear) == {ulaw_to_linear(OURS)}
        assert leg.stats().packets_refused == 10


async def test_who_sprays_all_ports_gets_no_media_and_is_not_heard(other: Phone):
    """RTP bleed: packets to every port, before the caller's first and while it talks."""
    async with plane_running(ports="45000-45019") as plane, phone_running() as phone:
        ears = [Ear() for _ in range(10)]
        legs = [plane.open_leg(ear, uplink_rate=8000) for ear in ears]
        for leg in legs:
            leg.connect(phone.stream())
        for sweep in range(5):
            for leg in legs:
                for _ in range(2):
                    data = rtp.build(0, False, 100 * sweep + _, 160, 1, THEIRS)
                    other.socket.sendto(data, leg.local)
        await phone.receive(20)
        assert got_nothing(other)
        for leg, ear in zip(legs, ears, strict=True):
            await talk(phone, leg, ear, 2)
            other.socket.sendto(rtp.build(0, False, 7, 160, 1, THEIRS), leg.local)
            await talk(phone, leg, ear, 1)
            assert heard(ear) == {ulaw_to_linear(OURS)}
        await phone.receive(20)
        assert got_nothing(other)
        assert all(leg.stats().packets_refused for leg in legs)


async def test_who_streams_to_a_port_before_the_caller_loses_it_to_the_caller(other: Phone):
    """The worst case: plausible to the last bit, and first. The address in SDP takes the leg back with one packet."""
    async with plane_running() as plane, phone_running() as phone:
        ear = Ear()
        leg = plane.open_leg(ear, uplink_rate=8000)
        leg.connect(phone.stream())
        for _ in range(6):
            other.send(leg, THEIRS)
        await ear.wait("audio", 4)
        phone.send(leg, OURS, ssrc=5)
        phone.send(leg, OURS, ssrc=5)
        await ear.wait("audio", 6)
        while not got_nothing(other):
            pass
        await phone.receive(5)
        other.send(leg, THEIRS)
        phone.send(leg, OURS, ssrc=5)
        await ear.wait("audio", 7)
        assert [frame[0] for frame in ear.named("audio")][4:] == [ulaw_to_linear(OURS)] * 3
        assert got_nothing(other)


async def test_latching_can_be_kept_to_the_host_of_sdp():
    async with plane_running(latching={"learn": "port"}) as plane, phone_running() as phone, phone_running() as nat:
        ear = Ear()
        leg = plane.open_leg(ear, uplink_rate=8000)
        leg.connect(phone.stream())
        with stranger() as attacker:
            for _ in range(10):
                attacker.send(leg, THEIRS)
            for _ in range(3):
                nat.send(leg, OURS)
            await ear.wait("audio")
            await nat.receive(2)
            assert heard(ear) == {ulaw_to_linear(OURS)}
            assert got_nothing(attacker)
