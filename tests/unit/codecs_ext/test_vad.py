"""Speech detection: when it starts, when it ends, and what it calls noise."""

from __future__ import annotations

import math
import random
import struct

from codecs_ext.vad import Detector

PACKET = 160
MS = 1_000_000


def sound(level_db: float, count: int = PACKET, *, seed: int = 1) -> bytes:
    """White noise of a level in dB of full scale."""
    noise = random.Random(seed)
    sigma = 32768 * 10 ** (level_db / 20)
    return struct.pack(f"<{count}h", *(max(-32768, min(32767, round(noise.gauss(0, sigma)))) for _ in range(count)))


class Line:
    """Feeds 20 ms packets and keeps what was told."""

    def __init__(self, **options: float) -> None:
        self.detector = Detector(**options)
        self.media_time = 0
        self.events: list[tuple[bool, int, int]] = []
        self.loud: list[bool] = []

    def feed(self, level_db: float, packets: int, *, learn: bool = True) -> None:
        for _ in range(packets):
            pcm = sound(level_db, seed=self.media_time + 1)
            loud, events = self.detector.process(pcm, self.media_time, self.media_time * 125_000, learn)
            self.loud.append(loud)
            self.events += events
            self.media_time += PACKET


def test_speech_starts_with_the_first_packet_over_the_threshold_and_ends_with_the_last():
    line = Line()
    line.feed(-65, 25)
    line.feed(-25, 20)
    line.feed(-65, 25)
    assert line.events == [(True, 25 * PACKET, 25 * PACKET * 125_000), (False, 45 * PACKET, 44 * PACKET * 125_000)]
    assert line.loud == [False] * 25 + [True] * 20 + [False] * 25


def test_a_click_shorter_than_the_attack_is_not_speech():
    line = Line(attack=3)
    line.feed(-65, 10)
    line.feed(-20, 1)
    line.feed(-65, 30)
    assert line.events == []


def test_a_pause_shorter_than_the_release_does_not_end_speech():
    line = Line(release=20)
    line.feed(-65, 10)
    line.feed(-25, 10)
    line.feed(-65, 9)
    line.feed(-25, 10)
    line.feed(-65, 9)
    assert line.events == [(True, 10 * PACKET, 10 * PACKET * 125_000)]
    line.feed(-65, 1)
    assert line.events[1] == (False, 39 * PACKET, 38 * PACKET * 125_000)


def test_nothing_below_the_least_level_is_speech_however_quiet_the_line():
    line = Line(min_level_db=-48)
    line.feed(-90, 100)
    line.feed(-52, 50)
    assert line.events == []


def test_steady_noise_stops_being_speech_and_speech_over_it_is_found():
    line = Line()
    line.feed(-70, 10)
    line.feed(-40, 50 * 40)
    assert [started for started, _, _ in line.events] == [True, False]
    line.feed(-20, 10)
    line.feed(-40, 20)
    assert [started for started, _, _ in line.events] == [True, False, True, False]


def test_the_floor_hardly_climbs_during_a_long_sentence():
    line = Line()
    line.feed(-65, 20)
    before = line.detector.floor_db
    line.feed(-25, 50 * 10)
    assert line.detector.floor_db - before < 11


def test_an_offset_is_not_a_level():
    detector = Detector()
    loud, events = detector.process(struct.pack("<160h", *[9000] * 160), 0, 0)
    assert (loud, events) == (False, [])


def test_made_up_audio_ends_speech_but_is_never_its_last_packet():
    line = Line()
    line.feed(-65, 10)
    line.feed(-25, 10)
    line.feed(-25, 3, learn=False)
    line.feed(-90, 15, learn=False)
    assert line.events[-1] == (False, 20 * PACKET, 19 * PACKET * 125_000)


def test_packets_of_any_length_find_the_same_speech():
    pcm = sound(-65, 8000) + sound(-25, 4000, seed=2) + sound(-65, 8000, seed=3)
    starts, ends = set(), set()
    for size in (80, 160, 240, 480, 37):
        detector = Detector()
        for place in range(0, len(pcm) // 2, size):
            _, events = detector.process(pcm[2 * place : 2 * (place + size)], place, place)
            starts |= {media for started, media, _ in events if started}
            ends |= {media for started, media, _ in events if not started}
    assert starts == {8000}
    assert all(12000 <= end < 12000 + 480 for end in ends)


def test_a_sine_of_speech_level_is_speech():
    detector = Detector()
    pcm = struct.pack("<160h", *(round(3000 * math.sin(i / 3)) for i in range(160)))
    assert detector.process(pcm, 0, 5)[1] == [(True, 0, 5)]
