"""Both directions on one time line, with packets and their times handed in."""

from __future__ import annotations

from array import array

import pytest

from codecs_ext.stereo import AGENT, CALLER, Stereo

MS = 1_000_000
FRAME = 160


def pcm(value: int, count: int = FRAME) -> bytes:
    return array("h", [value] * count).tobytes()


def sides(pairs: bytes) -> tuple[list[int], list[int]]:
    samples = array("h", pairs).tolist()
    return samples[0::2], samples[1::2]


def put(stereo: Stereo, side: int, number: int, value: int, stamp_ms: float, start: int = 1000) -> None:
    stereo.put(side, pcm(value), 8000, 8000, start + number * FRAME, round(stamp_ms * MS))


def test_a_packets_samples_end_when_it_came_and_begin_when_it_left() -> None:
    stereo = Stereo(8000, 0)
    put(stereo, CALLER, 0, 7, 100)
    put(stereo, AGENT, 0, 9, 100)
    left, right = sides(stereo.finish(200 * MS))
    assert left == [0] * 640 + [7] * 160 + [0] * 800
    assert right == [0] * 800 + [9] * 160 + [0] * 640


def test_jitter_moves_nothing() -> None:
    stereo = Stereo(8000, 0)
    for number, delay in enumerate((0, 7, 19, 3, 60, 45, 30, 12)):
        put(stereo, CALLER, number, number + 1, 20 + 20 * number + delay)
    left, _ = sides(stereo.finish(160 * MS))
    assert left == [value for value in range(1, 9) for _ in range(FRAME)]


def test_what_came_late_replaces_the_silence_in_its_place() -> None:
    """Half a second without packets is silent in real time; then all of them come at once, and nothing is shifted."""
    stereo = Stereo(8000, 0)
    for number in range(5):
        put(stereo, CALLER, number, 1, 20 + 20 * number)
    for number in range(5, 30):
        put(stereo, CALLER, number, 0, 220 + 20 * number)
    for number in range(5, 31):
        put(stereo, CALLER, number, 2, 640)
    left, _ = sides(stereo.finish(620 * MS))
    assert left == [1] * 5 * FRAME + [2] * 26 * FRAME


def test_what_did_not_come_is_silence_of_its_length() -> None:
    stereo = Stereo(8000, 0)
    put(stereo, CALLER, 0, 5, 20)
    put(stereo, CALLER, 3, 5, 80)
    left, _ = sides(stereo.finish(80 * MS))
    assert left == [5] * FRAME + [0] * 2 * FRAME + [5] * FRAME


@pytest.mark.parametrize("jump", [3_000_000_000, -40_000, 90_000])
def test_a_new_stream_begins_when_it_came(jump: int) -> None:
    stereo = Stereo(8000, 0)
    put(stereo, CALLER, 0, 5, 20)
    put(stereo, CALLER, 0, 6, 100, start=(1000 + jump) % 2**32)
    left, _ = sides(stereo.finish(100 * MS))
    assert left == [5] * FRAME + [0] * 3 * FRAME + [6] * FRAME


def test_the_timestamp_wraps() -> None:
    stereo = Stereo(8000, 0)
    for number in range(4):
        put(stereo, CALLER, number, number + 1, 20 + 20 * number, start=2**32 - 2 * FRAME)
    left, _ = sides(stereo.finish(80 * MS))
    assert left == [value for value in range(1, 5) for _ in range(FRAME)]


@pytest.mark.parametrize("drift", [200e-6, -200e-6])
def test_clocks_that_drift_stay_together(drift: float) -> None:
    """Ten minutes at 200 ppm are 120 ms; the recording keeps within 60 of the packets."""
    stereo, total = Stereo(8000, 0), 0
    frames = 30_000
    marks = []
    for number in range(frames):
        stamp = 20 + 20 * number * (1 + drift)
        put(stereo, CALLER, number, 1000 if number % 1000 == 999 else 1, stamp)
        marks += [stamp - 20] if number % 1000 == 999 else []
        data = stereo.take(round(stamp * MS))
        left, _ = sides(data)
        while 1000 in left and marks:
            at = (total + left.index(1000)) / 8
            assert abs(at - marks.pop(0)) < 60
            left[: left.index(1000) + FRAME] = [0] * (left.index(1000) + min(FRAME, len(left) - left.index(1000)))
        total += len(data) // 4


def test_what_is_older_than_a_second_is_ready_and_the_rest_is_not() -> None:
    stereo = Stereo(8000, 0)
    for number in range(100):
        put(stereo, CALLER, number, 3, 20 + 20 * number)
    assert len(stereo.take(2000 * MS)) == 4 * 8000
    assert len(stereo.take(2000 * MS)) == 0
    assert len(stereo.finish(2000 * MS)) == 4 * 8000


def test_silence_is_written_while_nothing_comes() -> None:
    stereo = Stereo(8000, 0)
    assert stereo.take(3600 * 1000 * MS) == bytes(4 * 8000 * 3599)


@pytest.mark.parametrize(("cut", "gap"), [(False, 5), (True, 0)])
def test_a_pause(cut: bool, gap: int) -> None:
    stereo = Stereo(8000, 0, cut=cut)
    for number in range(5):
        put(stereo, AGENT, number, 1, 20 * number)
    stereo.pause(100 * MS)
    for number in range(5, 10):
        put(stereo, AGENT, number, 99, 20 * number)
    stereo.resume(200 * MS)
    for number in range(10, 15):
        put(stereo, AGENT, number, 2, 20 * number)
    _, right = sides(stereo.finish(300 * MS))
    assert right == [1] * 5 * FRAME + [0] * gap * FRAME + [2] * 5 * FRAME


def test_another_codec_in_mid_call() -> None:
    stereo = Stereo(8000, 0)
    put(stereo, AGENT, 0, 500, 0)
    for number in range(1, 11):
        stereo.put(AGENT, pcm(500, 320), 16000, 8000, 1000 + number * FRAME, 20 * number * MS)
    _, right = sides(stereo.finish(220 * MS))
    assert right[:FRAME] == [500] * FRAME
    assert right[2 * FRAME :] == pytest.approx([500] * 9 * FRAME, abs=2)


def test_what_is_no_packet() -> None:
    stereo = Stereo(8000, 0)
    for side, data, rate in ((2, pcm(1), 8000), (0, b"", 8000), (0, pcm(1), 11025), (1, bytes(2 * 5761), 8000)):
        with pytest.raises(ValueError, match="no packet"):
            stereo.put(side, data, rate, 8000, 0, 0)
    with pytest.raises(ValueError, match="no rate"):
        Stereo(44100, 0)
