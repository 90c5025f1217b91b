"""Questions to the database of call records: which calls, which turns, how slow, and for whom."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.errors import ResourceError
from gateway.records.database import VERSION

__all__ = ["GROUPS", "Archive", "Group", "Selection"]

GROUPS: Final[Mapping[str, str]] = {
    "trunk": "calls.trunk",
    "plug": "calls.plug",
    "version": "calls.version",
    "language": "turns.language",
    "kind": "turns.kind",
    "stt": "turns.stt",
    "llm": "turns.llm",
    "tts": "turns.tts",
}
"""What turns can be grouped by -> the column. Models are named as their providers report them, version and all."""

_TURNS: Final = "FROM turns LEFT JOIN calls ON calls.id = (SELECT max(id) FROM calls WHERE call_id = turns.call_id)"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records are meant; what is None does not narrow it."""

    since: float | None = None
    """Seconds since 1970."""
    call_id: str | None = None
    trunk: str | None = None
    plug: str | None = None
    failed: bool = False
    """Calls that were refused or cut short by a fault; turns without an answer."""

    def conditions(self, time_column: str, failure: str) -> tuple[str, list[object]]:
        """A WHERE clause and its values."""
        wanted: list[tuple[str, object]] = [
            (f"{time_column} >= ?", self.since),
            ("calls.call_id = ?", self.call_id),
            ("calls.trunk = ?", self.trunk),
            ("calls.plug = ?", self.plug),
        ]
        given = [(clause, value) for clause, value in wanted if value is not None]
        clauses = [clause for clause, _ in given] + ([failure] if self.failed else [])
        return (f"WHERE {' AND '.join(clauses)}" if clauses else ""), [value for _, value in given]


@dataclass(frozen=True, slots=True)
class Group:
    """Percentiles of the response gap, in milliseconds, of the turns that have something in common."""

    name: str
    turns: int
    p50: float
    p95: float
    p99: float
    slowest: float
    ours_p99: float | None
    """Of what the gateway itself added."""


class Archive:
    """A database file that is only read. Raises ``ResourceError`` if there is none, or if it is not one of ours."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if not self._path.is_file():
            raise ResourceError(f"{self._path}: no call records there; see records.database in the configuration")
        connection = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
        try:
            connection.row_factory = sqlite3.Row
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != VERSION:
                raise ResourceError(f"{self._path}: records of version {version}, this Linecard reads {VERSION}")
            yield connection
        except sqlite3.Error as error:
            raise ResourceError(f"{self._path}: {error}") from error
        finally:
            connection.close()

    def calls(self, selection: Selection, limit: int) -> list[dict[str, Any]]:
        """The newest calls first, each with the number of its turns and its slowest gap."""
        where, values = selection.conditions(
            "calls.started", "(calls.ended_by IN ('network', 'refused') OR calls.status >= 300)"
        )
        query = (
            "SELECT calls.*, count(turns.id) AS turns, max(turns.gap_ms) AS slowest_ms"
            " FROM calls LEFT JOIN turns ON turns.call_id = calls.call_id"
            f" {where} GROUP BY calls.id ORDER BY calls.started DESC LIMIT ?"
        )
        return self._rows(query, [*values, limit])

    def turns(self, selection: Selection, limit: int, *, slowest: bool) -> list[dict[str, Any]]:
        """The slowest turns first, or the newest."""
        where, values = selection.conditions("turns.at", "turns.gap_ms IS NULL")
        order = "turns.gap_ms DESC" if slowest else "turns.at DESC, turns.id DESC"
        return self._rows(
            f"SELECT turns.*, calls.trunk, calls.plug {_TURNS} {where} ORDER BY {order} LIMIT ?", [*values, limit]
        )

    def groups(self, selection: Selection, by: str) -> list[Group]:
        """Percentiles by one of ``GROUPS``, the slowest p99 first. Exact: of all gaps, not of a histogram."""
        where, values = selection.conditions("turns.at", "turns.gap_ms IS NULL")
        measured = f"{where} {'AND' if where else 'WHERE'} turns.gap_ms IS NOT NULL"
        query = f"SELECT {GROUPS[by]} AS name, turns.gap_ms AS gap, turns.ours_ms AS ours {_TURNS} {measured}"
        gaps: dict[str, list[float]] = {}
        ours: dict[str, list[float]] = {}
        for row in self._rows(query, values):
            name = "-" if row["name"] is None else str(row["name"])
            gaps.setdefault(name, []).append(row["gap"])
            if row["ours"] is not None:
                ours.setdefault(name, []).append(row["ours"])
        groups = [_group(name, sorted(found), sorted(ours.get(name, ()))) for name, found in gaps.items()]
        return sorted(groups, key=lambda group: -group.p99)

    def _rows(self, query: str, values: Sequence[object]) -> list[dict[str, Any]]:
        with self._open() as connection:
            return [dict(row) for row in connection.execute(query, values)]


def _group(name: str, gaps: Sequence[float], ours: Sequence[float]) -> Group:
    return Group(
        name,
        len(gaps),
        _percentile(gaps, 50),
        _percentile(gaps, 95),
        _percentile(gaps, 99),
        gaps[-1],
        _percentile(ours, 99) if ours else None,
    )


def _percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that ``percent`` of all do not exceed (nearest rank)."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
