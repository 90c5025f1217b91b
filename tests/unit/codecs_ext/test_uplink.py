"""The uplink of a leg: datagrams and time in, contiguous audio and events out."""

from __future__ import annotations

import random
import struct
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codecs_ext import rtp
from codecs_ext.codec import Coder, Kernel
from codecs_ext.g711 import PCMA, PCMU, linear_to_alaw, linear_to_ulaw, ulaw_to_linear
from codecs_ext.l16 import L16_16K
from codecs_ext.plc import Conceal
from codecs_ext.uplink import Receiver

MS = 1_000_000
SPEECH, CONCEALED, UNSENT, COMFORT, LATE = 1, 2, 8, 16, 32
SILENCE = b"\xff"
SETTLED = slice(160, None)
"""Bytes of a frame that concealment before it cannot have touched: it is joined within 10 ms."""


class Frame(NamedTuple):
    media_time: int
    arrival: int
    flags: int
    pcm: bytes


class Caller:
    """Sends numbered packets to a receiver and sorts what comes out."""

    def __init__(self, codec: Kernel = PCMU, **options: int) -> None:
        self.receiver = Receiver(codec, **options)
        self.events: list[tuple[str, int, int, int]] = []
        self.frames: list[Frame] = []

    def send(self, sequence: int, arrival: int, *, timestamp: int | None = None, payload: bytes = SILENCE * 160,
             payload_type: int = 0, ssrc: int = 5, marker: bool = False) -> bool:  # fmt: skip
        timestamp = sequence * 160 if timestamp is None else timestamp
        taken = self.receiver.receive(rtp.build(payload_type, marker, sequence, timestamp, ssrc, payload), arrival)
        self._sort()
        return taken

    def tick(self, now: int) -> None:
        self.receiver.tick(now)
        self._sort()

    def _sort(self) -> None:
        for name, number, media_time, stamp, flags, pcm in self.receiver.take():
            if name == "audio":
                self.frames.append(Frame(media_time, stamp, flags, pcm))
            else:
                self.events.append((name, number, media_time, stamp))

    @property
    def times(self) -> list[int]:
        return [frame.media_time for frame in self.frames]

    def is_contiguous(self, rate: int = 8000) -> bool:
        media_time = 0
        for frame in self.frames:
            if frame.media_time != media_time:
                return False
            media_time += len(frame.pcm) // 2 * 8000 // rate
        return True


def speech(seed: int, count: int = 160) -> bytes:
    noise = random.Random(seed)
    return linear_to_ulaw(struct.pack(f"<{count}h", *(noise.randint(-6000, 6000) for _ in range(count))))


def test_packets_in_order_are_handed_up_at_once():
    caller = Caller()
    for number in range(10):
        caller.send(number, number * 20 * MS, payload=speech(number))
        assert caller.frames[-1] == (number * 160, number * 20 * MS, SPEECH, ulaw_to_linear(speech(number)))
    assert caller.receiver.counts["received"] == 10


def test_a_law_and_the_uplink_rate():
    caller = Caller(PCMA, payload_type=8, rate=16000)
    tone = struct.pack("<160h", *[8000] * 160)
    for number in range(5):
        caller.send(number, number * 20 * MS, payload=linear_to_alaw(tone), payload_type=8)
    assert [len(frame.pcm) for frame in caller.frames] == [640] * 5
    level = struct.unpack("<320h", caller.frames[-1].pcm)
    assert all(abs(value - 8064) <= 8 for value in level)


@pytest.mark.parametrize("size", [80, 160, 240, 320, 480, 960])
def test_packets_of_any_packet_time(size):
    caller = Caller()
    for number in range(6):
        caller.send(number, number * size * 125_000, timestamp=number * size, payload=speech(number, size))
    assert [len(frame.pcm) for frame in caller.frames] == [2 * size] * 6
    assert caller.is_contiguous()


