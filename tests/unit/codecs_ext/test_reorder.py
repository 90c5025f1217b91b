"""The reorder window, against a list as oracle."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from codecs_ext.reorder import Window


def feed(window: Window, sequence: list[int]) -> list[int]:
    return [handled for number in sequence for handled in window.put(number & 0xFFFF)]


def test_packets_in_order_are_handled_at_once_over_the_wrap():
    window = Window()
    assert [window.put(number & 0xFFFF) for number in range(65530, 65542)] == [[n] for n in range(65530, 65542)]
    assert window.counts == (0, 0, 0)


def test_a_packet_that_overtook_waits_for_the_missing_one():
    window = Window()
    assert feed(window, [1, 3, 4]) == [1]
    assert window.held == 2
    assert window.put(2) == [2, 3, 4]
    assert window.counts == (0, 0, 0)


def test_a_gap_that_is_given_up_counts_its_packets_lost_and_then_late():
    window = Window()
    feed(window, [1, 4])
    assert window.give_up() == [4]
    assert window.counts == (2, 0, 0)
    assert window.put(3) == []
    assert window.counts == (1, 1, 0)
    assert window.put(5) == [5]


def test_duplicates_are_counted_wherever_they_fall():
    window = Window()
    assert feed(window, [1, 2, 2, 4, 4, 1]) == [1, 2]
    assert window.counts == (0, 0, 3)


def test_a_packet_beyond_the_window_gives_up_what_is_before_it():
    window = Window()
    assert feed(window, [1, 2, 100]) == [1, 2, 100]
    assert window.counts == (97, 0, 0)


def test_one_packet_far_away_is_dropped_and_a_second_in_sequence_moves_the_stream():
    window = Window()
    feed(window, [1, 2])
    assert window.put(20_000) == []
    assert window.put(3) == [3]
    assert window.put(30_000) == []
    assert window.put(30_001) == [30_001]
    assert window.put(30_002) == [30_002]


def test_a_sender_that_starts_again_lower_is_followed():
    window = Window()
    feed(window, [40_000, 40_001])
    assert feed(window, [10, 11, 12]) == [11, 12]


@st.composite
def shuffled(draw: st.DrawFn) -> list[int]:
    """A stream in which no packet is overtaken by more than six others."""
    first, count = draw(st.integers(0, 65535)), draw(st.integers(1, 80))
    delays = draw(st.lists(st.integers(0, 6), min_size=count, max_size=count))
    delays[0] = 0
    order = sorted(range(count), key=lambda i: (i + delays[i], i))
    return [first + i for i in order]


@given(shuffled())
def test_any_shuffle_inside_the_window_comes_out_in_order(stream):
    window = Window()
    assert feed(window, stream) == sorted(stream)
    assert window.counts == (0, 0, 0)
    assert window.held == 0


@given(shuffled(), st.sets(st.integers(1, 79)), st.data())
def test_what_comes_out_of_a_bad_network_is_increasing_and_counts_add_up(stream, losses, data):
    first = min(stream)
    sent = [number for number in stream if number - first not in losses]
    doubled = [number for number in sent for _ in range(data.draw(st.integers(1, 2)))]
    window = Window()
    handled = feed(window, doubled)
    while window.held:
        handled += window.give_up()
    lost, late, duplicate = window.counts
    assert handled == sorted(set(handled))
    assert len(handled) + late + duplicate == len(doubled)
    assert lost == handled[-1] - first + 1 - len(handled) - late


class ListBuffer:
    """The same buffer as anybody would write it first: a list of what waits, sorted."""

    def __init__(self) -> None:
        self.waiting: list[int] = []
        self.expected: int | None = None
        self.came: set[int] = set()
        self.opened = self.deadline = 0
        self.window = 40_000_000

    def put(self, number: int, now: int) -> list[int]:
        self.expected = number if self.expected is None else self.expected
        if number < self.expected:
            if number not in self.came:
                self._late(now)
            self.came.add(number)
            return []
        if number in self.waiting:
            return []
        self.came.add(number)
        if number == self.expected and self.waiting:
            self._late(now)
        gap = not self.waiting and number > self.expected
        out: list[int] = []
        while number - self.expected >= 8:
            out += self.give_up(now) if self.waiting else self._skip(number)
            gap = not self.waiting and number > self.expected
        self.waiting.append(number)
        if gap:
            self._open(now)
        return out + ([] if number > self.expected else self._ready(now))

    def give_up(self, now: int) -> list[int]:
        self.expected = min(self.waiting)
        self.window -= (self.window - 10_000_000) >> 3
        return self._ready(now)

    def _skip(self, number: int) -> list[int]:
        self.expected = number
        return []

    def _open(self, now: int) -> None:
        self.opened, self.deadline = now, now + self.window

    def _late(self, now: int) -> None:
        late = now - self.opened
        if late <= 40_000_000:
            self.window = max(self.window, min(40_000_000, late + late // 4 + 2_000_000))

    def _ready(self, now: int) -> list[int]:
        out = []
        self.waiting.sort()
        assert self.expected is not None
        while self.waiting and self.waiting[0] == self.expected:
            out.append(self.waiting.pop(0))
            self.expected += 1
        if self.waiting:
            self._open(now)
        return out


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(["ok", "ok", "ok", "ok", "lost", "late", "twice", "pause"]),
       st.integers(0, 90)), min_size=1, max_size=80))  # fmt: skip
def test_it_does_what_a_list_does(plan: list[tuple[str, int]]) -> None:
    """Order, deadlines and the window itself, on a line that loses, delays and doubles as it likes."""
    arrivals, clock = [], 0
    for number, (fate, delay) in enumerate(plan):
        clock += 20 + (400 if fate == "pause" else 0)
        if fate != "lost":
            arrivals.append((clock + (delay if fate == "late" else 0), number))
        if fate == "twice":
            arrivals.append((clock + delay, number))
    window, oracle = Window(), ListBuffer()
    first = min(arrivals, default=(0, 0))[1]
    for at, number in sorted(arrivals):
        now = at * 1_000_000
        while oracle.waiting and oracle.deadline <= now:
            due = oracle.deadline
            assert window.deadline == due
            assert window.give_up(due) == oracle.give_up(due)
        if number < first - 60 or (oracle.expected or 0) - number > 60:
            continue  # beyond what the window remembers
        assert window.put(number, now) == oracle.put(number, now)
        assert window.window_ns == oracle.window
        assert window.held == len(oracle.waiting)
