"""A run, and the difference of two, for a terminal or a pipe: tables, and the gap along the run as a sparkline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.bench.report.compare import Comparison, FigureComparison, Judgement
from gateway.bench.report.course import run_axis
from gateway.bench.report.facts import heard
from gateway.bench.report.samples import percentile
from gateway.bench.report.scale import plain_ms
from gateway.bench.report.tables import Spread, honesty, outcomes, percentile_rows, scenario_rows, stage_rows
from gateway.bench.runs.run_file import Run

__all__ = ["print_comparison", "print_run", "sparkline"]

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_COLUMNS: Final = 60
_STYLES: Final = {
    Judgement.WORSE: "bold red",
    Judgement.BETTER: "green",
    Judgement.UNSURE: "yellow",
    Judgement.SAME: "default",
}


def print_run(run: Run, console: Console) -> None:
    """What one would want to know before opening the page."""
    calls = run.measured()
    console.print()
    console.print(
        Text(f"{run.name}: {run.target.label or run.target.uri}, {len(calls)} calls", style="bold"), soft_wrap=True
    )
    console.print(_percentiles(run))
    _print_course(run, console)
    if stages := stage_rows(run):
        console.print(_spreads("stamped in the agent, ms", stages))
    if len(scenarios := scenario_rows(run)) > 1:
        table = _table("by scenario, gap in ms", "calls", "failed", "p50", "p95", "p99")
        for row in scenarios:
            table.add_row(Text(row.name), str(row.calls), str(row.failed), *map(plain_ms, (row.p50, row.p95, row.p99)))
        console.print(table)
    console.print(
        Text("outcomes: ") + Text(", ").join(Text(f"{o.name} {o.calls}", _good(o.name == "ok")) for o in outcomes(run))
    )
    for fact in honesty(run):
        if not fact.good:
            console.print(Text(f"! {fact.text}", style="yellow"), soft_wrap=True)
    _print_verdict(run.verdict.ok, run.verdict.reasons, console)


def _percentiles(run: Run) -> Table:
    table = _table("ms", "n", "p50", "p90", "p95", "p99", "p99.9", "max")
    for row in percentile_rows(run):
        one = row.figure
        low, high = (None, None) if one.p99_ci is None else one.p99_ci
        sure = "" if low is None else f" ({plain_ms(low)}–{'' if high is None else plain_ms(high)})"
        figures = [plain_ms(value) for value in (one.p50, one.p90, one.p95, one.p99, one.p999, one.max)]
        figures[3] += sure
        table.add_row(Text(row.kind.label), str(one.count), *figures)
    return table


def _print_course(run: Run, console: Console) -> None:
    """The median gap of equal stretches of the run."""
    if (console.encoding or "").lower().startswith("utf"):
        x = run_axis(run)
        stretches: list[list[float]] = [[] for _ in range(_COLUMNS)]
        for one in heard(run):
            if one.turn.gap_ms is not None and not one.turn.talked_over:
                stretches[min(_COLUMNS - 1, int(x.place(one.turn.ended_s) * _COLUMNS))].append(one.turn.gap_ms)
        medians = [percentile(sorted(gaps), 50) if gaps else None for gaps in stretches]
        known = [value for value in medians if value is not None]
        if len(known) > 1:
            between = f"{plain_ms(min(known))} to {plain_ms(max(known))} ms"
            text = f"gap along the run  {sparkline(medians)}  {between} (medians)"
            console.print(Text(text, style="bright_black"), soft_wrap=True)


def sparkline(values: Sequence[float | None]) -> str:
    """A column for each value, a space for none, from the smallest to the largest."""
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    room = (high - low) or 1.0
    return "".join(" " if v is None else _BLOCKS[round((v - low) / room * (len(_BLOCKS) - 1))] for v in values)


def print_comparison(found: Comparison, console: Console) -> None:
    """Each percentile with its interval, the effect in words, the verdict."""
    console.print()
    console.print(Text(f"{found.before.name} → {found.after.name}", style="bold"), soft_wrap=True)
    for figure in found.figures:
        effect = f"P(slower) {figure.superiority:.2f}, {figure.effect} effect"
        console.print(Text(figure.kind.label, style="bold") + Text(f"  {effect}", style="bright_black"), soft_wrap=True)
        console.print(_differences(figure))
    if found.failures is not None:
        (was, of), (now, of_now), judgement = found.failures.before, found.failures.after, found.failures.judgement
        line = Text(f"failed calls: {was} of {of} → {now} of {of_now}: ") + Text(judgement, style=_STYLES[judgement])
        console.print(line, soft_wrap=True)
    for caution in found.cautions:
        console.print(Text(f"! {caution}", style="yellow"), soft_wrap=True)
    for obstacle in found.obstacles:
        console.print(Text(f"not comparable: {obstacle}", style="bold red"), soft_wrap=True)
    if not found.obstacles:
        _print_verdict(not found.reasons, found.reasons or ["nothing is worse by more than allowed"], console)


def _differences(figure: FigureComparison) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 0, 0, 2), header_style="bright_black")
    for name, width in (("  ms", 7), ("first", 8), ("second", 8), ("change", 8), ("interval", 20), ("allowed", 7)):
        table.add_column(name, justify="right" if width > 7 else "left", min_width=width, no_wrap=True)
    table.add_column("", no_wrap=True)
    for one in figure.differences:
        table.add_row(
            f"  p{one.percent:g}", plain_ms(one.before), plain_ms(one.after), f"{one.change:+.1f}",
            f"{one.interval.low:+.1f} to {one.interval.high:+.1f}", plain_ms(one.allowed),
            Text(one.judgement, style=_STYLES[one.judgement]),
        )  # fmt: skip
    return table


def _print_verdict(good: bool, reasons: Sequence[str], console: Console) -> None:
    unicode = (console.encoding or "").lower().startswith("utf")
    mark = ("✔" if good else "✘") if unicode else ("ok" if good else "FAILED")
    console.print(
        Text(f"{mark} {'; '.join(reasons) or 'passed'}", style="green" if good else "bold red"), soft_wrap=True
    )


def _good(good: bool) -> str:
    return "green" if good else "red"


def _spreads(title: str, rows: Sequence[Spread]) -> Table:
    table = _table(title, "p50", "p95", "p99")
    for row in rows:
        table.add_row(Text(row.label), *map(plain_ms, (row.p50, row.p95, row.p99)))
    return table


def _table(first: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 0, 0, 2), header_style="bright_black")
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    return table