def test_an_overtaken_packet_is_waited_for():
    caller = Caller()
    caller.send(0, 0)
    caller.send(2, 40 * MS)
    assert caller.times == [0]
    caller.send(1, 45 * MS)
    assert caller.times == [0, 160, 320]
    assert [frame.arrival for frame in caller.frames] == [0, 45 * MS, 40 * MS]
    assert caller.receiver.counts["lost"] == 0


def test_a_lost_packet_is_filled_from_both_sides():
    caller, alone = Caller(), Conceal()
    for number in range(4):
        caller.send(number, number * 20 * MS, payload=speech(number))
        alone.hear(ulaw_to_linear(speech(number)))
    caller.send(5, 100 * MS, payload=speech(5))
    caller.tick(140 * MS)
    assert caller.frames[4].pcm == alone.bridge(160, ulaw_to_linear(speech(5)))
    assert caller.frames[5].pcm == ulaw_to_linear(speech(5))


def test_a_gap_is_concealed_when_the_window_is_over():
    caller = Caller()
    caller.send(0, 0, payload=speech(0))
    caller.send(2, 40 * MS, payload=speech(2))
    assert caller.receiver.wake == 80 * MS
    caller.tick(79 * MS)
    assert len(caller.frames) == 1
    caller.tick(80 * MS)
    assert caller.times == [0, 160, 320]
    assert [frame.flags & CONCEALED for frame in caller.frames] == [0, CONCEALED, 0]
    assert any(caller.frames[1].pcm)
    assert caller.frames[2].pcm[SETTLED] == ulaw_to_linear(speech(2))[SETTLED]
    counts = caller.receiver.counts
    assert (counts["lost"], counts["concealed"], counts["late"]) == (1, 1, 0)
    caller.send(1, 90 * MS)
    assert caller.receiver.counts["late"] == 1
    assert len(caller.frames) == 3


def test_a_second_gap_is_given_a_window_of_its_own():
    caller = Caller()
    caller.send(0, 0)
    caller.send(2, 40 * MS)
    caller.send(4, 75 * MS)
    caller.tick(80 * MS)
    assert caller.times == [0, 160, 320]
    caller.tick(120 * MS)
    assert caller.times == [0, 160, 320, 480, 640]


def test_a_burst_after_a_stall_is_not_dropped():
    caller = Caller()
    caller.send(0, 0, payload=speech(0))
    for number in range(1, 8):
        caller.send(number, 180 * MS, payload=speech(number))
    assert [frame.flags & CONCEALED for frame in caller.frames] == [0] * 8
    assert caller.is_contiguous()


def test_silence_goes_on_in_real_time_when_packets_stop_and_what_comes_late_is_still_taken():
    caller = Caller()
    caller.send(0, 0, payload=speech(0))
    for now in range(5 * MS, 301 * MS, 5 * MS):
        caller.tick(now)
    assert len(caller.frames) == 1 + 6
    assert all(frame.flags == UNSENT and not any(frame.pcm) for frame in caller.frames[1:])
    for number in range(1, 15):
        caller.send(number, 301 * MS, payload=speech(number))
    assert [frame.pcm for frame in caller.frames[7:]] == [ulaw_to_linear(speech(number)) for number in range(1, 15)]
    assert [frame.flags & LATE for frame in caller.frames[7:]] == [LATE] + [0] * 13
    assert caller.is_contiguous()


def test_a_sender_that_is_silent_by_not_sending_ends_its_speech():
    caller = Caller()
    for number in range(10):
        caller.send(number, number * 20 * MS, payload=speech(number))
    for now in range(185 * MS, 700 * MS, 5 * MS):
        caller.tick(now)
    assert caller.events == [("speech_started", 0, 0, 0), ("speech_ended", 0, 1600, 180 * MS)]
    # ... and when it speaks again 1 s later, timestamps tell how long it was, and media time follows them.
    caller.send(10, 1180 * MS, timestamp=59 * 160, payload=speech(10))
    assert caller.frames[-1].media_time == 59 * 160
    assert caller.receiver.counts["lost"] == 0
    assert caller.receiver.counts["concealed"] == 0
    assert caller.is_contiguous()


