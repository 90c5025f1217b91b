"""Records go into a database, come out as calls, turns and percentiles, and go when they are old."""

from __future__ import annotations

import sqlite3
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import ResourceError
from gateway.records.archive import Archive, Selection
from gateway.records.database import Database
from gateway.records.options import RecordOptions
from gateway.records.writer import Records
from gateway.units import SECOND, Nanos

DAY = Nanos(86_400 * SECOND)
EVERYTHING = Selection()


def call(call_id: str, at: float, *gaps: float | None, trunk: str = "carrier", by: str = "remote") -> list[Any]:
    """The records of a call with a turn for each gap."""
    known = {"call_id": call_id, "trunk": trunk, "plug": "pizza", "caller": "+4930123456", "called": "pizza"}
    turns = [
        {
            "event": "turn", "call_id": call_id, "at": at + n, "turn": n, "kind": "answer", "heard": "two pizzas",
            "said": "Which size?", "understood": True, "interrupted": False, "gap_ms": gap, "ours_ms": 5.0,
            "stages_ms": {"hangover": 400.0, "stt": 20.0}, "models": {"tts": "espeak 1.52"},
        }
        for n, gap in enumerate(gaps)
    ]  # fmt: skip
    end = {"event": "call.ended", **known, "at": at + 60, "by": by, "status": None, "duration_s": 60.0, "talk_s": 58.5}
    return [{"event": "call.started", "at": at, "version": "1.0", **known}, *turns, end]


def written(path: Path, *records: dict[str, Any], **options: Any) -> Archive:
    store = Database(path, **{"keep": DAY, **options})
    store.open()
    store.append(records)
    store.tidy()
    store.close()
    return Archive(path)


def test_a_call_is_one_row_with_its_turns(tmp_path: Path) -> None:
    now = time.time()
    archive = written(tmp_path / "calls.sqlite", *call("a", now, 500.0, 900.0))
    (row,) = archive.calls(EVERYTHING, 10)
    assert (row["call_id"], row["trunk"], row["talk_s"], row["ended_by"]) == ("a", "carrier", 58.5, "remote")
    assert (row["turns"], row["slowest_ms"], row["version"]) == (2, 900.0, "1.0")
    assert row["started"] == pytest.approx(now)


def test_a_call_in_progress_is_there_too(tmp_path: Path) -> None:
    (row,) = written(tmp_path / "calls.sqlite", call("a", time.time())[0]).calls(EVERYTHING, 10)
    assert row["ended"] is None


def test_the_same_call_id_twice_is_two_calls(tmp_path: Path) -> None:
    now = time.time()
    archive = written(tmp_path / "calls.sqlite", *call("a", now - 100), *call("a", now))
    assert [round(row["started"] - now) for row in archive.calls(EVERYTHING, 10)] == [0, -100]


def test_an_end_without_a_beginning_is_kept(tmp_path: Path) -> None:
    now = time.time()
    (row,) = written(tmp_path / "calls.sqlite", call("a", now)[-1]).calls(EVERYTHING, 10)
    assert row["started"] == pytest.approx(now)


def test_the_slowest_turns_come_first(tmp_path: Path) -> None:
    archive = written(tmp_path / "calls.sqlite", *call("a", time.time(), 500.0, None, 900.0, 700.0))
    assert [row["gap_ms"] for row in archive.turns(EVERYTHING, 2, slowest=True)] == [900.0, 700.0]
    assert [row["turn"] for row in archive.turns(EVERYTHING, 2, slowest=False)] == [3, 2]
    (newest, *_) = archive.turns(EVERYTHING, 1, slowest=False)
    assert (newest["hangover_ms"], newest["stt_ms"], newest["llm_ms"]) == (400.0, 20.0, None)


def test_percentiles_by_trunk(tmp_path: Path) -> None:
    now = time.time()
    slow = call("b", now, *(1000.0 + n for n in range(100)), trunk="slow")
    archive = written(tmp_path / "calls.sqlite", *call("a", now, 500.0), *slow)
    first, second = archive.groups(EVERYTHING, "trunk")
    assert (first.name, first.turns, first.p50, first.p95, first.p99) == ("slow", 100, 1049.0, 1094.0, 1098.0)
    assert (second.name, second.slowest, second.ours_p99) == ("carrier", 500.0, 5.0)
    (by_model,) = archive.groups(EVERYTHING, "tts")
    assert (by_model.name, by_model.turns) == ("espeak 1.52", 101)


