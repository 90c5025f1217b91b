from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codecs_ext.onset import OnsetDetector as Kernel
from gateway.bench.measure.onset import Edge, OnsetDetector, first_sound, last_sound
from gateway.units import MS, Nanos, Samples
from tests.unit.bench.measure.onset_oracle import Oracle
from tests.unit.bench.measure.signals import RATE, add, frames, noise, pcm, silence, tone, ulaw, voice

T0 = 1_000_000_000_000


def hear(samples: list[int], **limits: float) -> list[Edge]:
    """The edges of a signal that arrives in 20 ms packets, each stamped with the time of its first sample."""
    detector, edges = OnsetDetector(RATE, **limits), []
    for number, frame in enumerate(frames(samples)):
        edges += detector.hear(frame, Samples(number * 160), Nanos(T0 + number * 20 * MS))
    return edges + detector.finish()


def ms(edge: Edge) -> float:
    return (edge.at - T0) / MS


@settings(max_examples=60, deadline=None)
@given(lead=st.integers(20, 300), length=st.integers(120, 400), level=st.integers(-35, -6), seed=st.integers(0, 99))
def test_a_tone_in_noise_is_found_within_5_ms(lead: int, length: int, level: int, seed: int) -> None:
    signal = silence(lead) + tone(length, level) + silence(400)
    start, end = hear([ulaw(s) for s in add(signal, noise(len(signal) / 8, -65, seed))])
    assert (start.started, end.started) == (True, False)
    assert ms(start) == pytest.approx(lead, abs=5)
    assert ms(end) == pytest.approx(lead + length, abs=5)


@settings(max_examples=40, deadline=None)
@given(lead=st.integers(20, 300), pitch=st.integers(75, 250))
def test_a_voice_is_found_within_5_ms_and_is_one_piece(lead: int, pitch: int) -> None:
    start, end = hear([ulaw(s) for s in silence(lead) + voice(500, pitch=pitch) + silence(300)])
    assert ms(start) == pytest.approx(lead, abs=5)
    # The last pulse rings out before its period is over: that is where the sound ends.
    assert lead + 500 - 1000 / pitch - 5 <= ms(end) <= lead + 505


def test_a_slow_attack_is_dated_within_5_ms_of_the_threshold() -> None:
    ramp = [round(sample * n / 800) for n, sample in enumerate(tone(100, -20))]
    start, _ = hear(silence(100) + ramp + tone(200) + silence(300))
    crossing = 100 + 100 * 10 ** ((-48 + 20) / 20)  # where the ramp's level reaches the threshold
    assert ms(start) == pytest.approx(crossing, abs=5)


def test_the_packet_time_is_the_arrival_of_the_packet_that_carries_the_edge() -> None:
    start, end = hear(silence(47) + tone(100) + silence(300))
    assert (start.packet - T0) / MS == 40
    assert (end.packet - T0) / MS == 140
    assert start.media_time == pytest.approx(47 * 8, abs=40)


def test_pauses_between_words_do_not_end_speech_but_longer_ones_do() -> None:
    words = silence(100) + voice(200) + silence(150) + voice(200) + silence(260) + voice(100) + silence(300)
    assert [edge.started for edge in hear(words)] == [True, False, True, False]


def test_clicks_and_background_are_not_speech() -> None:
    click = [*silence(100), 12000, -9000, *silence(200), 20000, *silence(300)]
    assert hear(click) == []
    assert hear(noise(2000, -55)) == []


def test_background_that_comes_up_slowly_is_followed() -> None:
    rising = [sample for level in range(-70, -49) for sample in noise(1000, level, seed=level + 100)]
    assert hear(rising) == []
    start, *_ = hear(rising + add(noise(300, -50), tone(300)))
    assert ms(start) == pytest.approx(21_000, abs=5)


def test_speech_that_goes_on_at_the_end_of_the_stream_is_ended_there() -> None:
    assert [edge.started for edge in hear(tone(200))] == [True, False]


def test_nothing_is_heard_in_silence_or_in_empty_frames() -> None:
    assert hear(silence(1000)) == []
    assert OnsetDetector().hear(b"", Samples(0), Nanos(0)) == []


def test_the_sound_in_a_clip() -> None:
    clip = pcm(silence(70) + voice(300, pitch=200) + silence(90))
    assert first_sound(clip, RATE) == pytest.approx(70 * 8, abs=40)
    assert last_sound(clip, RATE) == pytest.approx(370 * 8, abs=40)
    assert first_sound(pcm(silence(100)), RATE) is None
    assert last_sound(b"", RATE) is None


@settings(max_examples=60, deadline=None)
@given(
    pieces=st.lists(st.tuples(st.integers(1, 90), st.integers(-70, -16)), min_size=1, max_size=12),
    rate=st.sampled_from([8000, 16000, 48000]),
    release=st.integers(1, 40),
    margin=st.sampled_from([0.0, 15.85]),
    seed=st.integers(0, 999),
)
def test_it_does_what_the_oracle_does(
    pieces: list[tuple[int, int]], rate: int, release: int, margin: float, seed: int
) -> None:
    """Any mixture of levels, with frames of 20 ms of which some are made up."""
    limits = {"threshold": 1.7e4, "margin": margin, "block_us": 2500, "confirm": 4, "release": release}
    detector, oracle = Kernel(rate, **limits), Oracle(rate, **limits)  # type: ignore[arg-type]
    source = random.Random(seed)
    samples = [x for length, level in pieces for x in noise(length * rate / RATE, level, seed=source.randrange(99))]
    for n, start in enumerate(range(0, len(samples), rate // 50)):
        frame, real = samples[start : start + rate // 50], source.random() < 0.8
        found = detector.hear(pcm(frame), start, T0 + n * 20 * MS, real)
        assert found == oracle.hear(frame, start, T0 + n * 20 * MS, real)
    assert detector.finish() == oracle.finish()


@pytest.mark.parametrize("level", [-34, -20, -10])
@pytest.mark.parametrize("lead", [0, 1, 7, 19, 20, 159, 161])
def test_what_begins_and_ends_at_once_is_dated_to_the_sample(level: int, lead: int) -> None:
    start, end = hear([0] * (800 + lead) + [round(32768 * 10 ** (level / 20))] * 1000 + silence(300))
    assert (start.media_time, end.media_time) == (800 + lead, 1800 + lead)


def test_an_end_tells_how_much_sound_there_was_without_the_pauses() -> None:
    *_, end = hear(silence(100) + tone(300) + silence(150) + tone(200) + silence(300))
    assert end.sound / MS == pytest.approx(500, abs=5)