def test_comfort_noise_begins_at_once_and_lasts_until_speech_comes_back():
    caller = Caller()
    caller.send(0, 0, payload=speech(0))
    caller.send(1, 20 * MS, payload=b"\x28\x40", payload_type=13)
    for now in range(25 * MS, 121 * MS, 5 * MS):
        caller.tick(now)
    assert [frame.flags for frame in caller.frames] == [SPEECH] + [COMFORT] * 5
    levels = [max(map(abs, struct.unpack("<160h", frame.pcm))) for frame in caller.frames[1:]]
    assert all(300 < level < 1500 for level in levels)  # -40 dB of full scale
    caller.send(2, 150 * MS, timestamp=7 * 160, payload=speech(2), marker=True)
    assert [(frame.media_time, frame.flags) for frame in caller.frames[6:]] == [(960, COMFORT), (1120, SPEECH)]
    assert [event[0] for event in caller.events] == ["speech_started"]


def test_comfort_noise_is_nobodys_speech():
    caller = Caller()
    caller.send(0, 0)
    for number in range(1, 20):
        caller.send(number, number * 200 * MS, timestamp=number * 1600, payload=b"\x00", payload_type=13)
        for now in range(number * 200 * MS + 5 * MS, (number + 1) * 200 * MS, 5 * MS):
            caller.tick(now)
    assert caller.events == []
    assert caller.is_contiguous()


def test_where_a_packet_was_lost_after_a_silence_only_its_own_span_is_concealed():
    caller = Caller(stall_ns=0)
    caller.send(0, 0, payload=speech(0))
    caller.send(2, 500 * MS, timestamp=25 * 160, payload=speech(2))
    caller.tick(540 * MS)
    assert [frame.flags & (CONCEALED | UNSENT) for frame in caller.frames[1:-1]] == [UNSENT] * 23 + [CONCEALED]
    assert caller.is_contiguous()


def test_what_waited_for_an_overtaken_packet_is_late():
    caller = Caller()
    for number in (0, 2, 3, 1, 4):
        caller.send(number, 60 * MS)
    assert [frame.flags & LATE for frame in caller.frames] == [0, 0, LATE, LATE, 0]


def test_padding_contributing_sources_and_extensions_are_skipped():
    caller, body = Caller(), speech(3)
    header = rtp.build(0, False, 0, 0, 5, b"")
    plain = bytes([header[0] | 0x20 | 0x10 | 2]) + header[1:]
    data = plain + bytes(8) + b"\xbe\xde\x00\x01" + bytes(4) + body + b"\x00\x00\x03"
    assert caller.receiver.receive(data, 0)
    caller._sort()
    assert [frame.pcm for frame in caller.frames] == [ulaw_to_linear(body)]


