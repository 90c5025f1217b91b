"""Questions to the call records: calls, turns."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gateway.cli.arguments import OK, add_command, add_config, duration, load_config
from gateway.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from gateway.records.archive import Archive, Selection

__all__ = ["add_commands"]


def add_commands(commands: Any) -> None:
    """To the parser's subparsers."""
    _add_calls(commands)
    _add_turns(commands)


def _add_calls(commands: Any) -> None:
    example = "linecard calls --since 1h\nlinecard calls --failed --trunk carrier --json"
    parser = add_command(commands, "calls", _calls, "list recorded calls, the newest first", example)
    _add_selection(parser, "only calls that were refused or cut short")


def _add_turns(commands: Any) -> None:
    example = "linecard turns --slowest --since 1d\nlinecard turns --by tts\nlinecard turns --call a84b4c76e66710"
    parser = add_command(commands, "turns", _turns, "list recorded turns and what each caller waited for", example)
    _add_selection(parser, "only turns without an answer")
    order = parser.add_mutually_exclusive_group()
    order.add_argument("--slowest", action="store_true", help="the longest gaps first, instead of the newest turns")
    order.add_argument("--by", type=_turn_group, metavar="WHAT", help="percentiles by trunk, plug, tts, version, ...")
    parser.add_argument("--call", metavar="CALL-ID", help="only turns of this call")


def _add_selection(parser: argparse.ArgumentParser, failed: str) -> None:
    add_config(parser)
    parser.add_argument("--database", metavar="FILE", help="call records to ask (default: records.database of FILE)")
    parser.add_argument("--since", type=duration, metavar="TIME", help="only the last 30m, 6h or 7d")
    parser.add_argument("--trunk", metavar="NAME", help="only calls of this trunk")
    parser.add_argument("--plug", metavar="NAME", help="only calls of this plug")
    parser.add_argument("--failed", action="store_true", help=failed)
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="at most this many (default: 20)")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object per line, with everything that was recorded"
    )


def _turn_group(text: str) -> str:
    from gateway.records.archive import GROUPS

    if text not in GROUPS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(GROUPS)}")
    return text


def _calls(options: argparse.Namespace) -> int:
    from gateway.records.tables import call_table

    archive, selection = _archive(options)
    rows = archive.calls(selection, options.limit)
    return _shown(rows, lambda: call_table(rows), as_json=options.json)


def _turns(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from gateway.records.tables import group_table, turn_table

    archive, selection = _archive(options)
    if options.by is not None:
        groups = archive.groups(selection, options.by)
        return _shown(
            [asdict(group) for group in groups], lambda: group_table(options.by, groups), as_json=options.json
        )
    rows = archive.turns(selection, options.limit, slowest=options.slowest)
    return _shown(rows, lambda: turn_table(rows), as_json=options.json)


def _archive(options: argparse.Namespace) -> tuple[Archive, Selection]:
    """The database that is meant, and which of its records."""
    import time
    from pathlib import Path

    from gateway.records.archive import Archive, Selection

    path = Path(options.database) if options.database else load_config(options).records.database_file
    if path is None:
        raise ConfigError([f"{options.config}: records.database is off; name a file with --database"])
    since = None if options.since is None else time.time() - options.since / 1e9
    call_id = getattr(options, "call", None)
    return Archive(path), Selection(since, call_id, options.trunk, options.plug, options.failed)


def _shown(rows: Sequence[Mapping[str, Any]], table: Callable[[], Table], *, as_json: bool) -> int:
    """Rows as JSON lines or as a table; an empty answer is no failure."""
    import json

    from rich.console import Console

    if as_json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
    elif rows:
        Console(highlight=False).print(table())
    else:
        print("no records match", file=sys.stderr)
    return OK
