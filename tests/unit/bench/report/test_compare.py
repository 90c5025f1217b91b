from __future__ import annotations

import pytest

from gateway.bench.report.compare import Allowance, Gate, Judgement, compare, parse_allowance
from gateway.errors import ConfigError

from .sample import sample_run


def test_a_run_is_no_worse_than_itself() -> None:
    run = sample_run()
    found = compare(run, run)
    assert found.exit_code == 0
    assert {one.judgement for figure in found.figures for one in figure.differences} == {Judgement.SAME}
    assert found.figures[0].superiority == 0.5
    assert not found.cautions


def test_two_runs_of_the_same_agent_pass() -> None:
    assert compare(sample_run(calls=200, seed=1), sample_run(calls=200, seed=2)).exit_code == 0


def test_a_slower_model_is_a_regression_and_the_reason_has_its_figures() -> None:
    found = compare(sample_run(calls=200), sample_run(calls=200, seed=2, slower=2.0))
    assert found.exit_code == 1
    assert found.reasons[0].startswith("response gap p50: 8")
    gap = found.figures[0]
    assert gap.effect == "large"
    assert gap.differences[0].interval.low > 100


def test_a_faster_model_is_none() -> None:
    found = compare(sample_run(calls=200, slower=2.0), sample_run(calls=200, seed=2))
    assert found.exit_code == 0
    assert found.figures[0].differences[0].judgement is Judgement.BETTER


def test_what_may_be_chance_is_unsure_and_fails_nothing() -> None:
    found = compare(
        sample_run(calls=12, fault=False), sample_run(calls=12, seed=5, fault=False), Gate(allowance=Allowance(1, 0))
    )
    judgements = {one.judgement for figure in found.figures for one in figure.differences}
    assert Judgement.UNSURE in judgements
    assert found.exit_code == 0


def test_a_handful_of_calls_proves_nothing_however_many_turns_they_have() -> None:
    found = compare(sample_run(calls=13), sample_run(calls=13, seed=2, slower=4.0))
    assert max(figure.before.calls for figure in found.figures) < 8
    assert found.figures[0].differences[0].judgement is Judgement.UNSURE
    assert found.exit_code == 0
    assert found.cautions[0].endswith("calls are too few to be certain of any difference")


def test_what_is_allowed_can_be_said_for_each_percentile() -> None:
    slow = Gate(allowances={("gap", None): Allowance(1000, 0)})
    runs = sample_run(calls=200), sample_run(calls=200, seed=2, slower=2.0)
    assert compare(*runs, slow).exit_code == 0
    exact = Gate(allowances={("gap", None): Allowance(1000, 0), ("gap", 50): Allowance(5, 0)})
    assert [reason[:17] for reason in compare(*runs, exact).reasons] == ["response gap p50:"]


def test_more_failed_calls_are_a_regression() -> None:
    good = sample_run(calls=200)
    calls = [call.model_copy(update={"outcome": "no-answer"}) if call.number % 4 == 0 else call for call in good.calls]
    found = compare(good, good.model_copy(update={"calls": calls}))
    assert found.exit_code == 1
    assert found.reasons[-1].startswith("failed calls: ")


def test_a_run_whose_generator_was_the_bottleneck_proves_nothing() -> None:
    run = sample_run()
    busy = run.model_copy(update={"generator": run.generator.model_copy(update={"bottleneck": "late packets"})})
    found = compare(run, busy)
    assert found.exit_code == 2
    assert found.obstacles == ["the second run: the generator was the bottleneck (late packets)"]


def test_runs_without_values_cannot_be_compared() -> None:
    run = sample_run()
    empty = run.model_copy(update={"calls": []})
    assert compare(run, empty).exit_code == 2
    assert compare(empty, empty).exit_code == 2


def test_what_differs_besides_the_agent_is_said() -> None:
    run = sample_run()
    machine = run.machine.model_copy(update={"cores": 64})
    found = compare(run, run.model_copy(update={"machine": machine, "seed": 9}))
    assert found.cautions == ["the machines differ: 2 x AMD EPYC, 64 x AMD EPYC", "the seeds differ: 1, 9"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50ms", (None, Allowance(50, 0))),
        ("10%", (None, Allowance(0, 0.1))),
        ("gap=30ms,5%", (("gap", None), Allowance(30, 0.05))),
        ("gap.p99.9=50ms", (("gap", 99.9), Allowance(50, 0))),
    ],
)
def test_an_allowance_is_written_as_people_would(text: str, expected: object) -> None:
    assert parse_allowance(text) == expected


@pytest.mark.parametrize("text", ["", "gap=", "50", "lag=5ms", "gap.p=5ms", "-5ms"])
def test_an_allowance_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"expected how much|no figure"):
        parse_allowance(text)
