"""The media plane over real sockets: what goes in comes out, and nobody else gets in."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time

import pytest

from codecs_ext import rtp
from codecs_ext.codec import Coder
from codecs_ext.g711 import linear_to_ulaw, ulaw_to_linear
from codecs_ext.g722 import G722
from gateway.audio import Encoding
from gateway.errors import MisuseError, ResourceError
from gateway.media.contract import FrameFlags, Stream
from gateway.units import Nanos
from tests.unit.media.peer import Ear, phone_running, plane_running

MS = 1_000_000
LOUD = linear_to_ulaw(struct.pack("<160h", *([9000, 9000, -9000, -9000] * 40)))


async def test_the_callers_audio_is_handed_up_with_its_arrival():
    async with plane_running() as plane, phone_running() as phone:
        ear = Ear()
        leg = plane.open_leg(ear, uplink_rate=8000)
        leg.connect(phone.stream())
        payloads = [bytes([0x80 + number] * 160) for number in range(5)]
        before = time.monotonic_ns()
        sent = [phone.send(leg, payload) for payload in payloads]
        await ear.wait("audio", 5)
        frames = ear.named("audio")
        assert [frame[0] for frame in frames] == [ulaw_to_linear(payload) for payload in payloads]
        assert [frame[1] for frame in frames] == [0, 160, 320, 480, 640]
        # The kernel stamps a packet inside the call that sends it; its clock is another one, converted once per tick.
        began = [before, *sent[:-1]]
        for start, end, (_, _, arrival, _) in zip(began, sent, frames, strict=True):
            assert start - MS // 5 <= arrival <= end + MS // 5


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
async def test_a_frame_has_the_uplink_rate(rate):
    async with plane_running() as plane, phone_running() as phone:
        ear = Ear()
        leg = plane.open_leg(ear, uplink_rate=rate)
        leg.connect(phone.stream())
        phone.send(leg)
        assert len((await ear.wait("audio"))[0]) == rate // 50 * 2


async def test_silence_flows_every_20_ms_and_an_answer_begins_within_a_tick():
    async with plane_running() as plane, phone_running() as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream())
        before = await phone.receive(5)
        asked = time.monotonic_ns()
        leg.play(struct.pack("<h", 5000) * 480, 24000)
        leg.mark(3)
        sent, position = await ear.wait("playout_started")
        assert position == 0
        assert sent - asked < 6 * MS
        assert await ear.wait("mark") == (3, sent, 160)
        after = await phone.receive(3)
        numbers = [packet[2] for packet in before + after]
        assert numbers == [(numbers[0] + n) % 65536 for n in range(8)]
        assert [packet[1] for packet in after].count(True) == 1
        assert {packet[4] for packet in before + after} == {before[0][4]}


@pytest.mark.parametrize(("encoding", "payload_type", "name"), [(Encoding.ULAW, 0, "PCMU"), (Encoding.ALAW, 8, "PCMA")])
async def test_telephony_audio_comes_out_as_it_went_in(encoding, payload_type, name):
    speech = bytes(code for code in range(256) if code != 0x7F)[:160]  # mu-law writes zero in two ways
    async with plane_running() as plane, phone_running() as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(Stream(phone.address, payload_type, name))
        leg.play(speech, 8000, encoding)
        packets = await phone.receive(1)
        while not packets[-1][1]:
            packets = await phone.receive(1)
        assert packets[-1][-1] == speech


async def test_speech_starts_and_ends_with_the_arrival_of_its_packets():
    async with plane_running() as plane, phone_running() as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream())
        for number in range(30):
            phone.send(leg, LOUD if 5 <= number < 15 else b"\xff" * 160)
        await ear.wait("speech_ended")
        arrivals = {media_time: arrival for _, media_time, arrival, _ in ear.named("audio")}
        assert ear.named("speech_started") == [(800, arrivals[800])]
        assert ear.named("speech_ended") == [(2400, arrivals[2240])]
        assert [bool(frame[3] & FrameFlags.SPEECH) for frame in ear.named("audio")][:15] == [False] * 5 + [True] * 10


async def test_flush_stops_within_a_frame_and_tells_what_was_played():
    async with plane_running() as plane, phone_running() as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream())
        leg.play(struct.pack("<h", 5000) * 16000, 8000)
        leg.mark(1)
        await ear.wait("playout_started")
        await phone.receive(4)
        asked = time.monotonic_ns()
        leg.flush(2)
        number, sent, position = await ear.wait("flushed")
        assert number == 2
        assert sent < asked + 6 * MS
        assert position % 160 == 0
        assert 160 <= position <= 160 * 6
        assert ear.named("mark") == []


async def test_digits_are_sent_and_audio_waits_for_them():
    async with plane_running() as plane, phone_running() as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream())
        leg.play(struct.pack("<h", 5000) * 8000, 8000)
        await ear.wait("playout_started")
        leg.send_digits("1a", tone=Nanos(60 * MS), gap=Nanos(80 * MS), number=7)
        leg.mark(8)
        assert (await ear.wait("mark", 2))[0] == 8
        assert [mark[0] for mark in ear.named("mark")] == [7, 8]
        packets = await phone.receive(70)
        events = [packet[5] for packet in packets if packet[0] == 101]
        assert [(event[0], event[1] >> 7, event[2] << 8 | event[3]) for event in events] == [
            (digit, end, duration)
            for digit in (1, 12)
            for end, duration in ((0, 160), (0, 320), (1, 480), (1, 480), (1, 480))
        ]
        audio = [packet for packet in packets if packet[0] == 0 and packet[5] != b"\xff" * 160]
        assert sum(len(packet[5]) for packet in audio) == 8000


async def test_a_backdrop_sounds_until_it_is_taken_away_and_legs_may_share_it():
    loop = struct.pack("<h", 6000) * 441
    async with plane_running() as plane, phone_running() as one, phone_running() as two:
        legs = [plane.open_leg(Ear()) for _ in range(2)]
        for leg, phone in zip(legs, (one, two), strict=True):
            leg.set_backdrop(loop, 44100, level_db=-6.02)
            leg.connect(phone.stream())
        for phone in (one, two):
            heard = ulaw_to_linear((await phone.receive(6))[-1][5])
            assert struct.unpack("<160h", heard)[80] == pytest.approx(3000, abs=150)
        for number in range(20):
            legs[0].set_backdrop(loop[: 2 * number + 2], 44100)
        legs[0].set_backdrop(b"", 8000)
        while (await one.receive())[0][5] != b"\xff" * 160:
            pass


async def test_digits():
    async with plane_running() as plane, phone_running() as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream())
        phone.send(leg)
        for _ in range(3):
            data = rtp.build(101, False, phone.number, 160, 77, struct.pack(">BBH", 9, 0x8A, 800))
            phone.socket.sendto(data, leg.local)
            phone.number += 1
        assert (await ear.wait("digit"))[:2] == ("9", 100)
        phone.send(leg)
        await ear.wait("audio", 2)
        assert len(ear.named("digit")) == 1


async def test_a_caller_behind_nat_is_learned_from_packets_in_sequence_and_settled():
    async with plane_running(latching={"settle": "50ms"}) as plane, phone_running() as named, phone_running() as phone:
        ear = Ear()
        leg = plane.open_leg(ear, uplink_rate=8000)
        leg.connect(named.stream())
        named.socket.sendto(b"not rtp", leg.local)
        for number in range(4):
            phone.send(leg, bytes([0x80 + number] * 160))
        await ear.wait("audio", 2)
        assert [frame[0] for frame in ear.named("audio")] == [ulaw_to_linear(bytes([0x82 + n] * 160)) for n in range(2)]
        assert leg.stats().packets_refused == 3  # what was not RTP, and the two that came before it was believed
        await phone.receive(12)  # we send to it, and it is settled by the next packet
        phone.send(leg)
        await ear.wait("audio", 3)
        for _ in range(5):
            named.send(leg)
        phone.send(leg)
        await ear.wait("audio", 4)
        assert len(ear.named("audio")) == 4
        assert leg.stats().packets_refused == 3  # the kernel refuses the others, since the socket is connected


async def test_only_the_address_of_the_sdp_is_heard_if_configured():
    async with plane_running(latching={"learn": "never"}) as plane, phone_running() as phone, phone_running() as other:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream())
        other.send(leg)
        other.send(leg)
        phone.send(leg)
        await ear.wait("audio")
        assert len(ear.named("audio")) == 1
        assert leg.stats().packets_refused == 2
        await phone.receive(2)


async def test_garbage_wrong_payload_types_and_oversize_are_refused_and_counted():
    async with plane_running() as plane, phone_running() as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream())
        for data in [b"", b"\x80", bytes(200), rtp.build(9, False, 0, 0, 1, bytes(160)), b"\x80" + bytes(3000)]:
            phone.socket.sendto(data, leg.local)
        phone.send(leg)
        await ear.wait("audio")
        assert (leg.stats().packets_refused, leg.stats().packets_received) == (5, 1)


async def test_payload_types_may_differ_in_the_two_directions():
    async with plane_running() as plane, phone_running() as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(Stream(phone.address, 112, "PCMU", 113, heard_payload_type=96, heard_event_payload_type=97))
        phone.send(leg, payload_type=112)
        phone.send(leg, payload_type=96)
        phone.send(leg, struct.pack(">BBH", 5, 0x8A, 800), payload_type=97)
        await ear.wait("digit")
        assert (len(ear.named("audio")), leg.stats().packets_refused) == (1, 1)
        assert (await phone.receive())[0][0] == 112


async def test_a_report_keeps_a_call_alive_whose_media_has_stopped():
    async with plane_running(rtp_timeout="300ms", rtcp={"interval": "100ms"}) as plane, phone_running() as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream(rtcp_mux=True))
        phone.send(leg)
        await ear.wait("audio")
        began = time.monotonic()
        while time.monotonic() - began < 0.6:  # an empty receiver report of the source that we hear (RFC 3550 6.4.2)
            phone.socket.sendto(struct.pack(">BBHI", 0x80, 201, 1, 77), leg.local)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ear.wait("rtp_timeout"), 0.02)
        assert not ear.named("rtp_timeout")
        await ear.wait("rtp_timeout")


async def test_a_held_call_with_a_dead_far_end_is_told_of():
    async with plane_running(rtp_timeout="50ms", hold_timeout="300ms") as plane, phone_running() as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream())
        phone.send(leg)
        await ear.wait("audio")
        held = time.monotonic_ns()
        leg.connect(phone.stream(send=False, receive=False))
        assert (await ear.wait("rtp_timeout"))[0] - held >= 300 * MS


async def test_a_new_address_in_a_reoffer_moves_the_stream():
    async with plane_running() as plane, phone_running() as first, phone_running() as second:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(first.stream())
        first.send(leg)
        await ear.wait("audio")
        leg.connect(second.stream())
        await second.receive(2)
        second.send(leg, ssrc=78)
        await ear.wait("audio", 2)
        assert [frame[1] for frame in ear.named("audio")] == [0, 160]


async def test_an_unchanged_reoffer_changes_nothing():
    async with plane_running() as plane, phone_running() as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream())
        packets = await phone.receive(3)
        leg.connect(phone.stream())
        packets += await phone.receive(3)
        assert [packet[2] - packets[0][2] & 0xFFFF for packet in packets] == list(range(6))
        assert [packet[3] - packets[0][3] & 0xFFFFFFFF for packet in packets] == [160 * n for n in range(6)]


async def test_hold_and_resume():
    async with plane_running() as plane, phone_running() as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream(send=False, receive=False))
        phone.send(leg)
        leg.mark(1)
        await ear.wait("mark")
        await asyncio.sleep(0.03)
        assert ear.named("audio") == []
        with pytest.raises(BlockingIOError):
            phone.socket.recv(2048)
        leg.connect(phone.stream())
        await phone.receive()
        phone.send(leg)
        await ear.wait("audio")


async def test_a_far_end_that_closes_its_port_does_no_harm():
    async with plane_running(rtp_timeout="100ms") as plane:
        ear = Ear()
        leg = plane.open_leg(ear)
        async with phone_running() as phone:
            leg.connect(phone.stream())
            phone.send(leg)
            await ear.wait("audio")
        await ear.wait("rtp_timeout")
        leg.close()
        await ear.wait("closed")
        assert ear.stats.packets_sent >= 5


async def test_a_leg_that_is_connected_anew_waits_anew_for_packets():
    async with plane_running(rtp_timeout="100ms") as plane, phone_running() as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        for count in (1, 2):  # the second offer ends a hold, say
            leg.connect(phone.stream())
            await ear.wait("rtp_timeout", count)


async def test_ipv6():
    async with plane_running(address="::1") as plane, phone_running("::1") as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        assert leg.local[0] == "::1"
        leg.connect(phone.stream())
        await phone.receive(2)
        phone.send(leg)
        await ear.wait("audio")
        await phone.receive(2)


async def test_closing_is_told_once_and_verbs_after_it_are_nothing():
    async with plane_running() as plane, phone_running() as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream())
        await phone.receive()
        leg.close()
        leg.close()
        leg.play(bytes(320), 8000)
        leg.flush(1)
        await ear.wait("closed")
        assert ear.events[-1][0] == "closed"
        assert ear.named("closed") == [(leg.stats(),)]
        assert leg.stats().packets_sent >= 1
        assert plane.legs_open == 0


async def test_stopping_closes_every_leg():
    ears = [Ear() for _ in range(20)]
    async with plane_running(shards=2) as plane, phone_running() as phone:
        legs = [plane.open_leg(ear) for ear in ears]
        for leg in legs[:10]:
            leg.connect(phone.stream())
            leg.play(bytes(16000), 8000)
        await phone.receive(3)
        legs[0].close()
    assert [len(ear.named("closed")) for ear in ears] == [1] * 20
    legs[5].play(bytes(320), 8000)


async def test_ports_are_even_go_round_and_end():
    async with plane_running(ports="43000-43009") as plane:
        ears = [Ear() for _ in range(5)]
        legs = [plane.open_leg(ear) for ear in ears]
        assert [leg.local[1] for leg in legs] == [43000, 43002, 43004, 43006, 43008]
        with pytest.raises(ResourceError, match=r"media.ports 43000-43009"):
            plane.open_leg(Ear())
        legs[1].close()
        await ears[1].wait("closed")
        assert plane.open_leg(Ear()).local[1] == 43002


async def test_misuse_is_told():
    async with plane_running() as plane, phone_running() as phone:
        leg = plane.open_leg(Ear())
        with pytest.raises(MisuseError, match="11025"):
            leg.play(bytes(2), 11025)
        with pytest.raises(MisuseError, match="no digits"):
            leg.send_digits("12E4")
        with pytest.raises(MisuseError, match="1 to 64 digits"):
            leg.send_digits("1" * 65)
        with pytest.raises(MisuseError, match="of 40 to 8000 ms"):
            leg.send_digits("1", tone=Nanos(20 * MS))
        with pytest.raises(MisuseError, match="3 bytes"):
            leg.set_backdrop(bytes(3), 8000)
        with pytest.raises(MisuseError, match="3 bytes"):
            leg.play(bytes(3), 8000)
        with pytest.raises(MisuseError, match="G729"):
            leg.connect(Stream(phone.address, 18, "G729"))
        with pytest.raises(MisuseError, match="is not an IP address"):
            leg.connect(Stream(("example.org", 5004), 0, "PCMU"))
        with pytest.raises(MisuseError, match="11025"):
            plane.open_leg(Ear(), uplink_rate=11025)
        with pytest.raises(MisuseError, match="runs already"):
            plane.start()
    with pytest.raises(MisuseError, match="does not run"):
        plane.open_leg(Ear())


async def test_an_observer_that_raises_costs_nobody_else_an_event():
    class Broken(Ear):
        def on_audio(self, *_: object) -> None:
            raise LookupError("a bug")

    errors = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context["exception"]))
    async with plane_running() as plane, phone_running() as one, phone_running() as two:
        broken, ear = Broken(), Ear()
        first, second = plane.open_leg(broken), plane.open_leg(ear)
        first.connect(one.stream())
        second.connect(two.stream())
        one.send(first)
        two.send(second)
        await ear.wait("audio")
        first.close()
        await broken.wait("closed")
    assert [type(error) for error in errors] == [LookupError]


async def test_costs_are_counted():
    async with plane_running() as plane, phone_running() as phone:
        leg = plane.open_leg(Ear())
        leg.connect(phone.stream())
        before = plane.costs()
        phone.send(leg)
        await phone.receive(5)
        costs = plane.costs().since(before)
        assert costs.packets_received == 1
        assert costs.packets_sent >= 4
        assert costs.ticks >= 12
        assert costs.syscalls >= 2 * costs.ticks
        assert sum(costs.deviations) == costs.packets_sent
        assert costs.busy_s > 0
        assert costs.us_per_pair > 0


async def test_an_event_loop_that_hangs_costs_audio_but_no_other_event():
    async with plane_running(event_ring=1) as plane, phone_running() as one, phone_running() as two:
        ears = [Ear(), Ear()]
        legs = [plane.open_leg(ear, uplink_rate=48000) for ear in ears]
        for leg, phone in zip(legs, (one, two), strict=True):
            leg.connect(phone.stream())
        await asyncio.gather(one.receive(), two.receive())
        for number in range(150):  # 600 frames of 2 kB, where three quarters of 1 MiB are theirs
            for _ in range(2):
                one.send(legs[0])
                two.send(legs[1], LOUD if number == 80 else b"\xff" * 160)
            time.sleep(0.0025)
        legs[1].play(bytes(320), 8000)
        legs[1].mark(1)
        await ears[1].wait("mark")
        await ears[1].wait("speech_ended")
        for leg, ear in zip(legs, ears, strict=True):
            leg.close()
            await ear.wait("closed")
        assert sum(ear.stats.overflows for ear in ears) > 0
        assert [len(ear.named("audio")) + ear.stats.overflows for ear in ears] == [300, 300]


async def test_the_codec_may_change_in_the_middle_of_an_utterance():
    async with plane_running() as plane, phone_running() as phone:
        ear = Ear()
        leg = plane.open_leg(ear)
        leg.connect(phone.stream())
        leg.play(struct.pack("<h", 5000) * 8000, 16000)
        leg.mark(1)
        await ear.wait("playout_started")
        leg.connect(Stream(phone.address, 9, "G722"))
        _, position = (await ear.wait("mark"))[1:]
        assert position == pytest.approx(4000, abs=8)
        packets = await phone.receive(25)
        decoder = Coder(G722)
        wide = [decoder.decode(packet[5]) for packet in packets if packet[0] == 9]
        assert 5 <= len(wide) <= 25
        assert {len(pcm) for pcm in wide} == {640}
        assert struct.unpack("<320h", wide[2])[200] == pytest.approx(5000, abs=200)
        leg.connect(Stream(phone.address, 9, "G722", receive=False))  # the same codec: its state goes on


async def test_a_codec_that_is_not_served_is_refused():
    async with plane_running(codecs=("pcmu",)) as plane, phone_running() as phone:
        leg = plane.open_leg(Ear())
        with pytest.raises(MisuseError, match="G722/8000"):
            leg.connect(Stream(phone.address, 9, "G722"))


async def test_an_echo_plays_what_is_heard_without_the_event_loop():
    async with plane_running() as plane, phone_running() as phone:
        ear = Ear()
        leg = plane.open_leg(ear, uplink_rate=16000)
        leg.connect(phone.stream())
        leg.echo(True)
        await phone.receive(2)
        for _ in range(5):
            phone.send(leg, LOUD)
            await phone.receive(1)
        _sent, position = await ear.wait("playout_idle")
        assert position == 6 * 160  # the silence before it, too
        assert not ear.named("audio")
        leg.echo(False)
        await phone.receive(2)
        phone.send(leg, LOUD)
        await ear.wait("audio")
        assert len(ear.named("playout_started")) == 1
