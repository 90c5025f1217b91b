"""The playout clock: when each packet leaves, and what is told of it. Time is counted in ticks of 5 ms here."""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codecs_ext import rtp
from codecs_ext.downlink import Sender
from codecs_ext.dtmf import Digits
from codecs_ext.g711 import ulaw_to_linear

SILENCE = b"\xff" * 160


class Packet(NamedTuple):
    tick: int
    marker: bool
    sequence: int
    timestamp: int
    payload: bytes

    @property
    def silent(self) -> bool:
        return self.payload == b"\xff" * len(self.payload)


class Line:
    """A sender on a virtual clock: one call per tick, as the plane makes them."""

    def __init__(self, **options: float) -> None:
        self.sender = Sender(**options)  # type: ignore[arg-type]
        self.now = 0
        self.packets: list[Packet] = []
        self.told: list[tuple[str, int, int, int]] = []
        self.events: list[tuple[int, bool, int, int, int, bytes]] = []

    def connect(self) -> Line:
        self.sender.connect(self.now)
        return self

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            datagram = self.sender.tick(self.now, self.now)
            if datagram is not None:
                packet = rtp.parse(datagram)
                assert packet is not None
                assert packet[4] == 1
                self.events += [packet] if packet[0] == 101 else []
                self.packets.append(Packet(self.now, packet[1], packet[2], packet[3], packet[5]))
            self.listen()
            self.now += 1

    def listen(self) -> None:
        self.told += [(name, number, position, stamp) for name, number, position, stamp, _, _ in self.sender.take()]

    def play(self, samples: int, rate: int = 8000, value: int = 1000) -> None:
        self.sender.play(struct.pack("<h", value) * samples, rate, self.now)

    @property
    def ticks(self) -> list[int]:
        return [packet.tick for packet in self.packets]

    @property
    def audio(self) -> list[int]:
        return [packet.tick for packet in self.packets if not packet.silent]


@pytest.mark.parametrize("group", range(4))
def test_without_audio_silence_leaves_every_20_ms_in_the_place_of_the_group(group):
    line = Line(group=group, sequence=65534, timestamp=2**32 - 160).connect()
    line.run(24)
    assert line.ticks == [group + 4 * n for n in range(6)]
    assert all(packet.payload == SILENCE and not packet.marker for packet in line.packets)
    assert [packet.sequence for packet in line.packets] == [65534, 65535, 0, 1, 2, 3]
    assert [packet.timestamp for packet in line.packets] == [(160 * n - 160) % 2**32 for n in range(6)]


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_audio_starts_at_the_next_tick_and_silence_returns_to_the_grid(after):
    line = Line().connect()
    line.run(4 + after)  # silence left at 0 and 4
    start = line.now
    line.play(3 * 160)
    line.run(24)
    assert line.audio == [start, start + 4, start + 8]
    silence = [tick for tick in line.ticks if tick > start + 8]
    assert silence[0] in range(start + 12, start + 16)
    assert all(tick % 4 == 0 for tick in silence)
    assert [packet.timestamp for packet in line.packets] == [160 * n for n in range(len(line.packets))]
    assert [packet.marker for packet in line.packets] == [packet.tick == start for packet in line.packets]


def test_events_of_an_utterance():
    line = Line().connect()
    line.run(6)
    line.play(320)
    line.sender.mark(7)
    line.run(12)
    line.play(160)
    line.run(12)
    assert line.told == [
        ("playout_started", 0, 0, 6),
        ("mark", 7, 320, 10),
        ("playout_idle", 0, 320, 10),
        ("playout_started", 0, 320, 18),
        ("playout_idle", 0, 480, 18),
    ]


def test_audio_that_follows_in_time_is_the_same_talkspurt():
    line = Line().connect()
    line.run(6)
    for _ in range(5):
        line.play(160)
        line.run(4)
    assert line.audio == [6, 10, 14, 18, 22]
    assert [packet.tick for packet in line.packets if packet.marker] == [6]
    assert [name for name, *_ in line.told] == ["playout_started"]


