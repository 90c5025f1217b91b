"""Two legs that hear each other, over real sockets: relayed, transcoded, with digits, and parted again."""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from codecs_ext.codec import Coder, Kernel
from codecs_ext.g711 import PCMU
from codecs_ext.g722 import G722
from gateway.errors import MisuseError
from gateway.media.bridge import Bridge, bridge
from gateway.media.contract import Stream
from gateway.media.leg import PlaneLeg
from gateway.media.plane import MediaPlane
from tests.unit.media.peer import Ear, Phone, phone_running, plane_running

Packet = tuple[int, bool, int, int, int, bytes]
SILENCE = b"\xff" * 160


@dataclass
class Call:
    """Two phones, each with its leg."""

    plane: MediaPlane
    phones: tuple[Phone, Phone]
    ears: tuple[Ear, Ear]
    legs: tuple[PlaneLeg, PlaneLeg]

    def join(self, *, listen: bool = False) -> Bridge:
        return bridge(*self.legs, listen=listen)

    async def until(self, side: int, wanted: Callable[[Packet], bool]) -> list[Packet]:
        """What a phone hears, up to the first packet that is wanted."""
        packets = []
        while not packets or not wanted(packets[-1]):
            packets += await self.phones[side].receive()
            assert len(packets) < 400
        return packets


@asynccontextmanager
async def call(streams: Callable[[Phone, int], Stream] | None = None, **options: Any) -> AsyncIterator[Call]:
    async with plane_running(**options) as plane, phone_running() as alice, phone_running() as bob:
        ears = Ear(), Ear()
        first = plane.open_leg(ears[0])
        legs = first, plane.open_leg(ears[1], beside=first)
        for side, phone in enumerate((alice, bob)):
            legs[side].connect(streams(phone, side) if streams else phone.stream())
        yield Call(plane, (alice, bob), ears, legs)


def g722_at_bob(phone: Phone, side: int) -> Stream:
    return replace(phone.stream(), payload_type=9, codec="G722") if side else phone.stream()


def one_stream(packets: list[Packet]) -> bool:
    """One source whose numbers go on without a hole."""
    numbers = [packet[2] for packet in packets]
    return len({packet[4] for packet in packets}) == 1 and all(
        after == (before + 1) & 0xFFFF for before, after in itertools.pairwise(numbers)
    )


def tone(kernel: Kernel, count: int) -> list[bytes]:
    coder, step = Coder(kernel), kernel.rate // 50
    samples = [round(9000 * math.sin(2 * math.pi * 500 * n / kernel.rate)) for n in range(step * count)]
    return [coder.encode(struct.pack(f"<{step}h", *samples[at : at + step])) for at in range(0, len(samples), step)]


async def test_the_same_codec_is_relayed_in_one_stream_for_each_side() -> None:
    async with call() as here:
        before = await here.phones[1].receive(3)
        assert here.join().relays
        payloads = [bytes([number] * 160) for number in range(1, 21)]
        for payload in payloads:
            here.phones[0].send(here.legs[0], payload)
        heard = await here.until(1, lambda packet: packet[5] == payloads[-1])
        assert [packet[5] for packet in heard if packet[5] != SILENCE] == payloads
        assert one_stream(before + heard)
        relayed = [packet for packet in heard if packet[5] != SILENCE]
        assert [packet[3] - relayed[0][3] for packet in relayed] == [160 * number for number in range(20)]
        assert [packet[1] for packet in relayed] == [True] + [False] * 19
        here.phones[1].send(here.legs[1], b"\x55" * 160)
        assert (await here.until(0, lambda packet: packet[5] == b"\x55" * 160))[-1][0] == 0
        assert not here.ears[0].named("audio")
        assert here.legs[0].stats().packets_received == 20


async def test_another_source_is_joined_to_what_was_sent_before() -> None:
    async with call() as here:
        here.join()
        for number in range(5):
            here.phones[0].send(here.legs[0], bytes([number + 1] * 160))
        heard = await here.until(1, lambda packet: packet[5] == b"\x05" * 160)
        here.phones[0].number = 30_000
        for number in range(6):
            here.phones[0].send(here.legs[0], bytes([number + 11] * 160), ssrc=5)
        after = await here.until(1, lambda packet: packet[5] == b"\x10" * 160)
        assert one_stream(heard + after)
        assert 0 <= (after[0][3] - heard[-1][3]) & 0xFFFFFFFF < 8000
        assert after[0][1]


async def test_digits_are_relayed_with_the_payload_type_of_the_other_side_and_told() -> None:
    def streams(phone: Phone, side: int) -> Stream:
        return replace(phone.stream(), event_payload_type=96 + 5 * side)

    async with call(streams) as here:
        here.join()
        for end in (0, 0, 0x80, 0x80, 0x80):
            here.phones[0].send(here.legs[0], bytes([5, end | 10, 1, 64]), payload_type=96)
        heard = [packet for packet in await here.until(1, lambda packet: packet[5][1:2] == b"\x8a") if packet[0] == 101]
        assert [packet[5] for packet in heard][:1] == [bytes([5, 10, 1, 64])]
        assert (await here.ears[0].wait("digit"))[0] == "5"


