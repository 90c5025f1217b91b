"""Call records for a terminal: what ``linecard calls`` and ``linecard turns`` print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from gateway.records.archive import Group

__all__ = ["call_table", "group_table", "turn_table"]

_LONGEST: Final = 40
"""Characters of what was said that a line shows."""
_STAGES: Final = ("hangover", "stt", "llm", "tts", "first_packet")


def call_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The answer of ``Archive.calls``."""
    table = _table("started", "call", "trunk", "plug", "caller", "called", "ended", ">talk s", ">turns", ">slowest ms")
    for row in rows:
        table.add_row(
            _time(row["started"]), *(_text(row[name]) for name in ("call_id", "trunk", "plug", "caller", "called")),
            _outcome(row), _figure(row["talk_s"]), _text(row["turns"]), _figure(row["slowest_ms"]),
        )  # fmt: skip
    return table


def turn_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The answer of ``Archive.turns``: the gap, and the stages that it consists of."""
    heads = [f">{stage.replace('_', ' ')}" for stage in _STAGES]
    table = _table("at", "call", ">turn", "heard", "said", ">gap ms", *heads, ">ours")
    for row in rows:
        table.add_row(
            _time(row["at"]), _text(row["call_id"]), _text(row["turn"]), _speech(row["heard"]), _speech(row["said"]),
            _figure(row["gap_ms"]), *(_figure(row[f"{stage}_ms"]) for stage in _STAGES), _figure(row["ours_ms"]),
        )  # fmt: skip
    return table


def group_table(by: str, groups: Sequence[Group]) -> Table:
    """The answer of ``Archive.groups``."""
    table = _table(by, ">turns", ">p50 ms", ">p95 ms", ">p99 ms", ">slowest ms", ">ours p99 ms")
    for group in groups:
        figures = (group.p50, group.p95, group.p99, group.slowest, group.ours_p99)
        table.add_row(Text(group.name), str(group.turns), *map(_figure, figures))
    return table


def _table(*columns: str) -> Table:
    """``>`` marks a column of figures."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        right = column.startswith(">")
        table.add_column(column.removeprefix(">"), justify="right" if right else "left", overflow="ellipsis")
    return table


def _text(value: object) -> Text:
    """What a caller chose is text, never markup."""
    return Text("-" if value is None else str(value))


def _speech(value: str | None) -> Text:
    text = " ".join((value or "-").split())
    return Text(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")


def _figure(value: float | None) -> Text:
    return Text("-" if value is None else f"{value:.1f}")


def _time(seconds: float) -> Text:
    return Text(datetime.fromtimestamp(seconds).astimezone().strftime("%m-%d %H:%M:%S"))


def _outcome(row: Mapping[str, Any]) -> Text:
    if row["ended_by"] is None:
        return Text("in progress", style="green") if row["ended"] is None else Text("-")
    status = f" {row['status']}" if row["status"] else ""
    return Text(f"{row['ended_by']}{status}", style="red" if row["ended_by"] in {"network", "refused"} else "")
