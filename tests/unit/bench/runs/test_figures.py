"""Percentiles against sorted samples, and the interval of p99 against its own promise."""

from __future__ import annotations

import random

import pytest

from gateway.bench.runs.figures import PERCENTILES, figure, figure_of_steps, p99_interval, percentile
from gateway.errors import ConfigError


def test_percentiles_are_those_of_the_sorted_values_to_three_digits() -> None:
    values = [random.Random(1).lognormvariate(6, 0.5) for _ in range(5000)]
    found = figure(values)
    assert found is not None
    assert found.count == 5000
    for name, share in PERCENTILES.items():
        rank = min(len(values) - 1, round(share / 100 * len(values)) - 1)
        assert getattr(found, name) == pytest.approx(sorted(values)[rank], rel=0.002)


def test_any_percentile_can_be_read_from_the_histogram_again() -> None:
    found = figure(range(1, 1001))
    assert found is not None
    assert percentile(found, 25) == pytest.approx(250, rel=0.002)
    with pytest.raises(ConfigError, match="cannot be read"):
        percentile(found.model_copy(update={"histogram": "HISTnonsense"}), 50)


def test_nothing_measured_is_no_figure() -> None:
    assert figure([]) is None
    assert figure_of_steps({0.01: 0}) is None


def test_counts_that_were_made_elsewhere_become_a_figure() -> None:
    found = figure_of_steps({0.01: 990, 5.0: 10})
    assert found is not None
    assert (found.count, found.p50, found.max) == (1000, pytest.approx(0.01), pytest.approx(5.0, rel=0.002))


def test_the_interval_of_p99_holds_the_true_value_as_often_as_it_says() -> None:
    """Of an exponential distribution, whose true p99 is known: ln(100) times its mean."""
    chance = random.Random(7)
    held = 0
    for _ in range(400):
        lower, upper = p99_interval(sorted(chance.expovariate(1.0) for _ in range(600))) or (9.0, None)
        held += lower <= 4.605 and (upper is None or upper >= 4.605)
    assert held / 400 >= 0.93


@pytest.mark.parametrize(("count", "open_above"), [(2, True), (100, True), (367, True), (368, False), (5000, False)])
def test_a_small_sample_has_no_upper_end(count: int, open_above: bool) -> None:
    interval = p99_interval([float(n) for n in range(count)])
    assert interval is not None
    assert (interval[1] is None) == open_above
    assert interval[0] <= 0.99 * count


def test_one_value_has_no_interval() -> None:
    assert p99_interval([1.0]) is None
