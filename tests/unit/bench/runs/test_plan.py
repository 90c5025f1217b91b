"""Suites as YAML, and what is wrong with them by its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.bench.runs.plan import load_suite, make_plan, shipped_suites
from gateway.errors import ConfigError
from gateway.units import SECOND


def written(directory: Path, text: str) -> str:
    path = directory / "mine.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", shipped_suites())
def test_every_suite_that_ships_can_be_planned(name: str) -> None:
    plan = make_plan(load_suite(name), seed=1)
    assert plan.suite.name == name
    assert plan.suite.about
    assert len(plan.mix) == len(plan.suite.scenarios)


def test_a_suite_is_read_and_the_command_line_changes_it(tmp_path: Path) -> None:
    path = written(tmp_path, "scenarios: [pizza]\nload: {steps: [2, 4]}\nfor: 2m\nobjective: p99<800ms\n")
    suite = load_suite(path)
    assert (suite.name, suite.load.levels, suite.length) == ("mine", (2, 4), 120 * SECOND)
    changed = load_suite(path, {"load": {"ramp": "5:50"}, "for": "10s"})
    assert (changed.load.kind, changed.load.levels, changed.length) == ("ramp", (5, 50), 10 * SECOND)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("load: {callers: 0}", "mine.yaml:1: load: --callers: 0 callers; give 1 to 5000"),
        ("load: {callers: 1, ramp: 2:3}", "a load has one shape"),
        ("load: {crowd: 5}", "'crowd' is no shape"),
        ("for: 5", "mine.yaml:1: for: 5 is not a duration"),
        ("about: x\nfour: 5s", "mine.yaml:2: four: Extra inputs are not permitted"),
        ("scenarios: {pizza: 0}", "mine.yaml:1: scenarios.pizza: Input should be greater than 0"),
        ("objective: fast", "'fast' is no objective"),
        ("faults:\n  - {at: 1s, hit: models}", "mine.yaml:2: faults.0: a fault has one of kill"),
        ("faults:\n  - {at: 1s, drop: gateway}", "drop is done to what stands behind the gateway"),
        ("a: [", "mine.yaml:1"),
    ],
)
def test_what_is_wrong_is_told_by_its_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_suite(written(tmp_path, text))
    assert any(told in problem for problem in error.value.problems), error.value.problems


def test_a_suite_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"one of the shipped suites: .*smoke"):
        load_suite("smoky")


def test_what_the_command_line_got_wrong_has_no_line() -> None:
    with pytest.raises(ConfigError) as refused:
        load_suite(None, {"load": {"callers": "0"}})
    assert refused.value.problems == ["--callers: 0 callers; give 1 to 5000"]


def test_every_broken_scenario_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("name: one\nsteps:\n  - sing: loudly\n")
    (tmp_path / "two.yaml").write_text("name: two\n\nsteps:\n  - say: hello\n  - say:\n")
    suite = load_suite("smoke", {"scenarios": [str(tmp_path / "one.yaml"), str(tmp_path / "two.yaml")]})
    with pytest.raises(ConfigError) as error:
        make_plan(suite, seed=1)
    assert [problem.split(": ")[0] for problem in error.value.problems] == [
        f"{tmp_path}/one.yaml:3", f"{tmp_path}/two.yaml:5",
    ]  # fmt: skip


def test_a_search_needs_an_objective_and_callers() -> None:
    with pytest.raises(ConfigError, match="a search needs an objective"):
        make_plan(load_suite("smoke", {"find": True}), seed=1)
    with pytest.raises(ConfigError, match="not a rate"):
        make_plan(load_suite("smoke", {"find": True, "objective": "p99<1s", "load": {"rate": "1/s"}}), seed=1)