def test_a_short_tail_waits_one_tick_and_is_then_padded():
    line = Line().connect()
    line.run(5)
    line.play(160 + 40)
    line.run(8)
    assert line.audio == [5, 10]
    assert ulaw_to_linear(line.packets[-1].payload)[80:] == bytes(240)
    assert line.told[-1] == ("playout_idle", 0, 200, 10)


def test_more_audio_within_that_tick_completes_the_packet():
    line = Line().connect()
    line.run(5)
    line.play(160 + 40)
    line.run(5)  # ticks 5 to 9: the tail was due at 9
    line.play(120)
    line.run(1)
    assert line.audio == [5, 10]
    assert 0 not in struct.unpack("<160h", ulaw_to_linear(line.packets[-1].payload))


def test_tails_that_wait_do_not_shift_the_grid():
    line = Line().connect()
    line.run(4)
    for _ in range(40):  # always 100 ms less one sample, each just when the last one has run out
        line.play(799)
        line.run(20)
    sent = len(line.packets)
    assert all(-1 <= 4 * n - packet.tick <= 3 for n, packet in enumerate(line.packets))
    line.run(40)
    assert line.ticks[sent + 1 :] == [4 * n for n in range(sent + 1, len(line.packets))]


def test_a_mark_with_nothing_before_it_is_told_at_once():
    line = Line().connect()
    line.sender.mark(1)
    line.listen()
    assert line.told == [("mark", 1, 0, 0)]
    line.run(1)
    line.play(160)
    line.run(6)
    line.sender.mark(2)
    line.listen()
    assert line.told[-1] == ("mark", 2, 160, 1)


def test_marks_are_told_with_the_packet_that_holds_their_last_sample():
    line = Line().connect()
    for number in range(1, 5):
        line.play(100)
        line.sender.mark(number)
    line.run(16)
    assert [event for event in line.told if event[0] == "mark"] == [
        ("mark", 1, 160, 0),
        ("mark", 2, 320, 4),
        ("mark", 3, 320, 4),
        ("mark", 4, 400, 8),  # nothing more comes: the tail does not wait for it
    ]


def test_flush_empties_the_queue_inside_one_frame_and_tells_what_was_played():
    line = Line().connect()
    line.run(6)
    line.play(8000)
    line.sender.mark(1)
    line.run(9)  # packets at 6, 10, 14
    line.sender.flush(9)
    line.listen()
    assert line.told[-1] == ("flushed", 9, 480, 14)
    line.run(20)
    assert line.audio == [6, 10, 14]
    assert [event[0] for event in line.told] == ["playout_started", "flushed"]
    assert line.sender.counts["underruns"] == 0


def test_trim_drops_the_tail_and_what_is_before_it_is_played_without_a_break():
    line = Line().connect()
    line.run(6)
    line.play(800, value=1000)
    line.play(3200, rate=16000, value=2000)
    line.sender.mark(1)
    line.run(9)  # packets at 6, 10, 14: 480 samples
    line.sender.trim(7, 1200)
    line.listen()
    assert line.told[-1] == ("trimmed", 7, 1200, 14)
    line.play(160, value=3000)
    line.run(60)
    assert line.told[-1][:3] == ("playout_idle", 0, 1360)
    assert line.audio[:8] == list(range(6, 38, 4))  # the last one may wait for what the resampler holds
    assert "mark" not in [event[0] for event in line.told]


def test_trim_to_what_was_played_already_tells_where_it_really_ends():
    line = Line().connect()
    line.play(480)
    line.run(9)
    line.sender.trim(7, 10)
    line.listen()
    name, _, position, _ = line.told[-1]
    assert (name, position) == ("trimmed", 480)
    line.sender.trim(8, 10_000)
    line.run(9)
    assert [event[0] for event in line.told] == ["playout_started", "trimmed", "trimmed", "playout_idle"]


