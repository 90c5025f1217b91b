"""Traces of whole streams, replayed on a virtual clock: what a network can do to them, and what a model then hears."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pytest

from codecs_ext import rtp
from codecs_ext.g711 import linear_to_ulaw
from codecs_ext.uplink import Receiver

MS = 1_000_000
FRAME = 20 * MS
SPEECH, CONCEALED, UNSENT, COMFORT, LATE = 1, 2, 8, 16, 32
Arrivals = list[tuple[float, int]]
"""When each packet of a stream comes, in ms, and its number."""


def tone(number: int) -> bytes:
    place = np.arange(number * 160, (number + 1) * 160)
    return linear_to_ulaw(np.round(6000 * np.sin(2 * np.pi * 440 * place / 8000)).astype(np.int16).tobytes())


@dataclass
class Heard:
    frames: list[tuple[int, int, int, bytes]] = field(default_factory=list)
    """Media time, handed up at, flags, samples."""
    counts: dict[str, float] = field(default_factory=dict)

    @property
    def pcm(self) -> np.ndarray:
        return np.frombuffer(b"".join(frame[3] for frame in self.frames), np.int16)

    def share(self, flag: int) -> float:
        return sum(bool(frame[2] & flag) for frame in self.frames) / len(self.frames)

    @property
    def delays_ms(self) -> list[float]:
        """From where a frame belongs in the stream to when it was handed up; the first one's is the zero."""
        first = self.frames[0]
        return [(at - first[1]) / MS - (time - first[0]) / 8 for time, at, _, _ in self.frames]


def replay(arrivals: Arrivals, *, step: int = 160) -> Heard:
    """Ticks of 5 ms, as the plane makes them."""
    receiver, heard, now = Receiver(), Heard(), 0

    def take() -> None:
        for name, _, media_time, _, flags, pcm in receiver.take():
            if name == "audio":
                heard.frames.append((media_time, now, flags, pcm))

    for at, number in sorted(arrivals):
        arrival = int(at * MS)
        while now + 5 * MS < arrival:
            now += 5 * MS
            receiver.tick(now)
            take()
        receiver.receive(rtp.build(0, False, number, number * step, 7, tone(number)), arrival)
        take()
    for _ in range(20):
        now += 5 * MS
        receiver.tick(now)
        take()
    heard.counts = receiver.counts
    return heard


def contiguous(frames: Iterable[tuple[int, int, int, bytes]]) -> bool:
    expected = 0
    for media_time, _, _, pcm in frames:
        if media_time != expected:
            return False
        expected += len(pcm) // 2
    return True


def steady(count: int) -> Arrivals:
    return [(20.0 * n, n) for n in range(count)]


def test_a_steady_stream_is_handed_up_as_it_comes():
    heard = replay(steady(1000))
    assert contiguous(heard.frames)
    assert not any(frame[2] & ~SPEECH for frame in heard.frames)
    assert max(heard.delays_ms) <= 5
    assert len(heard.frames) == 1000


def test_jitter_alone_adds_nothing_and_loses_nothing():
    noise = random.Random(1)
    arrivals, last = [], 0.0
    for n in range(1500):
        last = max(last, 20.0 * n + abs(noise.gauss(0, 15)))
        arrivals.append((last, n))
    heard = replay(arrivals)
    assert contiguous(heard.frames)
    assert len(heard.frames) == 1500
    assert heard.counts["concealed"] == heard.counts["late"] == heard.counts["lost"] == 0


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_random_loss_is_concealed_in_its_place_and_its_wait_shrinks(share):
    noise = random.Random(2)
    arrivals = [packet for packet in steady(3000) if packet[1] in (0, 2999) or noise.random() > share]
    heard = replay(arrivals)
    lost = 3000 - len(arrivals)
    assert contiguous(heard.frames)
    assert heard.counts["lost"] == heard.counts["concealed"] == lost
    assert len(heard.frames) == 3000
    late = [at for (_, _, flags, _), at in zip(heard.frames, heard.delays_ms, strict=True) if flags & LATE]
    assert max(late[:2]) >= 35
    assert max(late[-10:]) <= 30  # a packet behind the gap, and the least window


def test_bursts_of_loss_do_not_move_media_time():
    noise, gone, arrivals = random.Random(3), False, []
    for packet in steady(3000):
        gone = packet[1] not in (0, 2999) and noise.random() < (2 / 3 if gone else 0.037)
        if not gone:
            arrivals.append(packet)
    heard = replay(arrivals)
    assert contiguous(heard.frames)
    assert len(heard.frames) == 3000
    assert heard.share(CONCEALED) + heard.share(UNSENT) == pytest.approx(1 - len(arrivals) / 3000, abs=0.002)


def test_reordering_is_put_right_without_concealment():
    noise = random.Random(4)
    arrivals = [(at + (noise.uniform(21, 35) if n and noise.random() < 0.1 else 0), n) for at, n in steady(2000)]
    heard = replay(arrivals)
    assert contiguous(heard.frames)
    assert heard.counts["concealed"] + heard.counts["late"] == 0
    assert heard.pcm.tobytes() == replay(steady(2000)).pcm.tobytes()


def test_a_path_that_changes_by_200_ms_and_back():
    """On the way back up to ten packets are overtaken by more than any window: they are late, and nothing else is."""
    heard = replay([(at + (200 if 300 <= n < 600 else 0), n) for at, n in steady(1000)])
    assert contiguous(heard.frames)
    assert 0 < heard.counts["late"] + heard.counts["lost"] == heard.counts["concealed"] <= 10


@pytest.mark.parametrize("skew_ppm", [-200, 200])
def test_ten_minutes_of_clock_skew_neither_grow_nor_starve(skew_ppm):
    heard = replay([(20.0 * n * (1 + skew_ppm / 1e6), n) for n in range(30_000)])
    assert contiguous(heard.frames)
    assert len(heard.frames) == 30_000
    assert not any(frame[2] & ~SPEECH for frame in heard.frames)
    drift = heard.delays_ms[-1]
    assert drift == pytest.approx(600_000 * skew_ppm / 1e6, abs=6)  # the stream's own clock, and nothing beside it


def test_stalls_as_of_a_bad_wireless_network():
    """Every second nothing for up to 180 ms, then all of it at once: nothing is lost, nothing is invented."""
    noise, arrivals, until = random.Random(5), [], 0.0
    for at, n in steady(2000):
        if n % 50 == 25:
            until = at + noise.uniform(60, 180)
        arrivals.append((max(at, until), n))
    heard = replay(arrivals)
    assert contiguous(heard.frames)
    assert heard.counts["lost"] == heard.counts["late"] == heard.counts["concealed"] == 0
    assert heard.pcm.tobytes() == replay(steady(2000)).pcm.tobytes()