def test_selections_narrow(tmp_path: Path) -> None:
    now = time.time()
    archive = written(
        tmp_path / "calls.sqlite",
        *call("old", now - 3600, 500.0),
        *call("cut", now, None, 600.0, by="network"),
        *call("other", now, 700.0, trunk="other"),
        {"event": "call.refused", "call_id": "no", "at": now, "status": 503, "rule": "limits.concurrent_calls is met"},
    )

    def calls(**narrowed: Any) -> set[str]:
        return {row["call_id"] for row in archive.calls(Selection(**narrowed), 10)}

    assert calls(since=now - 60) == {"cut", "other", "no"}
    assert calls(failed=True) == {"cut", "no"}
    assert calls(trunk="other") == {"other"}
    assert [row["turn"] for row in archive.turns(Selection(call_id="cut"), 10, slowest=True)] == [1, 0]
    assert [row["call_id"] for row in archive.turns(Selection(failed=True), 10, slowest=False)] == ["cut"]


def test_old_records_go(tmp_path: Path) -> None:
    now = time.time()
    archive = written(tmp_path / "calls.sqlite", *call("old", now - 2 * 86_400, 500.0), *call("new", now, 600.0))
    assert [row["call_id"] for row in archive.calls(EVERYTHING, 10)] == ["new"]
    assert len(archive.turns(EVERYTHING, 10, slowest=False)) == 1


def test_old_speech_goes_and_the_figures_stay(tmp_path: Path) -> None:
    now = time.time()
    path = tmp_path / "calls.sqlite"
    old = call("old", now - 7200, *(500.0 for _ in range(1200)))
    archive = written(path, *old, *call("new", now, 600.0), keep_speech=Nanos(3600 * SECOND))
    turns = {row["call_id"]: row for row in archive.turns(EVERYTHING, 2000, slowest=False)}
    assert (turns["old"]["heard"], turns["old"]["gap_ms"]) == ("(2 words)", 500.0)
    assert turns["new"]["heard"] == "two pizzas"
    assert "two pizzas" not in turns["old"]["record"]
    assert {row["caller"] for row in archive.calls(EVERYTHING, 10)} == {"…56", "+4930123456"}


def test_redacted_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    written(path, *call("a", time.time(), 500.0), redact=True)
    assert b"4930123456" not in path.read_bytes()
    assert b"two pizzas" not in path.read_bytes()


def test_half_a_character_costs_nothing(tmp_path: Path) -> None:
    record = {**call("a", time.time(), 500.0)[1], "heard": "a\udcffb"}
    (row,) = written(tmp_path / "calls.sqlite", record).turns(EVERYTHING, 10, slowest=False)
    assert row["heard"] == "a\\udcffb"


def test_other_events_are_kept_whole(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    written(path, {"event": "barge_in", "call_id": "a", "at": time.time(), "stop_ms": 117.5})
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT call_id, event, json_extract(record, '$.stop_ms') FROM events").fetchall()
    connection.close()
    assert rows == [("a", "barge_in", 117.5)]


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "calls.sqlite"
    written(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_cannot_be_opened_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match=r"records\.database: .*choose a path"):
        Database(tmp_path / "file" / "calls.sqlite", keep=DAY).open()
    (tmp_path / "text").write_text("no database, but long enough to be looked at" * 100)
    with pytest.raises(ResourceError, match="not a database"):
        Database(tmp_path / "text", keep=DAY).open()


def test_a_database_of_another_version_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ResourceError, match="another version"):
        Database(path, keep=DAY).open()
    with pytest.raises(ResourceError, match="version 99"):
        Archive(path).calls(EVERYTHING, 1)


def test_no_database_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="no call records there"):
        Archive(tmp_path / "none.sqlite").calls(EVERYTHING, 1)


def test_a_full_disk_loses_records_and_counts_them(tmp_path: Path) -> None:
    store = Database(tmp_path / "calls.sqlite", keep=DAY)
    records = Records([store])
    records.start()
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages}")  # what SQLite says then is what a full disk says
    for n in range(500):
        records.add({"event": "note", "call_id": "a", "text": "x" * 1000, "n": n})
    records.close(timeout=5)
    assert records.lost > 0


def test_a_reader_waits_for_no_writer(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    archive = written(path, *call("a", time.time(), 500.0))
    writer = sqlite3.connect(path)
    writer.execute("BEGIN IMMEDIATE")
    assert len(archive.calls(EVERYTHING, 10)) == 1
    writer.rollback()
    writer.close()


def test_where_the_database_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/linecard")
    assert RecordOptions().database_file == Path("/var/lib/linecard/calls.sqlite")
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert RecordOptions().database_file == tmp_path / "linecard" / "calls.sqlite"
    assert RecordOptions(database="off").database_file is None
    assert RecordOptions.model_validate({"database": "my.sqlite"}).database_file == Path("my.sqlite")