def test_the_packet_time_may_change_in_mid_call():
    caller, timestamp = Caller(), 0
    for number, size in enumerate([80, 160, 240, 320, 480, 160, 80, 480]):
        caller.send(number, timestamp * 125_000, timestamp=timestamp, payload=speech(number, size))
        timestamp += size
    assert [len(frame.pcm) // 2 for frame in caller.frames] == [80, 160, 240, 320, 480, 160, 80, 480]
    assert caller.is_contiguous()
    assert caller.receiver.counts["concealed"] == 0


def test_a_lost_packet_of_60_ms_is_concealed_whole():
    caller = Caller()
    caller.send(0, 0, timestamp=0, payload=speech(0, 480))
    caller.send(2, 120 * MS, timestamp=960, payload=speech(2, 480))
    caller.tick(160 * MS)
    assert [frame.flags & CONCEALED for frame in caller.frames] == [0, CONCEALED, CONCEALED, CONCEALED, 0]


def test_a_talkspurt_with_its_marker_follows_its_timestamp():
    caller = Caller()
    caller.send(0, 0)
    caller.send(1, 400 * MS, timestamp=20 * 160, marker=True)
    assert caller.frames[-1].media_time == 20 * 160
    assert caller.receiver.counts["lost"] == 0


def test_the_window_shrinks_with_losses_and_grows_with_what_is_overtaken():
    caller, now = Caller(), 0
    for number in range(200):
        now += 20 * MS
        if number % 10 != 5:
            caller.send(number, now)
        for step in range(5, 20, 5):
            caller.tick(now + step * MS)
    assert 10 * MS <= caller.receiver.window_ns < 13 * MS
    for number in range(200, 240, 2):
        now += 40 * MS
        caller.send(number + 1, now)
        caller.send(number, now + 9 * MS)
    assert caller.receiver.window_ns == pytest.approx(13.25 * MS)  # a quarter more, and 2 ms
    lost = caller.receiver.counts["lost"]
    for number in range(240, 300, 2):
        now += 40 * MS
        caller.send(number + 1, now)
        caller.tick(now + 25 * MS)
        caller.send(number, now + 26 * MS)
    assert caller.receiver.window_ns == pytest.approx(34.5 * MS)
    assert caller.receiver.counts["lost"] <= lost + 1
    assert caller.receiver.counts["late"] == 1


def test_on_hold_the_far_end_is_given_longer_and_reports_are_signs_of_life():
    caller = Caller(timeout_ns=500 * MS, hold_timeout_ns=2000 * MS)
    caller.send(0, 0)
    caller.receiver.report(400 * MS)
    caller.tick(899 * MS)
    assert "rtp_timeout" not in [event[0] for event in caller.events]
    caller.receiver.hold(900 * MS)
    caller.tick(2800 * MS)
    caller.receiver.report(2850 * MS)
    caller.tick(4849 * MS)
    assert "rtp_timeout" not in [event[0] for event in caller.events]
    caller.tick(4850 * MS)
    assert "rtp_timeout" in [event[0] for event in caller.events]


def test_a_timestamp_jump_beyond_the_limit_is_not_filled():
    caller = Caller()
    caller.send(0, 0)
    caller.send(1, 20 * MS, timestamp=10_000_000)
    assert caller.times == [0, 160]
    caller.send(2, 40 * MS, timestamp=10_000_160)
    assert caller.times == [0, 160, 320]


def test_timestamps_and_sequence_numbers_wrap_around():
    caller = Caller()
    for number in range(20):
        sequence, timestamp = (65530 + number) & 0xFFFF, (2**32 - 1000 + number * 160) & 0xFFFFFFFF
        caller.send(sequence, number * 20 * MS, timestamp=timestamp)
    assert caller.times == list(range(0, 3200, 160))
    assert caller.receiver.counts["lost"] == 0


def test_another_synchronisation_source_goes_on_in_media_time():
    caller = Caller()
    caller.send(100, 0)
    caller.send(102, 20 * MS)
    caller.send(7, 40 * MS, timestamp=999, ssrc=6, payload=speech(7))
    caller.send(8, 60 * MS, timestamp=1159, ssrc=6, payload=speech(8))
    assert caller.times == [0, 160, 320, 480, 640]
    assert [frame.pcm[SETTLED] for frame in caller.frames[3:]] == [ulaw_to_linear(speech(n))[SETTLED] for n in (7, 8)]
    assert caller.is_contiguous()


def test_packets_of_another_source_between_those_of_the_one_that_is_heard_are_refused():
    caller = Caller()
    for number in range(10):
        caller.send(number, number * 20 * MS, payload=speech(number))
        caller.send(500 + number, number * 20 * MS, payload=speech(1000 + number), ssrc=6)
    assert [frame.pcm for frame in caller.frames] == [ulaw_to_linear(speech(number)) for number in range(10)]
    assert caller.receiver.counts["refused"] == 9  # and the last one is still in doubt


def test_what_is_not_of_the_stream_is_refused_and_counted():
    caller = Caller()
    caller.send(0, 0)
    refused = [b"", b"\x80", bytes(12), bytes(200), rtp.build(3, False, 1, 160, 5, bytes(33)),
               rtp.build(0, False, 1, 160, 5, bytes(961))]  # fmt: skip
    assert [caller.receiver.receive(data, 1) for data in refused] == [False] * 6
    assert caller.receiver.counts["refused"] == 6
    assert caller.receiver.counts["received"] == 1


def test_digits_come_between_audio_and_leave_media_time_whole():
    caller = Caller()
    caller.send(0, 0)
    for number in range(1, 6):
        caller.send(number, number * 20 * MS, timestamp=160, payload_type=101,
                    payload=struct.pack(">BBH", 4, 10, 160 * number))  # fmt: skip
    for number in range(6, 9):
        caller.send(number, 120 * MS, timestamp=160, payload_type=101, payload=struct.pack(">BBH", 4, 0x8A, 800))
    for now in range(20 * MS, 121 * MS, 5 * MS):
        caller.tick(now)
    caller.send(9, 140 * MS, timestamp=160 * 7)
    assert caller.events == [("digit", ord("4"), 100, 120 * MS)]
    assert caller.frames[-1].media_time == 160 * 7
    assert caller.is_contiguous()


def test_a_digit_whose_end_was_lost_is_told_by_time():
    caller = Caller()
    caller.send(0, 0)
    caller.send(1, 20 * MS, timestamp=160, payload_type=101, payload=struct.pack(">BBH", 12, 10, 400))
    for now in range(25 * MS, 301 * MS, 5 * MS):
        caller.tick(now)
    assert caller.events == [("digit", ord("A"), 50, 20 * MS)]


def test_timeout_is_told_once_and_again_after_packets_have_come():
    caller = Caller(timeout_ns=500 * MS)
    caller.send(0, 0)
    for now in range(5 * MS, 2000 * MS, 5 * MS):
        caller.tick(now)
    assert [event[0] for event in caller.events] == ["rtp_timeout"]
    frames = len(caller.frames)
    caller.tick(3000 * MS)
    assert len(caller.frames) == frames
    caller.send(1, 3000 * MS)
    for now in range(3005 * MS, 3600 * MS, 5 * MS):
        caller.tick(now)
    assert [event[0] for event in caller.events] == ["rtp_timeout", "rtp_timeout"]


def test_timeout_counts_from_the_connection_if_nothing_ever_comes():
    caller = Caller(timeout_ns=500 * MS, now=100 * MS)
    caller.tick(599 * MS)
    assert caller.events == []
    caller.tick(600 * MS)
    assert caller.events == [("rtp_timeout", 0, 0, 600 * MS)]


def test_jitter_is_that_of_rfc_3550():
    caller = Caller()
    noise, jitter, before = random.Random(3), 0.0, None
    for number in range(200):
        arrival = number * 20 * MS + noise.randint(0, 10) * MS
        caller.send(number, arrival)
        transit = arrival // 125_000 - number * 160
        if before is not None:
            jitter += (abs(transit - before) - jitter) / 16
        before = transit
    assert caller.receiver.counts["jitter"] == pytest.approx(jitter)


def test_speech_is_told_before_its_first_frame_and_its_end_after_its_last():
    caller = Caller()
    order = []
    for number in range(40):
        loud = 10 <= number < 20
        data = rtp.build(0, False, number, number * 160, 5, speech(number) if loud else SILENCE * 160)
        caller.receiver.receive(data, number * 20 * MS)
        order += [(item[0], item[2]) for item in caller.receiver.take()]
    assert order.index(("speech_started", 1600)) == order.index(("audio", 1600)) - 1
    assert order.index(("speech_ended", 3200)) == order.index(("audio", 29 * 160)) + 1


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_whatever_the_network_does_media_time_is_contiguous_and_follows_the_timestamps(data):
    count = data.draw(st.integers(2, 60))
    sent = [(0, 0)]
    for number in range(1, count):
        fate = data.draw(st.sampled_from(["ok", "ok", "ok", "lost", "late", "double"]))
        arrival = number * 20 + data.draw(st.integers(0, 15))
        if fate != "lost":
            sent.append((arrival + (data.draw(st.integers(10, 90)) if fate == "late" else 0), number))
        if fate == "double":
            sent.append((arrival + data.draw(st.integers(0, 50)), number))
    caller, now = Caller(), 0
    for arrival, number in sorted(sent):
        while now < arrival:
            now += 5
            caller.tick(now * MS)
        caller.send(number, arrival * MS, payload=speech(number))
    for _ in range(20):
        now += 5
        caller.tick(now * MS)
    assert caller.is_contiguous()
    real = {frame.media_time: frame.pcm for frame in caller.frames if not frame.flags & (CONCEALED | UNSENT)}
    assert {pcm[SETTLED] for pcm in real.values()} <= {ulaw_to_linear(speech(number))[SETTLED] for _, number in sent}
    if not any(frame.flags & UNSENT for frame in caller.frames):  # no stall was bridged
        for media_time, pcm in real.items():
            assert pcm[SETTLED] == ulaw_to_linear(speech(media_time // 160))[SETTLED]
    counts = caller.receiver.counts
    handled = len(real)
    assert handled + counts["late"] + counts["duplicate"] == counts["received"] == len(sent)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=30), st.lists(st.tuples(st.integers(0, 127), st.integers(0, 65535),
       st.integers(0, 2**32 - 1), st.integers(0, 3), st.binary(max_size=40)), max_size=40))  # fmt: skip
def test_no_datagram_breaks_it(garbage, packets):
    caller = Caller()
    for number, data in enumerate(garbage):
        caller.receiver.receive(b"\x80" + data, number * MS)
    for number, (payload_type, sequence, timestamp, ssrc, payload) in enumerate(packets):
        data = rtp.build(payload_type % 4 and 101, False, sequence, timestamp, ssrc, payload)
        caller.receiver.receive(data, number * 20 * MS)
        caller.tick(number * 20 * MS)
    caller._sort()
    assert caller.is_contiguous()


class TestWideband:
    """L16 at 16 kHz: two samples of the codec, and two units of its RTP clock, to one of media time."""

    LOUD = Coder(L16_16K).encode(struct.pack("<320h", *([9000, 9000, -9000, -9000] * 80)))

    def test_speech_is_found_and_stamped_as_in_a_narrow_call(self):
        caller = Caller(L16_16K, rate=16000)
        for number in range(40):
            payload = self.LOUD if 10 <= number < 20 else bytes(640)
            caller.send(number, number * 20 * MS, timestamp=number * 320, payload=payload)
        started, ended = caller.events
        assert started[:3] == ("speech_started", 0, 1600)
        assert started[3] == 200 * MS
        assert ended[0] == "speech_ended"
        assert 3200 <= ended[2] <= 3360  # the band filter may smear it into the next packet
        assert caller.is_contiguous(16000)

    def test_an_odd_packet_moves_media_time_by_its_half_sample_in_the_end(self):
        caller = Caller(L16_16K, rate=16000)
        for number in range(4):
            caller.send(number, number * 20 * MS, timestamp=number * 319, payload=bytes(638))
        assert caller.times == [0, 159, 319, 478]

    def test_a_gap_is_counted_in_the_clock_of_the_codec(self):
        caller = Caller(L16_16K, rate=8000, max_gap=800)
        caller.send(0, 0, timestamp=0, payload=bytes(640))
        caller.send(1, 120 * MS, timestamp=320 + 1600, payload=bytes(640))
        caller.send(2, 500 * MS, timestamp=320 + 1600 + 320 + 1602, payload=bytes(640))
        assert caller.times[-2:] == [960, 1120]

    def test_digits_count_in_the_clock_of_the_audio(self):
        caller = Caller(L16_16K)
        caller.send(0, 0, timestamp=0, payload_type=101, payload=struct.pack("!BBH", 7, 0x8A, 1600))
        assert caller.events == [("digit", ord("7"), 100, 0)]

    def test_jitter_counts_in_the_clock_of_the_codec(self):
        caller = Caller(L16_16K)
        for number in range(200):
            caller.send(number, (number * 20 + number % 2 * 4) * MS, timestamp=number * 320, payload=bytes(640))
        assert caller.receiver.counts["jitter"] == pytest.approx(4 * 16, rel=0.05)
        assert caller.receiver.counts["clock"] == 16000
