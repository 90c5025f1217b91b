"""The reorder window, against a list as oracle."""

from __future__ import annotations

from hypothesis import given
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