def test_flush_of_an_idle_leg_answers_too():
    line = Line().connect()
    line.sender.flush(1)
    line.listen()
    assert line.told == [("flushed", 1, 0, 0)]


def test_audio_queued_before_the_connection_starts_with_it():
    line = Line(group=2)
    line.play(320)
    line.run(5)
    assert line.packets == []
    line.connect()
    line.run(6)
    assert line.audio == [5, 9]
    assert line.packets[0].marker


def test_hold_keeps_the_queue_and_timestamps_pass_over_it():
    line = Line().connect()
    line.play(480)
    line.run(4)
    line.sender.connect(line.now, send=False)
    line.run(40)
    assert line.audio == [0]
    line.sender.connect(line.now, send=True)
    line.run(8)
    assert line.audio == [0, 44, 48]
    assert [packet.timestamp for packet in line.packets] == [0, 160 * 11, 160 * 12]
    assert [packet.sequence for packet in line.packets] == [0, 1, 2]


def test_a_queue_that_runs_dry_in_the_middle_of_an_utterance_is_an_underrun():
    line = Line().connect()
    line.play(160)
    line.run(8)
    line.play(160)
    assert line.sender.counts["underruns"] == 1
    line.sender.mark(1)
    line.run(8)
    line.play(160)
    assert line.sender.counts["underruns"] == 1
    line.run(300)
    line.play(160)
    assert line.sender.counts["underruns"] == 1


def test_what_exceeds_the_limit_is_dropped_and_counted():
    line = Line(limit=320).connect()
    line.play(320)
    line.play(160)
    assert line.sender.counts["overflows"] == 1
    line.run(20)
    assert len(line.audio) == 2


@pytest.mark.parametrize(("ptime", "period"), [(10, 2), (20, 4), (30, 6), (60, 12)])
def test_the_packet_time_of_the_far_end(ptime, period):
    line = Line(ptime_ms=ptime).connect()
    line.run(period * 4 + 1)
    assert line.ticks == [period * n for n in range(5)]
    line.play(ptime * 8 * 2)
    line.run(period * 2)
    assert [len(packet.payload) for packet in line.packets] == [ptime * 8] * len(line.packets)
    assert line.audio == [period * 4 + 1, period * 5 + 1]


def test_a_stopped_thread_catches_up_one_packet_per_tick():
    line = Line().connect()
    line.run(5)
    line.now += 20
    line.run(20)
    caught_up = [packet.tick for packet in line.packets if 25 <= packet.tick < 33]
    assert caught_up[:5] == [25, 26, 27, 28, 29]
    assert line.ticks[-1] == 44
    assert [packet.timestamp for packet in line.packets] == [160 * n for n in range(12)]


def test_a_long_stop_moves_the_grid_instead():
    line = Line().connect()
    line.run(5)
    line.now = 1000
    line.run(8)
    assert line.ticks == [0, 4, 1000, 1004]
    assert [packet.timestamp for packet in line.packets] == [0, 160, 160 * 250, 160 * 251]


