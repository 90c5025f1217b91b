"""The run file: what is written is read again, and what is broken is told by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.bench.runs.run_file import FORMAT, Run, read_run, write_run
from gateway.errors import ConfigError

SAMPLE = Path("tests/data/bench/run.json")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    run = read_run(SAMPLE)
    write_run(run, tmp_path / "again.json")
    assert read_run(tmp_path / "again.json") == run
    assert [path.name for path in tmp_path.iterdir()] == ["again.json"]


def test_calls_of_the_warm_up_do_not_count() -> None:
    run = read_run(SAMPLE)
    assert any(call.warm_up for call in run.calls)
    assert not any(call.warm_up for call in run.measured())
    assert sum(run.outcomes.values()) == len(run.measured())


def test_a_run_that_cannot_be_written_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    path.write_text("the old one")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_run(read_run(SAMPLE), path)
    assert path.read_text() == "the old one"
    assert [one.name for one in tmp_path.iterdir()] == ["run.json"]


def test_keys_of_a_later_release_are_passed_over(tmp_path: Path) -> None:
    document = json.loads(SAMPLE.read_text())
    document["weather"] = "rain"
    document["calls"][0]["mood"] = "good"
    assert read_run(_written(tmp_path, document)) == read_run(SAMPLE)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": "linecard-bench/2"}, "its format is 'linecard-bench/2', expected 'linecard-bench/1'"),
        ({"seed": "many"}, "seed: Input should be a valid integer"),
        ({"calls": [{"number": 1}]}, "calls.0.outcome: Field required"),
        ({"figures": {"gap": {"count": 1, "p50": float("nan")}}}, "figures.gap.p50: Input should be a finite number"),
    ],
)
def test_a_broken_file_is_told_by_the_place_that_is_broken(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    path = _written(tmp_path, {**json.loads(SAMPLE.read_text()), **change})
    with pytest.raises(ConfigError) as error:
        read_run(path)
    assert any(problem.startswith(f"{path}: ") and told in problem for problem in error.value.problems)


@pytest.mark.parametrize("text", ["", "{", "[]", '"linecard-bench/1"', "\xff\xfe"])
def test_what_is_no_run_file_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError) as error:
        read_run(path)
    assert len(error.value.problems) == 1


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_run(tmp_path / "none.json")


def test_the_format_has_one_name() -> None:
    assert Run.model_fields["format"].default == FORMAT


def _written(directory: Path, document: Any) -> Path:
    path = directory / "run.json"
    path.write_text(json.dumps(document))
    return path
