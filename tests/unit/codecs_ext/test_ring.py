"""The ring: what goes in comes out in order; full is told, never overwritten; two threads may use it at once."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecs_ext.ring import Pipe

_STEPS = st.lists(st.one_of(st.none(), st.integers(0, 1500)), max_size=200)


@given(_STEPS)
def test_it_behaves_like_a_queue_of_limited_size(steps):
    pipe, queue = Pipe(4096), deque[bytes]()
    for number, size in enumerate(steps):
        if size is None:
            assert pipe.pop() == (queue.popleft() if queue else None)
            continue
        data = bytes([number % 256]) * size
        taken = pipe.push(data)
        if taken:
            queue.append(data)
        waiting = sum(len(item) + 48 for item in queue)
        assert taken or waiting + size + 48 > 4096 - 1548  # at most one filler as long as the longest record is lost
        assert waiting <= 4096 + 48
    while queue:
        assert pipe.pop() == queue.popleft()
    assert pipe.pop() is None


def test_what_is_larger_than_the_ring_is_never_taken():
    pipe = Pipe(4096)
    assert not pipe.push(bytes(4097))
    assert pipe.push(b"still alive")
    assert pipe.pop() == b"still alive"


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns every 10 us."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
def test_two_threads_lose_nothing():
    pipe, count = Pipe(4096), 5_000

    def produce() -> None:
        number = 0
        while number < count:
            if pipe.push(number.to_bytes(4, "big") * (number % 50)):
                number += 1

    thread = Thread(target=produce)
    thread.start()
    number = 0
    while number < count:
        data = pipe.pop()
        if data is not None:
            assert data == number.to_bytes(4, "big") * (number % 50)
            number += 1
    thread.join()
    assert pipe.pop() is None
