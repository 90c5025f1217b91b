from __future__ import annotations

from array import array
from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.bench.callers.impairments import SHIPPED, Direction, Impairments, read_impairments
from gateway.bench.callers.scenario import load_scenario
from gateway.bench.callers.traces import named, recorded
from gateway.errors import ConfigError
from gateway.units import MS


@pytest.mark.parametrize("name", SHIPPED)
def test_every_line_that_ships_can_be_made(name: str) -> None:
    line = Impairments.model_validate(read_impairments(name))
    for terms in (line.send.terms(1), line.receive.terms(2)):
        assert terms is None or 0 < terms.under_way <= 512
    assert (line == Impairments()) is (name == "none")


def test_a_line_that_does_nothing_is_none() -> None:
    assert Direction().terms(1) is None
    assert Impairments().send.terms(1) is None


def test_loss_and_burst_are_the_probabilities_of_gilberts_model() -> None:
    terms = Direction.model_validate({"loss": "20%", "burst": 5}).terms(1)
    assert terms is not None
    assert terms.to_good == pytest.approx(0.2)
    assert terms.to_bad / (terms.to_bad + terms.to_good) == pytest.approx(0.2)
    alone = Direction.model_validate({"loss": 0.05}).terms(1)
    assert alone is not None
    assert (alone.to_bad, alone.to_good) == (0.05, 0.95)


@pytest.mark.parametrize(
    "block",
    [{"loss": "120%"}, {"loss": "90%", "burst": 2}, {"jitter": "lan"}, {"delay": 20}, {"lose": "1%"}, {"burst": 0}],
)
def test_what_no_line_can_do_is_refused(block: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Direction.model_validate(block)


def test_a_scenario_says_where_its_line_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("name: x\nimpairments: tin-can\nsteps: [listen]\n")
    with pytest.raises(ConfigError, match=r"x.yaml:2: 'tin-can' is no line that ships"):
        load_scenario(str(file))


def test_a_recorded_trace_is_a_number_a_line(tmp_path: Path) -> None:
    file = tmp_path / "delays.txt"
    file.write_text("# a line in the office\n0\n12.5\n\n3 # late\n")
    assert list(array("i", recorded(file))) == [0, 12500, 3000]
    terms = Direction.model_validate({"jitter": {"file": str(file)}}).terms(1)
    assert terms is not None
    assert (terms.trace, terms.jitter) == (recorded(file), 0)


@pytest.mark.parametrize("text", ["", "fast", "-1", "99999"])
def test_what_is_no_trace_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "delays.txt"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"delays.txt: "):
        recorded(file)


def test_a_trace_that_ships_is_the_same_every_time() -> None:
    assert named("wifi") == named("wifi") != named("mobile")
    assert max(array("i", named("spikes"))) * 1000 < 300 * MS
