"""What runs have left behind: looked at, and compared."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.arguments import OK, USAGE, add_command
from gateway.errors import ConfigError

if TYPE_CHECKING:
    from gateway.bench.report.compare import Gate
    from gateway.bench.runs.run_file import Run

__all__ = ["add_commands", "tell_comparison", "tell_run", "writable"]


def add_commands(parts: Any) -> None:
    """To the parts of ``linecard bench``."""
    _add_report(parts)
    _add_compare(parts)


def _add_report(parts: Any) -> None:
    example = "linecard bench report run.json -o run.html"
    parser = add_command(parts, "report", _report, "show a run file: tables here, or one HTML file", example)
    parser.add_argument("run", metavar="RUN.json")
    parser.add_argument("-o", "--html", metavar="FILE", help="write one HTML file that needs no network")


def _add_compare(parts: Any) -> None:
    example = "linecard bench compare before.json after.json\nlinecard bench compare a.json b.json --allow gap.p99=50ms"
    about = "compare two runs: is the second one worse, and can it be told?"
    parser = add_command(parts, "compare", _compare, about, example)
    parser.description = f"{about[0].upper()}{about[1:]} Exit status 0: no, 1: worse, 2: these two cannot be compared."
    parser.add_argument("before", metavar="A.json")
    parser.add_argument("after", metavar="B.json")
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="CHANGE",
        help="what counts as the same: 20ms,5%% (the default: the larger), gap=30ms, gap.p99=50ms; again for more",
    )
    parser.add_argument(
        "--allow-failures", type=_percent, default=0.01, metavar="N%", help="more failed calls (default: 1%%)"
    )
    parser.add_argument("-o", "--html", metavar="FILE", help="write one HTML file that needs no network")


def _percent(text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no percentage") from None
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0% and 100%")
    return share


# --- commands ---------------------------------------------------------------------------------------------------------


def _report(options: argparse.Namespace) -> int:
    from gateway.bench.runs.run_file import read_run

    path = Path(options.run)
    run = read_run(path)
    page = None if options.html is None else writable(options.html)
    tell_run(run, path, page)
    return OK


def _compare(options: argparse.Namespace) -> int:
    from gateway.bench.runs.run_file import read_run

    page = None if options.html is None else writable(options.html)
    before, after = (read_run(Path(name)) for name in (options.before, options.after))
    return tell_comparison(before, after, _gate(options), page)


def _gate(options: argparse.Namespace) -> Gate:
    from gateway.bench.report.compare import Allowance, Gate, parse_allowance

    allowance, exceptions = Allowance(), {}
    for text in options.allow:
        place, change = parse_allowance(text)
        if place is None:
            allowance = change
        else:
            exceptions[place] = change
    return Gate(allowance=allowance, allowances=exceptions, failures=options.allow_failures)


# --- what is told -----------------------------------------------------------------------------------------------------


def tell_run(run: Run, path: Path, page: Path | None = None) -> None:
    """Tables, and the page if one is wanted. ``path`` is the run file: recordings lie beside it."""
    from rich.console import Console

    from gateway.bench.report.page import render_run, write_page
    from gateway.bench.report.terminal import print_run

    print_run(run, Console(highlight=False))
    if page is not None:
        write_page(render_run(run, path.parent), page)
        print(f"report: {page}")


def tell_comparison(before: Run, after: Run, gate: Gate | None = None, page: Path | None = None) -> int:
    """The table and the verdict, which is the exit status."""
    from rich.console import Console

    from gateway.bench.report.compare import compare
    from gateway.bench.report.comparison import render_comparison
    from gateway.bench.report.page import write_page
    from gateway.bench.report.terminal import print_comparison

    found = compare(before, after, gate)
    print_comparison(found, Console(highlight=False))
    if page is not None:
        write_page(render_comparison(found), page)
        print(f"report: {page}")
    return min(found.exit_code, USAGE)


def writable(name: str) -> Path:
    """Known before the work, not after it. Raises ``ConfigError``."""
    path = Path(name)
    if not path.parent.is_dir():
        raise ConfigError([f"{path}: there is no such directory to write to"])
    return path
