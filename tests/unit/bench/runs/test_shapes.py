"""Load shapes, and the schedule that is made of them before the run."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.bench.runs.run_file import Phase
from gateway.bench.runs.schedule import schedule
from gateway.bench.runs.shapes import fixed, parse_load, parse_rate, phases, rated
from gateway.errors import ConfigError

MIX = {"pizza": 1.0}


@pytest.mark.parametrize(
    ("kind", "text", "levels"),
    [
        ("callers", "7", [7]),
        ("steps", "10,50,100", [10, 50, 100]),
        ("spike", "10:200", [10, 200, 10]),
        ("soak", "5", [5] * 10),
        ("ramp", "1:4", [1, 2, 3, 4]),
        ("ramp", "5:500", [5, 50, 95, 140, 185, 230, 275, 320, 365, 410, 455, 500]),
        ("ramp", "4:2", [4, 3, 2]),
    ],
)
def test_a_shape_is_phases_of_one_load_each_without_a_gap(kind: str, text: str, levels: list[int]) -> None:
    parts = phases(parse_load(kind, text), 120.0, 10.0)
    assert [part.callers for part in parts] == [levels[0], *levels]
    assert [part.warm_up for part in parts] == [True] + [False] * len(levels)
    assert (parts[0].start_s, parts[-1].end_s) == (0.0, pytest.approx(130.0))
    assert all(one.end_s == pytest.approx(other.start_s) for one, other in pairwise(parts))


def test_a_rate_is_one_phase() -> None:
    (part,) = phases(parse_load("rate", "90/m"), 60.0)
    assert (part.rate, part.callers, part.name) == (1.5, None, "1.5 calls/s")


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("callers", "0", "give 1 to 5000"),
        ("callers", "many", "'many' is no number of callers"),
        ("ramp", "5", "write two numbers of callers"),
        ("ramp", "5:5", "write two numbers of callers"),
        ("steps", "1,,2", "'' is no number"),
        ("rate", "5", "write calls and a unit of time"),
        ("rate", "0/s", "give more than 0"),
    ],
)
def test_a_shape_that_is_none_is_told(kind: str, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        parse_load(kind, text)


def test_each_line_calls_in_its_own_rhythm_and_the_lines_begin_spread_out() -> None:
    dues = schedule(phases(fixed(4), 60.0), MIX, 10.0, seed=1)
    by_line = {line: [due.due_s for due in dues if due.line == line] for line in range(4)}
    assert [times[0] for times in by_line.values()] == [0.0, 2.5, 5.0, 7.5]
    assert all(later - one == pytest.approx(10.0) for times in by_line.values() for one, later in pairwise(times))
    assert [due.number for due in dues] == list(range(1, len(dues) + 1))


def test_when_the_load_rises_new_lines_join_and_old_ones_keep_their_rhythm() -> None:
    dues = schedule(phases(parse_load("steps", "2,4"), 80.0), MIX, 10.0, seed=1)
    second = [due for due in dues if due.phase.callers == 4]
    assert {due.line for due in second} == {0, 1, 2, 3}
    assert min(due.due_s for due in second if due.line == 0) == pytest.approx(40.0)
    assert {due.line for due in dues if due.due_s < 40} == {0, 1}


def test_when_the_load_falls_the_last_lines_stop() -> None:
    dues = schedule(phases(parse_load("spike", "1:5"), 90.0), MIX, 5.0, seed=1)
    assert {due.line for due in dues if due.due_s >= 60.0} == {0}


def test_calls_arrive_by_a_rate_whatever_became_of_those_before() -> None:
    dues = schedule(phases(rated(parse_rate("5/s")), 400.0), MIX, 1.0, seed=3)
    assert len(dues) == pytest.approx(2000, rel=0.1)
    gaps = [later.due_s - one.due_s for one, later in pairwise(dues)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert deviation == pytest.approx(mean, rel=0.1), "a Poisson process: as irregular as callers are"
    assert all(due.line is None for due in dues)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    levels=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    every=st.floats(2, 60),
    length=st.floats(1, 300),
)
def test_any_schedule_is_in_order_inside_its_phases_and_the_same_for_the_same_seed(
    seed: int, levels: list[int], every: float, length: float
) -> None:
    parts = phases(parse_load("steps", ",".join(map(str, levels))), length, 2.0)
    dues = schedule(parts, {"a": 1.0, "b": 3.0}, every, seed)
    assert dues == schedule(parts, {"a": 1.0, "b": 3.0}, every, seed)
    assert [due.due_s for due in dues] == sorted(due.due_s for due in dues)
    assert all(_inside(due.due_s, due.phase) and (due.line or 0) < (due.phase.callers or 0) for due in dues)
    for part in parts:
        assert {due.line for due in dues if due.phase == part} == set(range(part.callers or 0)) or every > length / 10


def test_scenarios_are_mixed_by_their_weights() -> None:
    dues = schedule(phases(rated(20.0), 200.0), {"a": 1.0, "b": 3.0}, 1.0, seed=5)
    counted = Counter(due.scenario for due in dues)
    assert counted["b"] / counted["a"] == pytest.approx(3.0, rel=0.15)


def _inside(due_s: float, part: Phase) -> bool:
    return part.start_s - 1e-6 <= due_s <= part.end_s + 1e-6
