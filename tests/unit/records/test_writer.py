"""Records are lines of JSON; what cannot be written is counted and never waited for."""

from __future__ import annotations

import json
import os
from pathlib import Path
from time import monotonic, sleep

import pytest

from gateway.errors import ResourceError
from gateway.records.jsonl import JsonLines
from gateway.records.writer import Records


def test_records_are_appended_in_order(tmp_path: Path) -> None:
    path = tmp_path / "new" / "records.jsonl"
    for part in range(2):
        records = Records([JsonLines(path)])
        records.start()
        for n in range(100):
            records.add({"event": "turn", "n": part * 100 + n, "heard": "größe"})
        records.close()
        assert records.lost == 0
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["n"] for line in lines] == list(range(200))
    assert lines[0]["heard"] == "größe"


def test_without_a_path_nothing_is_kept() -> None:
    records = Records()
    records.start()
    records.add({"event": "turn"})
    records.close()


def test_a_path_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match=r"records\.file"):
        Records([JsonLines(tmp_path / "file" / "records.jsonl")]).start()


def test_a_full_disk_loses_records_and_counts_them() -> None:
    records = Records([JsonLines(Path("/dev/full"))])
    records.start()
    records.add({"event": "turn"})
    records.close()
    assert records.lost == 1


def test_a_disk_that_stands_still_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    keeper = os.open(path, os.O_RDWR)  # opened and never read: the writer blocks once the pipe is full
    records = Records([JsonLines(path)], limit=5)
    records.start()
    for _ in range(20):
        records.add({"event": "turn", "text": "x" * 60_000})
    assert records.lost >= 5
    os.close(keeper)  # the writer gets a broken pipe, and comes to the end
    records.close()


def test_what_is_no_text_is_escaped(tmp_path: Path) -> None:
    records = Records([JsonLines(tmp_path / "records.jsonl")])
    records.start()
    records.add({"call_id": "a\udcffb", "at": 1})
    records.close()
    assert (tmp_path / "records.jsonl").read_text() == '{"at": 1, "call_id": "a\\udcffb"}\n'


def test_the_writer_outlives_a_line_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "records.jsonl"
    records = Records([JsonLines(path)])
    records.start()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", lambda *_, **__: 1 / 0)
        records.add({"n": 1})
        deadline = monotonic() + 5
        while not records.lost and monotonic() < deadline:
            sleep(0.001)
    records.add({"n": 2, "at": 1})
    records.close()
    assert (records.lost, path.read_text()) == (1, '{"at": 1, "n": 2}\n')
