"""Bad lines: against an oracle packet by packet, and against what their parameters mean."""

from __future__ import annotations

import itertools
import random
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codecs_ext.line import LineModel

MS = 1_000_000
MASK = (1 << 64) - 1


def draws(seed: int) -> Iterator[float]:
    """SplitMix64, from its paper."""
    state = seed
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield ((z ^ (z >> 31)) >> 11) / (1 << 53)


def oracle(times: list[int], seed: int, trace: list[int], **terms: Any) -> list[tuple[int, int]]:
    """(due, number) of everything that comes out, sorted by due time and else in the order in which it came in."""
    source, bad, last, out = draws(seed), False, 0, []
    place = int(next(source) * len(trace)) if trace else 0
    for number, now in enumerate(times):
        turn, lose, jitter, reorder, twice = (next(source) for _ in range(5))
        due = now + terms["delay_ns"] + int(jitter * terms["jitter_ns"])
        if trace:
            due += trace[(place + number) % len(trace)] * 1000
        last = due = max(due, last)
        bad = turn >= terms["to_good"] if bad else turn < terms["to_bad"]
        if lose < (terms["loss_bad"] if bad else terms["loss_good"]):
            continue
        if reorder < terms["reorder"]:
            due += terms["reorder_ns"]
        out += [(due, number)] * (2 if twice < terms["duplicate"] else 1)
    return sorted(out, key=lambda one: one[0])


def run(times: list[int], model: LineModel) -> list[tuple[int, int]]:
    out = []
    for number, now in enumerate(times):
        model.put(struct.pack("<I", number), now)
        out += model.take(now)
    out += model.take(1 << 62)
    return [(due, struct.unpack("<I", data)[0]) for due, data in out]


SHARE = st.floats(0, 1)


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, MASK),
    to_bad=SHARE, to_good=SHARE, loss_good=SHARE, loss_bad=SHARE, reorder=SHARE, duplicate=SHARE,
    delay_ns=st.integers(0, 100 * MS), jitter_ns=st.integers(0, 100 * MS), reorder_ns=st.integers(0, 100 * MS),
    trace=st.lists(st.integers(0, 100_000), max_size=30),
)  # fmt: skip
def test_it_does_to_every_packet_what_the_oracle_does(seed: int, trace: list[int], **terms: Any) -> None:
    times = [n * 20 * MS for n in range(100)]
    model = LineModel(seed=seed, trace=struct.pack(f"<{len(trace)}i", *trace), capacity=512, **terms)
    assert run(times, model) == oracle(times, seed, trace, **terms)


@pytest.mark.parametrize(("loss", "burst"), [(0.01, 1), (0.05, 1), (0.05, 4), (0.2, 8)])
def test_so_much_is_lost_in_runs_so_long(loss: float, burst: float) -> None:
    to_good = 1 / burst if burst > 1 else 1 - loss
    to_bad = to_good * loss / (1 - loss) if burst > 1 else loss
    kept = {number for _, number in run(list(range(100_000)), LineModel(seed=5, to_bad=to_bad, to_good=to_good))}
    lost = [number not in kept for number in range(100_000)]
    runs = sum(now and not before for before, now in zip([False, *lost], lost, strict=False))
    assert sum(lost) / len(lost) == pytest.approx(loss, rel=0.15)
    assert sum(lost) / runs == pytest.approx(burst if burst > 1 else 1 / (1 - loss), rel=0.1)


def test_jitter_lets_none_overtake_but_reordering_does() -> None:
    times = [n * 20 * MS for n in range(2000)]
    assert [n for _, n in run(times, LineModel(jitter_ns=200 * MS))] == list(range(2000))
    order = [n for _, n in run(times, LineModel(reorder=0.1, reorder_ns=30 * MS))]
    assert sorted(order) == list(range(2000))
    overtaken = sum(later < earlier for earlier, later in itertools.pairwise(order))
    assert overtaken == pytest.approx(200, abs=45)


def test_what_finds_no_room_is_counted_and_no_other_is_harmed() -> None:
    model = LineModel(delay_ns=1000 * MS, capacity=10)
    out = run([n * 20 * MS for n in range(30)], model)
    assert model.counts["crowded"] == 20
    assert [n for _, n in out] == list(range(10))


def test_the_same_seed_does_the_same_and_another_does_not() -> None:
    def lost(seed: int) -> list[int]:
        return [n for _, n in run(list(range(500)), LineModel(seed=seed, to_bad=0.1, to_good=0.9))]

    assert lost(1) == lost(1) != lost(2)


def test_any_length_is_held_or_refused_as_a_whole() -> None:
    source, model = random.Random(1), LineModel(delay_ns=1, capacity=200)
    sizes = [source.choice([1, 172, 492, 544, 545, 1500]) for _ in range(100)]
    for size in sizes:
        model.put(bytes(size), 0)
    assert [len(data) for _, data in model.take(10)] == [size for size in sizes if size <= 544]
