from __future__ import annotations

import random

import pytest

from gateway.bench.report.samples import (
    Sample,
    effect_word,
    interval,
    percentile,
    rank_interval,
    share_difference,
    share_interval,
    superiority,
)


def test_a_percentile_is_a_value_that_was_measured() -> None:
    ordered = [float(value) for value in range(1, 101)]
    assert [percentile(ordered, percent) for percent in (0, 1, 50, 99, 99.9, 100)] == [1, 1, 50, 99, 100, 100]


def test_an_interval_of_a_percentile_holds_the_truth_as_often_as_it_says() -> None:
    source, hits = random.Random(3), 0
    for _ in range(300):
        found = rank_interval(sorted(source.random() for _ in range(200)), 90)
        hits += found.low <= 0.9 <= found.high
    assert 0.90 < hits / 300 < 0.99


def test_turns_that_resemble_each_other_within_a_call_are_not_taken_for_independent() -> None:
    source = random.Random(4)
    alike = [(call, value) for call in range(40) for value in [source.gauss(800, 100)] * 10]
    alone = Sample((number, value) for number, (_, value) in enumerate(alike))
    together = Sample(alike)
    wide, narrow = (interval(one.resampled([50], 1)[0], 0.95) for one in (together, alone))
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_resampling_agrees_with_the_order_statistics() -> None:
    source = random.Random(5)
    one = Sample((number, source.lognormvariate(6, 0.5)) for number in range(500))
    ranks, drawn = rank_interval(one.ordered, 90), interval(one.resampled([90], 2)[0], 0.95)
    assert drawn.low == pytest.approx(ranks.low, rel=0.04)
    assert drawn.high == pytest.approx(ranks.high, rel=0.04)


def test_one_value_is_its_own_resample() -> None:
    assert Sample([(1, 7.0)]).resampled([50, 99], 1, 3) == [[7.0] * 3] * 2


def test_superiority_counts_pairs_and_halves_ties() -> None:
    assert superiority([1, 2, 3], [4, 5]) == 1
    assert superiority([4, 5], [1, 2, 3]) == 0
    assert superiority([1, 2, 2, 3], [2]) == 0.5
    assert [effect_word(p) for p in (0.5, 0.6, 0.35, 0.72, 1.0)] == ["negligible", "small", "small", "medium", "large"]


def test_the_share_of_failures_has_an_interval_even_if_there_is_none() -> None:
    none = share_interval(0, 100, 0.95)
    assert none.low == 0
    assert none.high == pytest.approx(0.037, abs=0.001)
    difference = share_difference((0, 100), (10, 100), 0.95)
    assert 0 < difference.low < 0.1 < difference.high