async def test_different_codecs_are_transcoded_through_jitter_buffers() -> None:
    async with call(g722_at_bob) as here:
        before = await here.phones[1].receive(2)
        assert not here.join().relays
        for payload in tone(PCMU, 30):
            here.phones[0].send(here.legs[0], payload)
        decoder = Coder(G722)

        def loud(packet: Packet) -> bool:
            return max(map(abs, struct.unpack("<320h", decoder.decode(packet[5])))) > 7000

        heard = await here.until(1, loud)
        assert one_stream(before + heard)
        assert {packet[0] for packet in heard} == {9}
        for payload in tone(G722, 30):
            here.phones[1].send(here.legs[1], payload, payload_type=9)
        quiet = Coder(PCMU)
        await here.until(0, lambda packet: max(map(abs, struct.unpack("<160h", quiet.decode(packet[5])))) > 7000)


async def test_digits_go_on_beside_transcoded_audio() -> None:
    async with call(g722_at_bob) as here:
        here.join()
        for end in (0, 0x80, 0x80, 0x80):
            here.phones[0].send(here.legs[0], bytes([7, end | 10, 1, 64]), payload_type=101)
        heard = await here.until(1, lambda packet: packet[0] == 101 and bool(packet[5][1] & 0x80))
        assert heard[-1][5] == bytes([7, 0x8A, 1, 64])
        assert one_stream(heard)


async def test_listening_hands_up_what_is_relayed() -> None:
    async with call() as here:
        here.join(listen=True)
        for _ in range(3):
            here.phones[0].send(here.legs[0], b"\x10" * 160)
        await here.ears[0].wait("audio", 3)
        await here.until(1, lambda packet: packet[5] == b"\x10" * 160)


@pytest.mark.parametrize("streams", [None, g722_at_bob])
async def test_parted_legs_have_their_silence_again(streams: Any) -> None:
    async with call(streams) as here:
        joined = here.join()
        here.phones[0].send(here.legs[0], b"\x10" * 160)
        before = await here.phones[1].receive()
        joined.close()
        joined.close()
        after = await here.phones[1].receive(8)
        assert one_stream(before + after)
        here.phones[0].send(here.legs[0], b"\x10" * 160)
        await here.ears[0].wait("audio")
        here.join()  # and may be joined again


async def test_the_other_leg_goes_on_when_one_ends() -> None:
    async with call(g722_at_bob) as here:
        joined = here.join()
        here.legs[0].close()
        await here.ears[0].wait("closed")
        await here.phones[1].receive(5)
        here.phones[1].send(here.legs[1], bytes(160), payload_type=9)
        await here.ears[1].wait("audio")
        joined.close()


async def test_what_is_played_is_heard_instead() -> None:
    async with call() as here:
        here.join()
        here.phones[0].send(here.legs[0], b"\x10" * 160)
        before = await here.until(1, lambda packet: packet[5] == b"\x10" * 160)
        here.legs[1].play(struct.pack("<h", 8031) * 1600, 8000)
        await here.ears[1].wait("playout_started")
        after = await here.until(1, lambda packet: packet[5] not in {SILENCE, b"\x10" * 160})
        await here.ears[1].wait("playout_idle")
        here.phones[0].send(here.legs[0], b"\x20" * 160)
        again = await here.until(1, lambda packet: packet[5] == b"\x20" * 160)
        assert one_stream(before + after + again)


async def test_a_reinvite_that_changes_the_codec_changes_the_bridge() -> None:
    async with call() as here:
        joined = here.join()
        here.legs[1].connect(g722_at_bob(here.phones[1], 1))
        assert not joined.relays
        for payload in tone(PCMU, 30):
            here.phones[0].send(here.legs[0], payload)
        decoder = Coder(G722)
        await here.until(
            1,
            lambda packet: packet[0] == 9 and max(map(abs, struct.unpack("<320h", decoder.decode(packet[5])))) > 7000,
        )


async def test_what_cannot_be_bridged() -> None:
    async with call(shards=2) as here, phone_running() as phone:
        with pytest.raises(MisuseError, match="two ends"):
            bridge(here.legs[0], here.legs[0])
        lonely = here.plane.open_leg(Ear())
        with pytest.raises(MisuseError, match="connected legs of one shard"):
            bridge(here.legs[0], lonely)
        lonely.connect(phone.stream())
        with pytest.raises(MisuseError, match="connected legs of one shard"):
            bridge(here.legs[0], lonely)
        here.join()
        with pytest.raises(MisuseError, match="one bridge at a time"):
            here.join()
