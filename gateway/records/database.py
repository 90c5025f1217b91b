"""Records in a SQLite file that can be asked while calls are running: ``linecard calls``, ``linecard turns``.

Three tables: a call has turns, and events (an interruption, a recording, a provider that was replaced). What is asked
for often is a column; the whole record stands beside it as JSON, so that nothing is lost that has no column yet.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gateway.errors import ResourceError
from gateway.records.writer import Record
from gateway.redaction import redacted
from gateway.units import SECOND, Nanos

__all__ = ["VERSION", "Database"]

VERSION: Final = 1
"""Of the tables below, kept in SQLite's ``user_version``."""

_TABLES: Final = """
CREATE TABLE calls (
    id INTEGER PRIMARY KEY,
    call_id TEXT NOT NULL, started REAL NOT NULL, ended REAL,
    trunk TEXT, plug TEXT, caller TEXT, called TEXT, version TEXT,
    ended_by TEXT, status INTEGER, reason TEXT, duration_s REAL, talk_s REAL,
    redacted INTEGER NOT NULL DEFAULT 0, record TEXT NOT NULL
);
CREATE INDEX calls_by_id ON calls (call_id);
CREATE INDEX calls_by_time ON calls (started);
CREATE TABLE turns (
    id INTEGER PRIMARY KEY,
    call_id TEXT NOT NULL, at REAL NOT NULL, turn INTEGER, kind TEXT, heard TEXT, said TEXT,
    understood INTEGER, interrupted INTEGER, language TEXT,
    gap_ms REAL, ours_ms REAL, hangover_ms REAL, stt_ms REAL, llm_ms REAL, tts_ms REAL, first_packet_ms REAL,
    stt TEXT, llm TEXT, tts TEXT, cost REAL,
    redacted INTEGER NOT NULL DEFAULT 0, record TEXT NOT NULL
);
CREATE INDEX turns_by_call ON turns (call_id);
CREATE INDEX turns_by_time ON turns (at);
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    call_id TEXT NOT NULL, at REAL NOT NULL, event TEXT NOT NULL,
    redacted INTEGER NOT NULL DEFAULT 0, record TEXT NOT NULL
);
CREATE INDEX events_by_call ON events (call_id);
CREATE INDEX events_by_time ON events (at);
"""
_AGES: Final = {"calls": "started", "turns": "at", "events": "at"}
"""Table -> the column that tells a row's age."""
_STAGES: Final = ("hangover", "stt", "llm", "tts", "first_packet")
_PIECE: Final = 500
"""Rows that one transaction of the housekeeping changes, so that new records wait for little."""