def test_resampled_audio_keeps_its_length_and_level():
    line = Line().connect()
    for _ in range(10):
        line.play(480, 24000, value=5000)
    line.sender.mark(1)
    line.run(48)
    assert ("mark", 1, 1600, 36) in line.told
    loud = [value for packet in line.packets[1:10] for value in struct.unpack("<160h", ulaw_to_linear(packet.payload))]
    assert all(abs(value - 5000) < 200 for value in loud)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 3), st.lists(st.one_of(
    st.tuples(st.just("run"), st.integers(1, 30)),
    st.tuples(st.just("play"), st.integers(1, 900)),
    st.tuples(st.just("mark"), st.just(0)),
    st.tuples(st.just("flush"), st.just(0)),
), max_size=30))  # fmt: skip
@example(0, [("play", 1), ("run", 1), ("flush", 0), ("play", 1)])
def test_whatever_is_asked_the_clock_holds_and_the_counts_add_up(group, steps):
    line = Line(group=group).connect()
    queued = marks = flushes = 0
    for number, (verb, amount) in enumerate(steps):
        if verb == "run":
            line.run(amount)
        elif verb == "play":
            queued += amount
            line.play(amount)
        elif verb == "mark":
            marks += 1
            line.sender.mark(number)
        else:
            flushes += 1
            line.sender.flush(number)
    line.run(queued // 40 + 50)
    # Packet n is nominally due at group + 4 n: at most three ticks early, at most the one of a waiting tail late.
    assert all(-1 <= group + 4 * n - packet.tick <= 3 for n, packet in enumerate(line.packets))
    assert len(set(line.ticks)) == len(line.ticks)
    assert [packet.timestamp for packet in line.packets] == [160 * n for n in range(len(line.packets))]
    assert all(packet.tick % 4 == group for packet in line.packets[-5:])
    told = [name for name, *_ in line.told]
    assert told.count("flushed") == flushes
    positions = [position for _, _, position, _ in line.told]
    assert positions == sorted(positions)
    if not flushes:
        assert told.count("mark") == marks
        assert told.count("playout_started") == told.count("playout_idle")
        assert not positions or queued in (0, positions[-1])


# --- digits -----------------------------------------------------------------------------------------------------------


def said(line: Line) -> list[tuple[int, bool, int, bool, int]]:
    """Of each event packet: digit, marker, timestamp, end, duration (RFC 4733 2.3)."""
    return [(p[5][0], p[1], p[3], bool(p[5][1] & 0x80), p[5][2] << 8 | p[5][3]) for p in line.events]


def test_a_digit_keeps_its_timestamp_grows_and_ends_three_times():
    line = Line(timestamp=5000).connect()
    line.run(8)
    line.sender.dial(b"5", 100, 100, 3)
    line.run(60)
    start = 5000 + 2 * 160
    assert said(line) == [
        (5, True, start, False, 160),
        *((5, False, start, False, duration) for duration in (320, 480, 640)),
        *((5, False, start, True, 800) for _ in range(3)),
    ]
    assert [packet.sequence for packet in line.packets] == list(range(17))
    assert [packet.timestamp for packet in line.packets if len(packet.payload) == 160] == [
        5000 + 160 * n for n in (0, 1, *range(9, 17))
    ]
    assert ("mark", 3) in [told[:2] for told in line.told]


def test_digits_have_their_gaps_and_a_length_that_is_no_multiple_of_a_packet():
    line = Line().connect()
    line.sender.dial(b"12", 50, 70)
    line.run(80)
    ends = [(digit, duration) for digit, _, _, end, duration in said(line) if end]
    assert ends == [(1, 400)] * 3 + [(2, 400)] * 3
    first, second = sorted({timestamp for _, _, timestamp, _, _ in said(line)})
    assert second - first == 160 * 7  # three packets of tone, 70 ms of gap in four


def test_a_digit_that_its_duration_field_cannot_hold_is_sent_in_segments():
    line = Line().connect()
    line.sender.dial(b"#", 8500, 40)
    line.run(4 * 440)
    events = said(line)
    assert {timestamp for _, _, timestamp, _, _ in events} == {0, 0xFFFF}
    assert [marker for _, marker, _, _, _ in events].count(True) == 1
    assert events[-1] == (11, False, 0xFFFF, True, 8500 * 8 - 0xFFFF)
    assert max(duration for _, _, _, _, duration in events) <= 0xFFFF


def test_what_we_send_is_what_we_would_hear():
    line = Line().connect()
    line.sender.dial(b"0123456789*#ABCD", 60, 60)
    line.run(16 * 6 * 4 + 20)
    heard, digits = "", Digits()
    for number, event in enumerate(line.events):
        heard += "".join(digit for digit, _, _ in digits.receive(event[5], event[3], number))
    assert heard == "0123456789*#ABCD"


def test_queued_audio_waits_for_digits_whole():
    line = Line().connect()
    line.play(1600)
    line.run(10)
    line.sender.dial(b"9", 60, 60)
    line.run(80)
    audio = [packet for packet in line.packets if not packet.silent and len(packet.payload) == 160]
    assert len(audio) == 10
    assert [told[0] for told in line.told] == ["playout_started", "playout_idle"]
    assert line.told[-1][2] == 1600


def test_without_telephone_event_digits_are_tones():
    line = Line(event_payload_type=-1).connect()
    line.sender.dial(b"8", 100, 100, 1)
    line.run(60)
    sound = np.frombuffer(b"".join(ulaw_to_linear(packet.payload) for packet in line.packets), np.int16)[:800]
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(800)))
    peaks = sorted(np.argsort(spectrum)[-20:] * 10)
    assert any(abs(peak - 852) <= 10 for peak in peaks)
    assert any(abs(peak - 1336) <= 10 for peak in peaks)
    assert sorted({round(peak, -2) for peak in peaks}) in (
        [800, 900, 1300],
        [900, 1300],
        [900, 1300, 1400],
        [800, 900, 1300, 1400],
    )
    assert all(packet.silent for packet in line.packets[5:])
    assert ("mark", 1) in [told[:2] for told in line.told]


