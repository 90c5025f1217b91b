"""Concealment against a slow oracle, written from the description of G.711 Appendix I; and what it must sound like."""

from __future__ import annotations

import itertools
import math
import random
import struct

import pytest

from codecs_ext.plc import Conceal

RATES = [8000, 16000, 24000, 48000]


def values(pcm: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(pcm) // 2}h", pcm))


def pack(samples: list[float]) -> bytes:
    return struct.pack(f"<{len(samples)}h", *(round(sample) for sample in samples))


def voice(rate: int, count: int, pitch: float = 125.0, peak: int = 6000) -> list[float]:
    """A vowel: harmonics of ``pitch`` that fall off."""
    return [
        peak * sum(math.sin(2 * math.pi * pitch * k * n / rate + k) / k for k in range(1, 12)) / 2 for n in range(count)
    ]


class Oracle:
    """The same by lists, each span as a whole."""

    def __init__(self, rate: int) -> None:
        self.ms = rate // 1000
        self.history = [0.0] * (rate * 39 // 800)  # 48.75 ms
        self.rest: list[float] | None = None  # of 70 ms made up at once, when a loss begins
        self.overlap = self.made = 0

    def likeness(self, lag: int, stride: int) -> float:
        start = len(self.history) - 20 * self.ms
        now, before = self.history[start::stride], self.history[start - lag : len(self.history) - lag : stride]
        return sum(a * b for a, b in zip(now, before, strict=True)) / math.sqrt(1 + sum(b * b for b in before))

    def period(self) -> int:
        low, high, stride = 5 * self.ms, 15 * self.ms, self.ms // 4
        coarse = max(range(low, high + 1, stride), key=lambda lag: self.likeness(lag, stride))
        near = [lag for lag in range(coarse - stride + 1, coarse + stride) if low <= lag <= high]
        return max(near, key=lambda lag: self.likeness(lag, 1))

    def looped(self, periods: int, period: int, start: int, count: int) -> list[float]:
        length, overlap = periods * period, period // 4
        loop, before = self.history[-length:], self.history[-length - overlap : -length]
        for k in range(overlap):
            share = (k + 1) / (overlap + 1)
            loop[k - overlap] = loop[k - overlap] * (1 - share) + before[k] * share
        return [loop[(start + n) % length] for n in range(count)]

    def synthesis(self) -> list[float]:
        period, ten = self.period(), 10 * self.ms
        self.overlap = overlap = period // 4
        out = self.looped(1, period, 0, ten + overlap)
        place = ten % period
        for periods in (2, 3):
            longer = self.looped(periods, period, place % period, (ten if periods == 2 else 40 * self.ms) + overlap)
            for n in range(overlap):
                share = (overlap - n) / (overlap + 1)
                longer[n] = out[n - overlap] * share + longer[n] * (1 - share)
            out = out[:-overlap] + longer
            place = place % period + ten
        step = self.history[-1] - self.history[-1 - period]
        for n in range(overlap):
            out[n] += step * (1 - (n + 1) / (overlap + 1))
        fade = [1.0] * ten + [1 - n / (50 * self.ms) for n in range(50 * self.ms)]
        return [sample * gain for sample, gain in zip(out, fade, strict=False)] + [0.0] * (1000 * self.ms)

    def make(self, count: int) -> list[float]:
        if self.rest is None:
            self.rest, self.made = self.synthesis(), 0
        made, self.rest = self.rest[:count], self.rest[count:]
        self.made += count
        return made

    def hear(self, samples: list[float]) -> list[float]:
        out = list(samples)
        if self.rest is not None:
            grown = self.overlap + (min(self.made, 60 * self.ms) - 1) // (10 * self.ms) * 4 * self.ms
            length = min(grown, 10 * self.ms, len(out))
            for n in range(length):
                share = (n + 1) / (length + 1)
                out[n] = out[n] * share + self.rest[n] * (1 - share)
        return out

    def remember(self, handed_up: list[int]) -> None:
        self.history = [*self.history, *handed_up][-len(self.history) :]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("losses", [[3], [3, 4], [5, 6, 7, 8, 9], [2, 4, 6, 7], [0, 1]])
def test_it_is_what_the_oracle_makes(rate: int, losses: list[int]) -> None:
    ours, oracle, frame, noise = Conceal(rate), Oracle(rate), rate // 50, random.Random(7)
    signal = [sample + noise.gauss(0, 150) for sample in voice(rate, frame * 12)]
    for number in range(12):
        packet = values(pack(signal[number * frame : (number + 1) * frame]))
        if number in losses:
            got, expected = values(ours.make(frame)), oracle.make(frame)
            oracle.remember(got)
        else:
            got, expected = values(ours.hear(pack(list(packet)))), oracle.hear(packet)
            oracle.rest = None
            oracle.remember(got)
        assert got == pytest.approx(expected, abs=1.5), number


@pytest.mark.parametrize("rate", RATES)
def test_a_vowel_goes_on(rate: int) -> None:
    signal, conceal = voice(rate, rate // 5), Conceal(rate)
    conceal.hear(pack(signal[: rate // 10]))
    made = values(conceal.make(rate // 100))
    wanted = signal[rate // 10 : rate // 10 + rate // 100]
    error = sum((a - b) ** 2 for a, b in zip(made, wanted, strict=True)) / sum(b * b for b in wanted)
    assert 10 * math.log10(1 / error) > 20


def test_it_fades_after_10_ms_and_is_silent_at_60() -> None:
    conceal = Conceal()
    conceal.hear(pack(voice(8000, 800)))
    made = values(conceal.make(640))
    loud = max(map(abs, made[:80]))
    assert max(map(abs, made[240:320])) < 0.75 * loud
    assert max(map(abs, made[400:480])) < 0.25 * loud
    assert made[480:] == [0] * 160


@pytest.mark.parametrize("lost", [160, 800])
def test_nothing_clicks_where_real_and_made_up_audio_meet(lost: int) -> None:
    signal, conceal = voice(8000, 2400), Conceal()
    steepest = max(abs(a - b) for a, b in itertools.pairwise(signal))
    handed_up = values(conceal.hear(pack(signal[:800])) + conceal.make(lost) + conceal.hear(pack(signal[1200:1360])))
    assert max(abs(a - b) for a, b in itertools.pairwise(handed_up)) < 1.3 * steepest


def test_any_cut_gives_the_same_samples() -> None:
    whole, cut = Conceal(), Conceal()
    for conceal in (whole, cut):
        conceal.hear(pack(voice(8000, 800)))
    assert cut.make(100) + cut.make(1) + cut.make(399) == whole.make(500)


def test_what_was_not_lost_is_not_touched() -> None:
    conceal, packets = Conceal(), [pack(voice(8000, 160, pitch)) for pitch in (90, 140, 180)]
    assert [conceal.hear(packet) for packet in packets] == packets
    conceal.make(160)
    conceal.hear(packets[0])
    assert conceal.hear(packets[1]) == packets[1]


def test_silence_before_anything_was_heard() -> None:
    assert Conceal().make(320) == bytes(640)


def test_a_full_scale_signal_does_not_wrap_around() -> None:
    conceal = Conceal()
    conceal.hear(pack([32767 if n // 31 % 2 else -32768 for n in range(800)]))
    made = values(conceal.make(80))
    assert sum(abs(sample) == 32767 or sample == -32768 for sample in made) > 40


def test_a_rate_that_the_plane_does_not_have() -> None:
    with pytest.raises(ValueError, match="11025"):
        Conceal(11025)


def glide(rate: int, count: int) -> list[float]:
    """A vowel whose pitch rises from 110 to 160 Hz in half a second."""
    phase, out = 0.0, []
    for n in range(count):
        phase += 2 * math.pi * (110 + 100 * n / rate) / rate
        out.append(3000 * sum(math.sin(k * phase + k) / k for k in range(1, 9)))
    return out


def between(rate: int, signal: list[float], start: int, lost: int, size: int) -> list[int]:
    conceal = Conceal(rate)
    conceal.hear(pack(signal[:start]))
    made = conceal.bridge(lost, pack(signal[start + lost : start + lost + size]))
    assert made is not None
    return values(made)


def loudness(samples: list[float]) -> float:
    return math.sqrt(sum(sample * sample for sample in samples) / len(samples))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("lost_ms", [10, 20, 40])
def test_between_two_packets_of_a_vowel_it_goes_on(rate: int, lost_ms: int) -> None:
    signal, start, lost = voice(rate, rate // 2), rate // 10, rate * lost_ms // 1000
    made = between(rate, signal, start, lost, rate // 50)
    wanted = signal[start : start + lost]
    error = sum((a - b) ** 2 for a, b in zip(made, wanted, strict=True)) / sum(b * b for b in wanted)
    assert 10 * math.log10(1 / error) > 15


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("lost_ms", [20, 40])
def test_sides_of_different_pitch_meet_in_phase_and_do_not_cancel(rate: int, lost_ms: int) -> None:
    signal, start, lost = glide(rate, rate // 2), rate // 5, rate * lost_ms // 1000
    made = between(rate, signal, start, lost, rate // 50)
    third = lost // 3
    assert loudness(made[third : 2 * third]) > 0.7 * loudness(signal[start + third : start + 2 * third])


@pytest.mark.parametrize("lost", [80, 160, 480, 960])
def test_nothing_clicks_at_either_side(lost: int) -> None:
    signal, conceal = glide(8000, 4000), Conceal()
    steepest = max(abs(a - b) for a, b in itertools.pairwise(signal))
    behind = pack(signal[800 + lost : 960 + lost])
    made = conceal.hear(pack(signal[:800])), conceal.bridge(lost, behind), conceal.hear(behind)
    handed_up = values(b"".join(pcm or b"" for pcm in made))
    assert made[2] == behind
    assert max(abs(a - b) for a, b in itertools.pairwise(handed_up)) < 1.3 * steepest


def test_a_loss_too_long_or_with_too_little_behind_it_is_left_to_the_past() -> None:
    ours, other = Conceal(), Conceal()
    for conceal in (ours, other):
        conceal.hear(pack(voice(8000, 800)))
    assert ours.bridge(1921, bytes(320)) is None
    assert ours.bridge(160, bytes(158)) is None
    assert ours.make(160) == other.make(160)
    assert ours.bridge(160, bytes(320)) is None  # something is made up already


@pytest.mark.parametrize("rate", RATES)
def test_no_length_of_loss_or_packet_goes_astray(rate: int) -> None:
    noise = random.Random(rate)
    for lost in (1, 2, 3, 7, rate // 200, rate // 50, 1919, 1920):
        for size in (rate // 100, rate // 100 + 1, rate // 50, rate * 60 // 1000):
            conceal = Conceal(rate)
            conceal.hear(noise.randbytes(2 * noise.choice([0, 10, rate // 20])))
            assert len(conceal.bridge(lost, noise.randbytes(2 * size)) or b"") == 2 * lost