class Database:
    """A ``Store``. One connection, made by ``open`` and used by the writer's thread."""

    def __init__(self, path: Path, *, keep: Nanos, keep_speech: Nanos | None = None, redact: bool = False) -> None:
        self.name = str(path)
        self._path = path
        self._keep = keep / SECOND
        self._keep_speech = None if keep_speech is None else keep_speech / SECOND
        self._redact = redact
        self._connection: sqlite3.Connection

    def open(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.touch(mode=0o600)  # what people said is for the operator alone
            self._connection = sqlite3.connect(self._path, check_same_thread=False, timeout=5)
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            text = error.strerror if isinstance(error, OSError) else str(error)
            raise ResourceError(
                f"records.database: {self._path}: {text}; choose a path that can be written, or off"
            ) from error

    def _prepare(self) -> None:
        """Write-ahead, so that readers never wait for us nor we for them."""
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            self._connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
        elif version != VERSION:
            raise sqlite3.DatabaseError(f"was made by another version ({version}, this one makes {VERSION})")

    def append(self, batch: Sequence[Record]) -> None:
        with self._connection:  # one transaction
            for record in batch:
                self._insert(redacted(record) if self._redact else record)

    def tidy(self) -> None:
        now = time.time()
        with self._connection:
            for table, column in _AGES.items():
                self._connection.execute(f"DELETE FROM {table} WHERE {column} < ?", (now - self._keep,))
        if self._keep_speech is not None and not self._redact:
            for table, column in _AGES.items():
                while self._shorten(table, column, now - self._keep_speech) == _PIECE:
                    pass

    def close(self) -> None:
        self._connection.close()

    # --- one record ---------------------------------------------------------------------------------------------------

    def _insert(self, record: Record) -> None:
        match record.get("event"):
            case "turn":
                self._row("turns", _turn(record))
            case "call.started":
                self._row("calls", _call(record))
            case "call.ended":
                self._end_call(record)
            case "call.refused":
                self._row("calls", {**_call(record), "ended": record["at"], "ended_by": "refused"})
            case _:
                self._row("events", {**_picked(record, "at"), "event": record.get("event", "?"), **_common(record)})

    def _row(self, table: str, values: Mapping[str, Any]) -> None:
        """The names come from this file, the values from the call."""
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        self._connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", _bound(values))

    def _end_call(self, record: Record) -> None:
        """A Call-ID is its caller's choice and may come twice: the open call of that name is meant."""
        values = {**_call(record), "ended": record["at"]}
        del values["started"]
        found = self._connection.execute(
            f"UPDATE calls SET {', '.join(f'{name} = coalesce(?, {name})' for name in values)}"
            " WHERE id = (SELECT max(id) FROM calls WHERE call_id = ? AND ended IS NULL)",
            (*_bound(values), values["call_id"]),
        )
        if not found.rowcount:
            self._row("calls", {**values, "started": record["at"] - (record.get("duration_s") or 0)})

    def _shorten(self, table: str, column: str, before: float) -> int:
        """Takes out what was said from some old rows; answers how many."""
        rows = self._connection.execute(
            f"SELECT id, record FROM {table} WHERE {column} < ? AND NOT redacted LIMIT ?", (before, _PIECE)
        ).fetchall()
        with self._connection:
            for number, text in rows:
                record = redacted(json.loads(text))
                personal = {name: record.get(name) for name in _PERSONAL[table]}
                changes = {**personal, "record": _json(record), "redacted": 1}
                self._connection.execute(
                    f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in changes)} WHERE id = ?",
                    (*_bound(changes), number),
                )
        return len(rows)


_PERSONAL: Final = {"calls": ("caller", "called"), "turns": ("heard", "said"), "events": ()}


def _call(record: Record) -> dict[str, Any]:
    names = ("trunk", "plug", "caller", "called", "version", "status", "reason", "duration_s", "talk_s")
    return {"started": record["at"], **_picked(record, *names), "ended_by": record.get("by"), **_common(record)}


def _turn(record: Record) -> dict[str, Any]:
    stages, models = record.get("stages_ms") or {}, record.get("models") or {}
    names = (
        "at",
        "turn",
        "kind",
        "heard",
        "said",
        "understood",
        "interrupted",
        "language",
        "gap_ms",
        "ours_ms",
        "cost",
    )
    return {
        **_picked(record, *names),
        **{f"{stage}_ms": stages.get(stage) for stage in _STAGES},
        **{role: models.get(role) for role in ("stt", "llm", "tts")},
        **_common(record),
    }


def _picked(record: Record, *names: str) -> dict[str, Any]:
    return {name: record.get(name) for name in names}


def _common(record: Record) -> dict[str, Any]:
    return {"call_id": str(record.get("call_id", "")), "record": _json(record)}


def _bound(values: Mapping[str, Any]) -> tuple[Any, ...]:
    """Text from the wire may hold half a character, which SQLite refuses."""
    return tuple(
        value.encode(errors="backslashreplace").decode() if isinstance(value, str) and not value.isascii() else value
        for value in values.values()
    )


_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, default=str).encode
"""``json.dumps`` makes an encoder for each record."""


def _json(record: Record) -> str:
    return _ENCODE(record)