# --- what sounds beside the queue -------------------------------------------------------------------------------------


def test_a_flush_fades_what_would_have_come_next():
    line = Line(fade_ms=10).connect()
    line.play(8000, value=8000)
    line.run(12)
    before = len(line.packets)
    line.sender.flush(1)
    line.run(20)
    tail = struct.unpack("<160h", ulaw_to_linear(line.packets[before].payload))
    assert 7000 < tail[0] < 8000
    assert list(tail[:80]) == sorted(tail[:80], reverse=True)
    assert not any(tail[80:])
    assert all(packet.silent for packet in line.packets[before + 1 :])
    assert line.packets[before].tick - line.packets[before - 1].tick == 4
    assert [told[0] for told in line.told] == ["playout_started", "flushed"]
    assert line.told[-1][2] == before * 160


def test_a_flush_of_what_nobody_has_heard_fades_nothing():
    line = Line(fade_ms=10).connect()
    line.run(4)
    line.play(800)
    line.sender.flush(1)
    line.run(10)
    assert all(packet.silent for packet in line.packets)


def test_gain_and_comfort_noise():
    line = Line(gain=0.5, comfort_db=-50.0).connect()
    line.run(4)
    line.play(160, value=8000)
    line.run(8)
    assert struct.unpack("<160h", ulaw_to_linear(line.packets[1].payload))[50] == pytest.approx(4000, abs=130)
    quiet = np.frombuffer(ulaw_to_linear(line.packets[0].payload + line.packets[2].payload), np.int16).astype(float)
    assert 10 * np.log10((quiet**2).mean() / 32768**2) == pytest.approx(-50, abs=2)


def test_gain_does_not_wrap_around():
    line = Line(gain=10.0).connect()
    line.play(160, value=30000)
    line.run(8)
    assert min(struct.unpack("<160h", ulaw_to_linear(line.packets[0].payload))) > 31000


