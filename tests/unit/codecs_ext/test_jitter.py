"""The jitter buffer for human ears: what was sent is heard, in order, once, and no later than it has to be."""

from __future__ import annotations

import itertools
import math
import random
import struct
from array import array
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecs_ext.codec import Coder
from codecs_ext.g711 import PCMU
from codecs_ext.g722 import G722
from codecs_ext.jitter import JitterBuffer
from codecs_ext.l16 import L16_8K

MS = 1_000_000
FRAME = 20 * MS


@dataclass
class Line:
    """Packets of 20 ms, whose samples all say which packet they are of (L16), and a listener."""

    buffer: JitterBuffer
    silent: bool = False

    def payload(self, number: int) -> bytes:
        """Quiet enough to be stretched anywhere."""
        return struct.pack(">160h", *[1 + number % 30] * 160)

    def run(self, arrivals: dict[int, int], ticks: int, *, start: int = 0, gap: int = 0) -> list[bytes]:
        """``arrivals`` by packet; what was heard in each frame of 20 ms."""
        waiting, heard = sorted((at, number) for number, at in arrivals.items()), []
        for tick in range(ticks):
            now = start + tick * FRAME
            while waiting and waiting[0][0] <= now:
                at, number = waiting.pop(0)
                self.buffer.put(number & 0xFFFF, (number * 160 + gap) & 0xFFFFFFFF, self.payload(number), at)
            heard.append(self.buffer.take(160, now))
        return heard


def said(heard: list[bytes]) -> list[int]:
    """Numbers of the packets heard, in order, each once; silence and joints are left out."""
    runs = [(value, len(list(run))) for value, run in itertools.groupby(array("h", b"".join(heard)))]
    return [value for value, length in runs if value and length > 20]


def test_on_a_steady_line_everything_is_heard_and_soon() -> None:
    line = Line(JitterBuffer(L16_8K))
    heard = line.run({n: n * FRAME + 3 * MS for n in range(100)}, 101)
    assert said(heard) == [1 + n % 30 for n in range(100)][: len(said(heard))]
    assert len(said(heard)) >= 98
    counts = line.buffer.counts
    assert (counts["concealed"], counts["late"], counts["overflows"]) == (0, 0, 0)
    assert line.buffer.delay(101 * FRAME) <= 20 * MS


@pytest.mark.parametrize("first", [0, 65_500])
def test_the_sequence_and_the_timestamp_wrap(first: int) -> None:
    line = Line(JitterBuffer(L16_8K))
    numbers = range(first, first + 100)
    heard = line.run({n: (n - first) * FRAME for n in numbers}, 100, gap=(1 << 32) - 160 * (first + 50))
    assert said(heard)[:90] == [1 + n % 30 for n in numbers][:90]
    assert line.buffer.counts["concealed"] == 0


def test_jitter_is_learned_and_then_waited_for() -> None:
    source = random.Random(3)
    line = Line(JitterBuffer(L16_8K))
    arrivals = {n: n * FRAME + round(source.uniform(0, 60) * MS) for n in range(1500)}
    line.run({n: at for n, at in arrivals.items() if n < 500}, 500)
    before = line.buffer.counts["concealed"]
    assert 50 * MS <= line.buffer.target <= 62 * MS
    line.run({n: at for n, at in arrivals.items() if n >= 500}, 1000, start=500 * FRAME)
    assert (line.buffer.counts["concealed"] - before) / 160 < 20


def test_when_the_line_calms_down_the_delay_shrinks_and_nothing_is_dropped() -> None:
    source = random.Random(4)
    line = Line(JitterBuffer(L16_8K))
    arrivals = {n: n * FRAME + round(source.uniform(0, 80) * MS) for n in range(300)}
    arrivals |= {n: n * FRAME for n in range(300, 3000)}
    line.run(arrivals, 3000)
    counts = line.buffer.counts
    assert line.buffer.delay(3000 * FRAME) <= 20 * MS
    assert counts["shortened"] > counts["lengthened"]
    assert counts["overflows"] == 0


@pytest.mark.parametrize("skew", [200e-6, -200e-6])
def test_a_clock_that_drifts_for_ten_minutes(skew: float) -> None:
    line, count = Line(JitterBuffer(L16_8K)), 30_000
    line.run({n: round(n * FRAME * (1 + skew)) + 2 * MS for n in range(count + 10)}, count)
    counts = line.buffer.counts
    assert counts["concealed"] == 0
    assert counts["overflows"] == 0
    assert line.buffer.delay(count * FRAME) <= 45 * MS
    moved = counts["shortened"] - counts["lengthened"]
    assert -skew * count * 160 == pytest.approx(moved, abs=400)


def test_what_is_lost_is_made_up_once() -> None:
    line = Line(JitterBuffer(L16_8K))
    line.run({n: n * FRAME for n in range(500) if n % 10 != 5}, 500)
    assert line.buffer.counts["concealed"] / 160 == pytest.approx(50, abs=2)


