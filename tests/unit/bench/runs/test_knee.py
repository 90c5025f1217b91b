"""The search for the largest load, against agents whose limit is known; objectives as they are written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.bench.runs.figures import figure
from gateway.bench.runs.knee import Search, bend
from gateway.bench.runs.objective import missed, parse_objective
from gateway.bench.runs.run_file import Figure, KneeStep
from gateway.errors import ConfigError


def searched(lowest: int, highest: int, limit: int) -> tuple[int | None, list[int]]:
    search, tried = Search(lowest, highest), []
    while search.next is not None:
        tried.append(search.next)
        search.told(met=search.next <= limit)
    return search.kept, tried


def test_it_doubles_then_halves() -> None:
    kept, tried = searched(5, 500, 130)
    assert tried == [5, 10, 20, 40, 80, 160, 120, 140, 130]
    assert kept == 130


def test_a_limit_below_the_first_step_is_looked_for_downwards() -> None:
    assert searched(100, 500, 6) == (6, [100, 50, 25, 12, 6, 9, 7])


def test_an_agent_that_keeps_nothing_is_asked_with_one_caller_and_left_alone() -> None:
    assert searched(4, 500, 0) == (None, [4, 2, 1])


def test_an_agent_that_keeps_everything_is_asked_no_more_than_allowed() -> None:
    assert searched(5, 50, 1000) == (50, [5, 10, 20, 40, 50])


@settings(deadline=None)
@given(lowest=st.integers(1, 200), highest=st.integers(1, 5000), limit=st.integers(0, 6000))
def test_what_is_found_was_kept_and_lies_within_a_tenth_of_the_limit(lowest: int, highest: int, limit: int) -> None:
    kept, tried = searched(lowest, max(lowest, highest), limit)
    assert len(tried) < 30
    assert len(set(tried)) == len(tried)
    if kept is None:
        assert limit == 0
    else:
        assert kept <= limit
        assert kept >= min(limit, max(lowest, highest)) * 0.89 - 1


def step(callers: int, p99: float | None) -> KneeStep:
    return KneeStep(callers=callers, calls=10, failed=0, p50=p99, p99=p99, met=True)


def test_the_bend_is_where_latency_turns_upwards() -> None:
    curve = [(10, 500), (50, 505), (100, 512), (150, 540), (200, 1400), (250, 2900)]
    assert bend([step(callers, p99) for callers, p99 in curve]) == 150


@pytest.mark.parametrize("curve", [[], [(1, 5.0), (2, 9.0)], [(1, 5.0), (2, 6.0), (3, 7.0)], [(1, 9), (2, 5), (3, 4)]])
def test_a_curve_that_does_not_turn_has_no_bend(curve: list[tuple[int, float]]) -> None:
    assert bend([step(callers, p99) for callers, p99 in curve]) is None


def test_objectives_are_read_as_people_write_them() -> None:
    gap = parse_objective("p99<800ms")
    assert (gap.figure, gap.percentile, gap.limit_ms, gap.failures) == ("gap", 99.0, 800.0, 0)
    set_up = parse_objective("set_up p99.9 < 1.5s", failures=2)
    assert (set_up.figure, set_up.percentile, set_up.limit_ms, set_up.failures) == ("set_up", 99.9, 1500.0, 2)
    assert parse_objective("stop max<300ms").percentile == 100.0


@pytest.mark.parametrize("text", ["", "800ms", "p99>800ms", "p99<800", "mean<800ms", "weather p99<1s", "p<1s"])
def test_what_is_no_objective_is_told(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_objective(text)


def test_an_objective_says_by_how_much_it_was_missed() -> None:
    measured: Figure | None = figure([700.0] * 99 + [900.0] * 2)
    assert measured is not None
    objective = parse_objective("p99<800ms")
    assert missed(objective, {"gap": measured}, 0) == "gap p99 is 900 ms, the objective 800 ms"
    assert missed(parse_objective("p50<800ms"), {"gap": measured}, 0) is None
    assert missed(objective, {"gap": measured}, 1) == "1 calls failed, 0 may"
    assert missed(objective, {}, 0) == "gap p99: nothing was measured"