@pytest.mark.parametrize("rate", [8000, 22050, 48000])
def test_a_backdrop_loops_and_ducks_under_speech(rate):
    line = Line().connect()
    line.sender.backdrop(struct.pack("<h", 10000) * 333, rate, 0.4, 0.25)
    line.run(80)
    between = struct.unpack("<160h", ulaw_to_linear(line.packets[10].payload))
    assert all(abs(value - 4000) < 150 for value in between)
    line.play(1600, value=2000)
    line.run(40)
    under = struct.unpack("<160h", ulaw_to_linear(line.packets[25].payload))
    assert all(abs(value - 3000) < 150 for value in under)
    line.sender.backdrop(b"", 8000, 0.0, 0.0)
    line.run(40)
    assert line.packets[-1].silent


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000, 44100, 48000])
@settings(deadline=None, max_examples=20)
@given(cuts=st.lists(st.integers(1, 3000), min_size=1, max_size=8))
def test_bursts_of_any_size_and_rate_come_out_in_their_length(rate, cuts):
    line = Line().connect()
    for count in cuts:
        line.play(count, rate)
    total = sum(cuts) * 8000 / rate
    line.run(4 * int(total / 160) + 20)
    assert line.told[-1][0] == "playout_idle"
    assert line.told[-1][2] == pytest.approx(total, abs=2)


def test_utterances_and_those_that_ran_dry_are_counted():
    line = Line().connect()
    for _ in range(3):
        line.play(160)
        line.run(10)
    line.sender.mark(1)
    line.run(300)
    line.play(160)
    line.run(20)
    counts = line.sender.counts
    assert (counts["utterances"], counts["underruns"], counts["interrupted"]) == (2, 2, 1)


