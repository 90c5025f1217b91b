"""Test numbers, dialled by a telephone that shares nothing with the gateway, on real sockets."""

from __future__ import annotations

import asyncio
import itertools
import math
import re
import statistics
import struct
import time
from array import array
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.ffmpeg import Decoder, Encoder
from tests.system import g711
from tests.system.house import House, configuration, house
from tests.system.phone import SILENCE, Heard, Phone

TONE = [
    g711.encode([int(8000 * math.sin(2 * math.pi * 440 * (160 * k + n) / 8000)) for n in range(160)]) for k in range(50)
]


@pytest.fixture
async def phone(gateway: House) -> AsyncIterator[Phone]:
    phones: list[Phone] = []
    phone = Phone(gateway.sip, "echo")
    phones.append(phone)
    yield phone
    for each in phones:
        each.close()


def loud(heard: list[Heard]) -> list[Heard]:
    return [packet for packet in heard if packet.level > 500]


def assert_one_stream(heard: list[Heard]) -> None:
    """Sequence numbers and timestamps go on without a hole, whatever is played."""
    for earlier, later in itertools.pairwise(heard):
        assert (later.sequence - earlier.sequence) & 0xFFFF == 1
        assert (later.timestamp - earlier.timestamp) & 0xFFFFFFFF == 160


async def read_all(phone: Phone) -> None:
    """Two more packets from the gateway: it has ticked since, and read what was sent."""
    heard = len(phone.heard)
    await phone.packets(lambda packets: len(packets) >= heard + 2)


async def hang_up(phone: Phone) -> None:
    phone.bye()
    await phone.response(200, "BYE")


async def test_echo_gives_back_every_packet(gateway: House, phone: Phone) -> None:
    await phone.dial()
    await phone.talk([*TONE, *[SILENCE] * 10])
    heard = await phone.packets(lambda packets: len(loud(packets)) >= len(TONE))
    assert len(loud(heard)) <= len(TONE) + 1
    assert_one_stream(heard)
    await read_all(phone)
    await hang_up(phone)
    ended = await gateway.gateway.line("call.ended")
    assert ended["media"]["packets_received"] == len(TONE) + 10
    assert ended["media"]["packets_lost"] == 0
    assert ended["by"] == "remote"


async def test_tone_is_a_milliwatt_at_1004_hertz(gateway: House, phone: Phone) -> None:
    phone.number = "tone"
    await phone.dial()
    heard = await phone.packets(lambda packets: len(loud(packets)) >= 60)
    samples = [sample for packet in loud(heard)[1:51] for sample in g711.decode(packet.payload)]
    # The digital milliwatt 3.17 dB under overload (G.711 table 6): rms = 32124 / 10**(3.17/20) / sqrt(2).
    assert g711.rms(samples) == pytest.approx(15_770, rel=0.02)
    crossings = sum(a < 0 <= b for a, b in itertools.pairwise(samples))
    assert crossings == pytest.approx(1004, abs=4)
    await hang_up(phone)


async def test_silence_keeps_the_stream_alive_on_a_20_ms_clock(gateway: House, phone: Phone) -> None:
    phone.number = "silence"
    await phone.dial()
    heard = await phone.packets(lambda packets: len(packets) >= 50)
    assert not loud(heard)
    assert_one_stream(heard)
    spaces = [later.at - earlier.at for earlier, later in itertools.pairwise(heard)]
    assert statistics.median(spaces) == pytest.approx(0.02, abs=0.005)
    await hang_up(phone)


async def test_a_law_is_answered_with_a_law(gateway: House, phone: Phone) -> None:
    phone.codecs = (8, 101)
    await phone.dial()
    assert "m=audio" in phone.responses[-1]
    heard = await phone.packets(lambda packets: len(packets) >= 3)
    assert {packet.payload_type for packet in heard} == {8}
    await hang_up(phone)


async def test_wideband_speech_comes_back_wide(gateway: House, phone: Phone) -> None:
    """G.722, encoded and decoded by ffmpeg: a tone of 5 kHz, which no narrowband call could carry."""
    phone.codecs = (9, 0, 101)
    encoder, decoder = Encoder("g722", 16000), Decoder("g722", 16000)
    samples = [round(8000 * math.sin(2 * math.pi * 5000 * n / 16000)) for n in range(320 * 50)]
    pcm = struct.pack(f"<{len(samples)}h", *samples)
    await phone.dial()
    assert re.search(r"^m=audio \d+ RTP/AVP 9 101\r$", phone.responses[-1], re.MULTILINE)
    due = time.monotonic()
    for start in range(0, len(pcm), 640):
        await asyncio.sleep(max(0, due - time.monotonic()))
        phone.send_rtp(phone.packet(encoder.encode(pcm[start : start + 640]), 9))
        due += 0.02
    enough = len(phone.heard) + 5
    await phone.packets(lambda packets: len(packets) >= enough)
    assert {packet.payload_type for packet in phone.heard} == {9}
    assert_one_stream(phone.heard)
    echoed = array("h", b"".join(decoder.decode(packet.payload) for packet in phone.heard))
    loudest = max(range(0, len(echoed) - 8000, 160), key=lambda at: g711.rms(echoed[at : at + 8000]))
    half_second = echoed[loudest : loudest + 8000]
    assert g711.rms(half_second) == pytest.approx(8000 / math.sqrt(2), rel=0.1)
    crossings = sum(a < 0 <= b for a, b in itertools.pairwise(half_second))
    assert crossings == pytest.approx(2500, abs=25)
    await hang_up(phone)
    ended = await gateway.gateway.line("call.ended")
    assert ended["media"]["packets_refused"] == 0


