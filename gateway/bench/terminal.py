"""Everything the bench writes to a terminal or a pipe: the conversation as it happens, a waterfall per turn, the table.

Colour, width and encoding are the terminal's business (rich). Into a pipe go the same lines without colour, and never
anything that needs a cursor to be moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.bench.measure.inside import InsideTurn
from gateway.bench.measure.results import Summary
from gateway.bench.waterfall import bars

__all__ = ["Row", "Terminal"]

_STYLES: Final[Mapping[str, str]] = {
    "hangover": "bright_black",
    "stt": "cyan",
    "llm": "magenta",
    "tts": "yellow",
    "first_packet": "green",
}
_INDENT: Final = 17
"""Where spoken text begins: time and speaker stand before it."""
_LABEL: Final = 17
_FIGURE: Final = 11
_WIDEST: Final = 56
"""A bar that fills a wide terminal is no clearer than this."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table at the end. ``stage`` is one of a turn's stages, drawn indented."""

    label: str
    summary: Summary
    stage: bool = False


class Terminal:
    """Where the bench writes. ``start`` is the time that the conversation's clock counts from, in nanoseconds."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self.start = 0
        self._ascii = not (self.console.encoding or "").lower().startswith("utf")

    # --- prose --------------------------------------------------------------------------------------------------------

    def headline(self, text: str) -> None:
        self.console.print()
        self.console.print(Text(text, style="bold"), soft_wrap=True)

    def note(self, text: str, style: str = "bright_black") -> None:
        self.console.print(Text(text, style=style), soft_wrap=True)

    def success(self, text: str) -> None:
        self.console.print(Text(f"{'ok' if self._ascii else '✔'} {text}", style="green"), soft_wrap=True)

    def failure(self, text: str) -> None:
        self.console.print(Text(f"{'FAILED' if self._ascii else '✘'} {text}", style="bold red"), soft_wrap=True)

    @contextmanager
    def busy(self, what: str) -> Iterator[Callable[[str], None]]:
        """A line at the bottom that says what is going on, and can be told something else; nothing in a pipe."""
        if not self.console.is_terminal or self._ascii:
            yield lambda _: None
            return
        with self.console.status(what, spinner_style="bright_black") as status:
            yield lambda text: status.update(Text(text, style="bright_black"))

    # --- the conversation ---------------------------------------------------------------------------------------------

    def speaks(self, who: str, at: int, text: str, remark: str = "") -> None:
        """One line of the conversation; ``at`` on the clock of ``start``."""
        line = Text(f"{(at - self.start) / 1e9:7.2f}  ", style="bright_black")
        line.append(f"{who:<8}", style="bold blue" if who == "caller" else "bold green")
        line.append(text, style="default")
        if remark:
            line.append(f"  {remark}", style="bright_black")
        self.console.print(line, soft_wrap=True)

    def understood(self, text: str) -> None:
        """What the gateway's speech recognition made of the caller's words."""
        self.console.print(Text(f"{'':{_INDENT}}heard: {text}", style="bright_black"), soft_wrap=True)

    def waterfall(self, turn: InsideTurn, outside_ms: float | None) -> None:
        """The stages of a turn, their sum, and what the caller measured at the other end of the wire."""
        if turn.gap_ms is None:
            return
        width = max(10, min(_WIDEST, self.console.width - _INDENT - _LABEL - _FIGURE))
        for bar in bars(turn.stages_ms, width, ascii_only=self._ascii):
            line = Text(" " * _INDENT + f"{bar.label:<{_LABEL}}", style="bright_black")
            line.append(f"{bar.drawing:<{width}}", style=_STYLES[bar.stage])
            line.append(f"{bar.ms:8.1f} ms")
            self.console.print(line, no_wrap=True, overflow="ignore", crop=False)
        total = Text(" " * _INDENT + f"{'= gap on the wire':<{_LABEL + width}}{turn.gap_ms:8.1f} ms", style="bold")
        self.console.print(total, no_wrap=True, overflow="ignore", crop=False)
        if outside_ms is not None:
            outside = Text(" " * _INDENT + f"{'  heard by the caller':<{_LABEL + width}}{outside_ms:8.1f} ms")
            self.console.print(outside, no_wrap=True, overflow="ignore", crop=False)

    def stopped(self, stop_ms: float, confirm_ms: float) -> None:
        """How long the agent went on after it was interrupted."""
        text = f"{'':{_INDENT}}agent silent after {stop_ms:.1f} ms (confirmation window {confirm_ms:.0f} ms)"
        self.console.print(Text(text, "yellow"), soft_wrap=True)

    # --- the end ------------------------------------------------------------------------------------------------------

    def table(self, groups: Mapping[str, Sequence[Row]]) -> None:
        """Percentiles in milliseconds, under one headline per group."""
        table = Table(box=None, pad_edge=False, padding=(0, 0, 0, 2), show_header=True, header_style="bright_black")
        table.add_column("")
        for name in ("n", "p50", "p95", "max"):
            table.add_column(name, justify="right", min_width=7)
        table.add_column("")
        for title, rows in groups.items():
            table.add_row(Text(title, style="bold"))
            for row in rows:
                _add(table, row)
        self.console.print()
        self.console.print(table)


def _add(table: Table, row: Row) -> None:
    style = "bright_black" if row.stage else "default"
    figures = [f"{value:.1f}" for value in (row.summary.p50, row.summary.p95, row.summary.max)]
    label = Text(f"    {row.label}" if row.stage else f"  {row.label}", style=style)
    table.add_row(label, str(row.summary.count), *figures, "ms", style=style)