def test_a_stall_is_heard_whole_and_caught_up_with() -> None:
    line = Line(JitterBuffer(L16_8K))
    arrivals = {n: max(n, 110 if 100 <= n < 110 else 0) * FRAME for n in range(400)}
    heard = line.run(arrivals, 400)
    heard_of = iter(said(heard))
    assert all(1 + n % 30 in heard_of for n in range(95, 130))  # in that order, whatever was made up between them
    assert line.buffer.counts["late"] == 0
    assert line.buffer.delay(400 * FRAME) <= 20 * MS


def test_a_pause_of_the_sender_is_silence_and_no_loss() -> None:
    buffer = JitterBuffer(L16_8K)
    line = Line(buffer)
    line.run({n: n * FRAME for n in range(50)}, 50)
    before = buffer.counts["concealed"]
    payload = line.payload(7)
    loud = []
    for tick in range(50, 200):
        if tick >= 100:
            buffer.put(50 + tick - 100, tick * 160, payload, tick * FRAME)
        loud.append(max(map(abs, struct.unpack("<160h", buffer.take(160, tick * FRAME)))))
    assert loud[-95:] == [8] * 95
    assert set(loud[20:45]) == {0}
    assert buffer.counts["late"] == 0
    assert buffer.delay(200 * FRAME) <= 25 * MS
    assert before == 0


def test_another_source_begins_at_once() -> None:
    line = Line(JitterBuffer(L16_8K))
    line.run({n: n * FRAME for n in range(50)}, 50)
    heard = line.run({n: (n - 39_950) * FRAME for n in range(40_000, 40_050)}, 55, start=50 * FRAME)
    assert said(heard)[-40:-5] == [1 + n % 30 for n in range(40_010, 40_045)] or len(said(heard)) >= 45


def test_late_and_repeated_packets_are_counted() -> None:
    buffer = JitterBuffer(L16_8K)
    payload = Line(buffer).payload(1)
    assert buffer.put(10, 1600, payload, 0)
    assert not buffer.put(10, 1600, payload, 0)
    for tick in range(5):
        buffer.put(11 + tick, 1760 + 160 * tick, payload, tick * FRAME)
        buffer.take(160, tick * FRAME)
    assert not buffer.put(8, 1280, payload, 5 * FRAME)
    assert buffer.counts["late"] == 2


def test_more_than_it_holds_pushes_the_oldest_out() -> None:
    buffer = JitterBuffer(L16_8K)
    for number in range(100):
        buffer.put(number, number * 160, Line(buffer).payload(number), 0)
    assert buffer.counts["overflows"] == 100 - 32
    assert len(buffer.take(160, 0)) == 320


@pytest.mark.parametrize("kernel", [PCMU, G722, L16_8K])
@pytest.mark.parametrize("began", [0, (1 << 32) - 16_000])
def test_a_tone_keeps_its_pitch_through_jitter(kernel: object, began: int) -> None:
    coder, buffer, source = Coder(kernel), JitterBuffer(kernel), random.Random(5)  # type: ignore[arg-type]
    step, heard = kernel.rate // 50, []  # type: ignore[attr-defined]
    arrivals = []
    for n in range(400):
        samples = [round(8000 * math.sin(2 * math.pi * 400 * (n * step + i) / (50 * step))) for i in range(step)]
        arrivals.append((n * FRAME + source.randint(0, 30) * MS, n, coder.encode(struct.pack(f"<{step}h", *samples))))
    arrivals.sort()
    for tick in range(400):
        while arrivals and arrivals[0][0] <= tick * FRAME:
            at, number, payload = arrivals.pop(0)
            buffer.put(number, (began + number * 160) & 0xFFFFFFFF, payload, at)
        heard += struct.unpack(f"<{step}h", buffer.take(step, tick * FRAME))
    steady = heard[100 * step :]
    rises = sum(a < 0 <= b for a, b in itertools.pairwise(steady))
    assert rises == pytest.approx(400 * 6, rel=0.02)
    assert max(abs(b - a) for a, b in itertools.pairwise(steady)) < 3200


@given(st.integers(0, 1 << 32), st.integers(0, 300))
def test_whatever_comes_time_goes_on(seed: int, most: int) -> None:
    """Any packets at any time: every tick has its samples, and no more is made up than was asked for."""
    source, buffer, now, taken = random.Random(seed), JitterBuffer(L16_8K, most=most * MS), 0, 0
    for _ in range(source.randint(1, 60)):
        number = source.randrange(40 if source.random() < 0.9 else 65_536)
        timestamp = number * 160 if source.random() < 0.9 else source.getrandbits(32)
        payload = bytes(320) if source.random() < 0.5 else source.randbytes(source.randrange(400))
        buffer.put(number, timestamp, payload, now + source.randint(-500, 500) * MS)
        if source.random() < 0.6:
            count = source.choice([40, 80, 160, 480])
            assert len(buffer.take(count, now)) == 2 * count
            taken += count
            now += count * 125_000
    counts = buffer.counts
    assert counts["played"] <= taken
    assert counts["concealed"] <= taken + 5760


def test_no_more_than_60_ms_at_a_time() -> None:
    with pytest.raises(ValueError, match="up to 60 ms"):
        JitterBuffer().take(481, 0)