@settings(max_examples=80, deadline=None)
@given(ahead=st.integers(1, 300_000_000), group=st.integers(0, 3), ptime_ms=st.sampled_from([10, 20, 30, 60]))
@example(ahead=20_000_000, group=0, ptime_ms=20)
def test_what_is_kept_for_a_moment_begins_there_to_the_sample_and_the_grid_stays(
    ahead: int, group: int, ptime_ms: int
) -> None:
    line = Line(group=group, ptime_ms=ptime_ms).connect()
    line.run(41)
    at = line.now * 5_000_000 + ahead
    line.sender.play(struct.pack("<h", 1000) * 800, 8000, line.now, at)
    line.sender.mark(7)
    line.run(200)
    first = next(packet for packet in line.packets if not packet.silent)
    begun = first.tick * 5_000_000 + next(n for n, byte in enumerate(first.payload) if byte != 0xFF) * 125_000
    covered = first.tick - (line.packets[0].tick % (ptime_ms // 5))
    assert first.marker
    assert covered % (ptime_ms // 5) == 0 or ahead < ptime_ms * 1_000_000, "on the grid unless that comes too late"
    assert 0 <= at - begun < 125_000 or 0 <= begun - at <= 5_000_000 >= ahead, "too late for the packet that covers it"
    (started,) = [stamp for name, _, _, stamp in line.told if name == "playout_started"]
    assert started == first.tick + begun - first.tick * 5_000_000, "the test stamps packets with their tick"
    assert sum(byte != 0xFF for packet in line.packets for byte in packet.payload) == 800
    assert ("mark", 7) in [told[:2] for told in line.told]


def test_what_is_flushed_before_its_moment_is_never_heard() -> None:
    line = Line().connect()
    line.run(8)
    line.sender.play(struct.pack("<h", 1000) * 800, 8000, line.now, line.now * 5_000_000 + 100_000_000)
    line.run(8)
    line.sender.flush(1)
    line.run(40)
    assert all(packet.silent for packet in line.packets)
    line.play(160)
    line.run(8)
    assert sum(not packet.silent for packet in line.packets) == 1


def voice(start: int, count: int) -> bytes:
    """A voice of 125 Hz with overtones."""
    at = np.arange(start, start + count)
    wave = sum(np.sin(2 * np.pi * 125 * n * at / 8000) / n for n in range(1, 8))
    return bytes((4000 * wave).astype("<i2").tobytes())


def live(line: Line, frames: int, stalls: dict[int, int], ahead: int = 0) -> None:
    """Frames of 20 ms at the pace of speech, the first ``ahead`` at once; behind frame n a stall of so many frames."""
    waiting = ahead
    for number in range(frames):
        waiting += 1
        line.run(4)
        if not any(at <= number < at + length for at, length in stalls.items()):
            for n in range(number + 1 + ahead - waiting, number + 1 + ahead):
                line.sender.play(voice(160 * n, 160), 8000, line.now)
            waiting = 0


def heard(line: Line) -> np.ndarray:
    return np.frombuffer(ulaw_to_linear(b"".join(packet.payload for packet in line.packets)), "<i2").astype(int)


def test_delay_that_a_stall_has_left_behind_is_worked_off_without_a_click():
    line = Line().connect()
    live(line, 250, {50: 5})
    counts = line.sender.counts
    assert counts["underruns"] == 1
    assert 80 <= counts["left_out"] / 8 <= 100
    voiced = heard(line)[160 * 70 :]
    ordinary = np.abs(np.diff(voice_samples())).max()
    assert np.abs(np.diff(voiced)).max() <= 1.3 * ordinary


def voice_samples() -> np.ndarray:
    return np.frombuffer(voice(0, 8000), "<i2").astype(int)


def test_what_was_left_out_counts_as_played():
    line = Line().connect()
    live(line, 250, {50: 5})
    line.sender.mark(7)
    line.run(40)
    position = next(position for name, number, position, _ in line.told if name == "mark" and number == 7)
    assert position == 250 * 160


@pytest.mark.parametrize("catch_up", [False, True])
def test_what_a_sender_keeps_ahead_on_purpose_stays(catch_up):
    line = Line(catch_up=catch_up).connect()
    live(line, 150, {20: 3} if not catch_up else {}, ahead=5)
    assert line.sender.counts["left_out"] == 0


def test_speech_that_comes_ahead_of_its_time_is_left_as_it_is_behind_a_hole():
    line = Line().connect()
    line.sender.play(voice(0, 1600), 8000, line.now)
    line.run(60)
    for n in range(10):
        line.sender.play(voice(1600 + 4000 * n, 4000), 8000, line.now)
        line.run(40)
    line.run(800)
    assert line.sender.counts["underruns"] == 1
    assert line.sender.counts["left_out"] == 0
    assert line.told[-1][:3] == ("playout_idle", 0, 41600)


def test_slack_that_is_needed_again_is_worked_off_later_each_time():
    line = Line().connect()
    live(line, 2000, dict.fromkeys(range(50, 2000, 50), 3))
    often = line.sender.counts["left_out"]
    line = Line().connect()
    live(line, 2000, dict.fromkeys(range(50, 2000, 500), 3))
    assert often < 1.5 * line.sender.counts["left_out"]


@pytest.mark.parametrize("ppm", [-500, -100, 100, 500])
def test_a_clock_that_is_slow_or_fast_drifts_by_so_much(ppm: float) -> None:
    line = Line().connect()
    line.sender.clock(ppm / 1e6, False)
    line.run(60_000)
    first, last = line.packets[0], line.packets[-1]
    sent = (last.timestamp - first.timestamp) / 8
    assert (last.tick - first.tick) * 5 - sent == pytest.approx(sent * ppm / 1e6, abs=5.1)
    assert len(line.packets) == pytest.approx(15_000 * (1 - ppm / 1e6), abs=2)


def test_who_spares_sends_speech_with_its_timestamps_and_no_silence() -> None:
    line = Line().connect()
    line.sender.clock(0.0, True)
    line.run(100)
    assert line.packets == []
    line.play(480)
    line.sender.mark(1)
    line.run(100)
    line.play(160)
    line.sender.mark(2)
    line.run(60)
    assert [packet.silent for packet in line.packets] == [False] * 4
    assert [packet.marker for packet in line.packets] == [True, False, False, True]
    assert [packet.sequence for packet in line.packets] == [0, 1, 2, 3]
    paused = (line.packets[3].timestamp - line.packets[2].timestamp) / 8
    assert paused == pytest.approx((line.packets[3].tick - line.packets[2].tick) * 5, abs=20)
