"""What is reported of a stream, against slow references: lists of all packets."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecs_ext.reception import Statistics

GMIN = 16


def bursts_of(came: list[bool], packet_ms: float) -> dict[str, int]:
    """RFC 3611 4.7.2 by its words: a burst begins and ends with a loss and holds no run of Gmin packets received."""
    gone = [at for at, heard in enumerate(came) if not heard]
    groups: list[list[int]] = []
    for at in gone:
        if groups and at - groups[-1][-1] - 1 < GMIN:
            groups[-1].append(at)
        else:
            groups.append([at])
    bursts = [group for group in groups if len(group) > 1]
    span = sum(group[-1] - group[0] + 1 for group in bursts)
    lost = sum(len(group) for group in bursts)
    gap = len(came) - span
    density = lost / span if span else 0
    return {
        "burst_density": min(255, int(256 * density + 0.5)),
        "gap_density": min(255, int(256 * (len(gone) - lost) / gap + 0.5)) if gap else 0,
        "burst_ms": min(65535, int(span * packet_ms / len(bursts) + 0.5)) if bursts else 0,
        "gap_ms": min(65535, int(gap * packet_ms / (len(bursts) + 1) + 0.5)),
    }


@given(st.lists(st.booleans() | st.just(True) | st.just(True), min_size=1, max_size=400))
def test_bursts_and_gaps(came: list[bool]) -> None:
    came = [*came, True]  # what follows a loss tells of it
    statistics = Statistics()
    for at, heard in enumerate(came):
        if heard:
            statistics.handled(came[: at + 1].count(False))
    assert statistics.bursts(20.0) == bursts_of(came, 20.0)


@given(st.lists(st.booleans(), min_size=1, max_size=300))
def test_the_burst_ratio_is_the_mean_hole_over_that_of_random_loss(came: list[bool]) -> None:
    came = [*came, True]
    statistics = Statistics()
    for at, heard in enumerate(came):
        if heard:
            statistics.handled(came[: at + 1].count(False))
    gone = came.count(False)
    holes = sum(1 for at, heard in enumerate(came) if not heard and (at == 0 or came[at - 1]))
    expected = gone / holes * (1 - gone / len(came)) if holes else 1.0
    assert statistics.burst_ratio == pytest.approx(expected)


@given(st.integers(0, 65535), st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=300), st.randoms())
def test_loss_counts_as_rfc_3550_a_3(first: int, plan: list[tuple[int, bool]], chance: random.Random) -> None:
    """Packets lost, doubled, out of order, across the wrap; reports at any time."""
    statistics = Statistics()
    sent, came, before, number = [0], 1, (0, 0), 0
    statistics.packet(first)
    for step, report in plan:
        number += 1 + (step > 50) * (step - 50)
        offset = number - (min(number, 3) if step == 1 else 0)
        sent.append(offset)
        for _ in range(2 if step == 2 else 1):
            statistics.packet(first + offset)
            came += 1
        if not report:
            continue
        expected = max(sent) + 1
        interval, missing = expected - before[0], expected - before[0] - (came - before[1])
        fraction = min(255, (missing << 8) // interval) if interval and missing > 0 else 0
        before = (expected, came)
        assert statistics.report() == {"fraction": fraction, "lost": expected - came, "highest": first + max(sent)}


def test_a_jump_is_a_restart_only_if_the_next_packet_confirms_it() -> None:
    statistics = Statistics()
    for number in (10, 11, 40_000, 12, 13):
        statistics.packet(number)
    assert statistics.report() == {"fraction": 0, "lost": 0, "highest": 13}
    statistics.packet(40_000)
    statistics.packet(40_001)
    assert statistics.report()["highest"] == 40_001


def test_a_loss_count_beyond_24_bits_is_cut() -> None:
    statistics = Statistics()
    statistics.packet(0)
    for number in range(2000, 2000 * 9000, 2000):
        statistics.packet(number)
    assert statistics.report()["lost"] == 0x7FFFFF
