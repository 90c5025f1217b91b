"""``linecard bench``: arguments and exit statuses; whole runs are in tests/system/test_bench_run.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway import cli

SAMPLE = "tests/data/bench/run.json"
TARGET = "sip:nobody@127.0.0.1:9"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--suite", "smoky"], "one of the shipped suites: chaos, load, smoke, soak, standard"),
        (["--scenario", "none.yaml"], "none.yaml: No such file"),
        (["--callers", "0"], "0 callers; give 1 to 5000"),
        (["--ramp", "5"], "write two numbers of callers, like 5:500"),
        (["--rate", "5"], "write calls and a unit of time, like 5/s"),
        (["--for", "ten"], "'ten' is not a duration"),
        (["--find", "fast"], "'fast' is no objective"),
        (["--impair", "wet-string"], "'wet-string' is no line that ships"),
        (["--faults", "none.yaml"], "none.yaml: cannot be read"),
        (["--calls", "0"], "--calls: 0; give 1 or more"),
        (["--out", "/nowhere/at/all/run.json"], "there is no such directory"),
        (["--suite", "chaos"], "faults are done to an agent that the run has started"),
    ],
)
def test_what_cannot_be_run_is_told_in_one_line_before_anything_begins(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.bench.runs.run._voices", _silent)
    assert cli.main(["bench", "run", TARGET, *arguments]) == 2
    assert told in capsys.readouterr().err


async def _silent(*_: object) -> dict[str, object]:
    return {}


def test_a_scenario_with_an_error_is_told_by_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nsteps:\n  - listen\n  - sya: hello\n")
    assert cli.main(["bench", "run", TARGET, "--scenario", str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"{path}:4: ")


def test_a_run_is_reported_and_compared_with_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "run.html"
    assert cli.main(["bench", "report", SAMPLE, "-o", str(page)]) == 0
    assert "<html" in page.read_text()
    assert cli.main(["bench", "compare", SAMPLE, SAMPLE]) == 0
    assert "nothing is worse" in capsys.readouterr().out


def test_a_slower_run_fails_the_gate_and_a_larger_allowance_lets_it_pass(tmp_path: Path) -> None:
    document = json.loads(Path(SAMPLE).read_text())
    for call in document["calls"]:
        for turn in call["turns"]:
            turn["gap_ms"] = turn["gap_ms"] and turn["gap_ms"] + 900.0
    slower = tmp_path / "slower.json"
    slower.write_text(json.dumps(document))
    assert cli.main(["bench", "compare", SAMPLE, str(slower)]) == 1
    assert cli.main(["bench", "compare", SAMPLE, str(slower), "--allow", "gap=2000ms"]) == 0


def test_a_broken_run_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.json"
    path.write_text("{}")
    assert cli.main(["bench", "compare", SAMPLE, str(path)]) == 2
    assert "not a run file of this version" in capsys.readouterr().err


def test_suites_and_scenarios_are_listed_with_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "list"]) == 0
    out = capsys.readouterr().out
    assert "smoke" in out
    assert "angry-interrupter" in out
