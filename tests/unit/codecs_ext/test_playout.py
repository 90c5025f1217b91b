"""The playout queue, against a list of samples as oracle."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from codecs_ext.playout import Queue


def pcm(first: int, count: int) -> bytes:
    return b"".join((first + i).to_bytes(2, "little") for i in range(count))


@given(st.lists(st.integers(0, 400), max_size=10), st.lists(st.integers(1, 300), max_size=20))
def test_samples_come_out_as_they_went_in(pushes, takes):
    queue, expected, first = Queue(100_000), b"", 0
    for count in pushes:
        assert queue.push(pcm(first, count), 8000)
        expected += pcm(first, count)
        first += count
    for count in takes:
        out, marks = queue.take(count)
        assert out == expected[: 2 * count]
        assert marks == []
        expected = expected[2 * count :]


def test_a_mark_is_reached_with_the_last_sample_before_it():
    queue = Queue(1000)
    queue.push(pcm(0, 100), 8000)
    queue.mark(1)
    queue.push(pcm(100, 100), 8000)
    queue.mark(2)
    queue.mark(3)
    assert queue.take(99)[1] == []
    assert queue.take(1) == (pcm(99, 1), [1])
    assert queue.take(200) == (pcm(100, 100), [2, 3])


def test_what_exceeds_the_limit_is_refused_whole():
    queue = Queue(160)
    assert queue.push(bytes(2 * 320), 16000)
    assert queue.queued == 160
    assert not queue.push(bytes(2 * 10), 8000)
    queue.take(100)
    assert queue.push(bytes(2 * 100), 8000)


@given(st.sampled_from([16000, 24000, 48000]), st.lists(st.integers(1, 2000), min_size=1, max_size=8))
def test_audio_of_another_rate_comes_out_in_its_length_whatever_the_cuts(rate, counts):
    queue = Queue(1_000_000)
    for count in counts:
        queue.push(bytes(2 * count), rate)
    out, total = b"", sum(counts)
    while chunk := queue.take(160)[0]:
        out += chunk
    step = rate // 8000
    assert len(out) // 2 == -(-total // step)
    assert queue.queued == 0


def test_clear_drops_audio_and_marks():
    queue = Queue(1000)
    queue.push(pcm(0, 100), 8000)
    queue.mark(1)
    queue.clear()
    assert queue.queued == 0
    assert queue.take(100) == (b"", [])
