"""The agent's own view, from its log or from its call records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.bench.runs.insight import InsideFile
from gateway.errors import ConfigError
from gateway.records.database import Database
from gateway.units import SECOND, Nanos

TURN = {
    "event": "turn", "call_id": "a@b", "turn": 1, "gap_ms": 510.0, "stages_ms": {"hangover": 500.0, "llm": 10.0},
    "ours_ms": 4.0, "stamps": {"speech_ended": 1_000_000_000},
}  # fmt: skip


def test_turns_are_read_from_the_part_of_the_log_that_was_written_during_the_run(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    log.write_text(json.dumps({**TURN, "gap_ms": 1.0}) + "\n")
    inside = InsideFile(log)
    with log.open("a") as file:
        file.write("no json\n" + json.dumps({"event": "call.ended", "call_id": "a@b"}) + "\n" + json.dumps(TURN) + "\n")
    (turn,) = inside.turns("a@b")
    assert (turn.gap_ms, turn.stages_ms, turn.ours_ms) == (510.0, {"hangover": 500.0, "llm": 10.0}, 4.0)
    assert inside.turns("somebody@else") == ()


def test_turns_are_read_from_call_records(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    database = Database(path, keep=Nanos(86400 * SECOND))
    database.open()
    inside = InsideFile(path)
    database.append([{**TURN, "at": 4e9}, {**TURN, "at": 1.0, "turn": 9}])
    database.close()
    (turn,) = inside.turns("a@b")
    assert (turn.number, turn.stamps) == (1, {"speech_ended": 1_000_000_000})


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give a gateway's log in JSON or its call records"):
        InsideFile(tmp_path / "none.log")