async def test_early_media_is_heard_before_the_answer(gateway: House, phone: Phone) -> None:
    phone.number = "early"
    await phone.open()
    phone.invite()
    await phone.response(183)
    await phone.packets(lambda packets: len(loud(packets)) >= 5)
    assert not [response for response in phone.responses if response.startswith("SIP/2.0 200")]
    await phone.response(200)
    phone.ack()
    await hang_up(phone)


async def test_a_call_is_ended_after_the_time_of_its_route(gateway: House, phone: Phone) -> None:
    phone.number = "short"
    await phone.dial()
    assert "hangup_after" in await phone.asked("BYE")


async def test_a_ringing_call_can_be_cancelled(gateway: House, phone: Phone) -> None:
    phone.number = "ringing"
    await phone.open()
    phone.invite()
    await phone.response(180)
    phone.cancel()
    await phone.response(200, "CANCEL")
    await phone.response(487)
    phone.ack()
    ended = await gateway.gateway.line("call.ended")
    assert (ended["by"], ended["status"], ended["talk_s"]) == ("remote", 487, 0.0)


async def test_digits_are_heard_once(gateway: House, phone: Phone) -> None:
    await phone.dial()
    await phone.talk([SILENCE] * 3)
    stamp = phone.timestamp
    for duration, end in ((160, 0), (320, 0), (480, 1), (480, 1), (480, 1)):
        phone.timestamp = stamp
        phone.send_rtp(phone.packet(struct.pack("!BBH", 5, end << 7 | 10, duration), 101))
    line = await gateway.gateway.line("digit")
    assert (line["digit"], line["duration_ms"]) == ("5", 60)
    await hang_up(phone)
    await gateway.gateway.line("call.ended")
    assert len(gateway.gateway.events("digit")) == 1


async def test_a_caller_whose_media_stops_is_hung_up(tmp_path: Path) -> None:
    config = configuration()
    config["media"]["rtp_timeout"] = "500ms"
    async with house(tmp_path, config) as built:
        phone = await Phone(built.sip, "echo").dial()
        await phone.talk([SILENCE] * 3)
        assert "RTP timeout" in await phone.asked("BYE")
        phone.close()


class TestMediaFromStrangers:
    async def test_another_source_is_refused_once_the_caller_was_heard(self, gateway: House, phone: Phone) -> None:
        await phone.dial()
        await phone.talk([SILENCE] * 5)
        stranger = await Phone(gateway.sip, "echo").open()
        stranger.remote = phone.remote
        for packet in TONE[:20]:
            stranger.send_rtp(stranger.packet(packet))
        await phone.talk([SILENCE] * 10)
        await read_all(phone)
        assert not loud(phone.heard)
        assert not stranger.heard
        stranger.close()
        await hang_up(phone)
        ended = await gateway.gateway.line("call.ended")
        assert ended["media"]["packets_received"] == 15  # the kernel drops the stranger's: the socket is connected

    async def test_garbage_is_counted_and_harms_nothing(self, gateway: House, phone: Phone) -> None:
        await phone.dial()
        await phone.talk([SILENCE] * 3)
        good = phone.packet(SILENCE)
        wrong_type = phone.packet(TONE[0], 18)
        phone.send_rtp(b"")  # a keep-alive (RFC 6263 4.1)
        garbage = [b"\x80", b"\x00" * 12, b"\xff" * 40, good[:11], wrong_type, bytes(1400)]
        for data in garbage:
            phone.send_rtp(data)
        phone.sequence -= 2
        await phone.talk([SILENCE] * 5)
        await read_all(phone)
        await hang_up(phone)
        ended = await gateway.gateway.line("call.ended")
        assert ended["media"]["packets_refused"] == len(garbage)


@pytest.mark.parametrize("moment", ["invited", "ringing", "answered", "acknowledged", "talking"])
async def test_a_caller_may_leave_at_any_point(gateway: House, phone: Phone, moment: str) -> None:
    """The fixture holds that no task, socket, thread or port is left over."""
    phone.number = "ringing" if moment in ("invited", "ringing") else "echo"
    await phone.open()
    phone.invite()
    if moment in ("invited", "ringing"):
        await phone.response(100 if moment == "invited" else 180)
        phone.cancel()
        await phone.response(487)
        phone.ack()
        return
    await phone.response(200)
    if moment != "answered":
        phone.ack()
    if moment == "talking":
        await phone.talk(TONE[:10])
    await hang_up(phone)


async def test_the_gateway_may_stop_in_the_middle_of_a_call(tmp_path: Path) -> None:
    async with house(tmp_path, configuration()) as built:
        phone = await Phone(built.sip, "echo").dial()
        async with asyncio.timeout(2):
            assert await built.gateway.stop() == 0
        assert "shutting down" in await phone.asked("BYE")
        assert [line["event"] for line in built.gateway.lines[-4:]] == ["stopping", "call.ended", "stopped", "eof"]
        phone.close()
