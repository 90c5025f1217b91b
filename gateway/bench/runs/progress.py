"""A run as it goes on: a live picture on a terminal, a plain line now and then elsewhere.

One in four refreshes a second at most and all of it in the event loop, so that watching costs the callers nothing.
"""

from __future__ import annotations

import asyncio
import time
from bisect import insort
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gateway.bench.measure.outcome import Outcome
from gateway.bench.measure.results import CallResult
from gateway.bench.runs.run_file import Phase
from gateway.bench.runs.schedule import Due
from gateway.units import to_ms

__all__ = ["Progress", "sparkline"]

_LIVE_S: Final = 0.5
_LINES_S: Final = 10.0
_COLUMNS: Final = 60
_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_LAST: Final = 4
"""Failures that are shown while it runs."""


def sparkline(values: Sequence[float | None]) -> str:
    """One character each, from nothing to the highest; a gap where there is no value."""
    highest = max((value for value in values if value is not None), default=0.0)
    if highest <= 0:
        return " " * len(values)
    steps = len(_BLOCKS) - 1
    return "".join(" " if value is None else _BLOCKS[round(max(0.0, value) / highest * steps)] for value in values)


class Progress:
    """A ``Watcher``. ``run`` beside the run draws it."""

    def __init__(self, console: Console, title: str, length_s: float | None) -> None:
        self._console = console
        self._title = title
        self._length_s = length_s
        self._phase = "beginning"
        self._up = self._placed = 0
        self._outcomes: Counter[str] = Counter()
        self._gaps: list[float] = []
        self._over_time: list[tuple[float, float]] = []
        self._failures: deque[str] = deque(maxlen=_LAST)
        self._began = time.monotonic()
        self._pretty = console.is_terminal and (console.encoding or "").lower().startswith("utf")

    # --- Watcher ------------------------------------------------------------------------------------------------------

    def phase(self, phase: Phase) -> None:
        self._phase = phase.name
        if not self._pretty:
            self._print(f"{phase.name} begins")

    def began(self, due: Due) -> None:
        self._up += 1
        self._placed += 1

    def ended(self, result: CallResult) -> None:
        self._up -= 1
        self._outcomes[result.outcome] += 1
        for turn in result.turns:
            if turn.gap is not None and not turn.talked_over:
                insort(self._gaps, to_ms(turn.gap))
                self._over_time.append((time.monotonic() - self._began, to_ms(turn.gap)))
        if result.outcome not in {Outcome.OK, Outcome.CANCELLED}:
            self._failures.append(f"{result.outcome}: call {result.ticket.number}: {result.failure}")

    def note(self, text: str) -> None:
        self._print(text)

    # --- drawing ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until it is cancelled."""
        if not self._pretty:
            await self._lines()
            return
        with Live(self._picture(), console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                await asyncio.sleep(_LIVE_S)
                live.update(self._picture(), refresh=True)

    async def _lines(self) -> None:
        while True:
            await asyncio.sleep(_LINES_S)
            self._print(f"{self._phase}: {self._counts()}; gap {_percentiles(self._gaps)}")

    def _print(self, text: str) -> None:
        self._console.print(Text(f"{time.monotonic() - self._began:7.1f}  {text}"), soft_wrap=True)

    def _counts(self) -> str:
        failed = sum(count for name, count in self._outcomes.items() if name != Outcome.OK)
        return f"{self._up} calls up, {self._placed} placed, {self._outcomes[Outcome.OK]} ok, {failed} failed"

    def _picture(self) -> Group:
        elapsed = time.monotonic() - self._began
        of = "" if self._length_s is None else f" of about {self._length_s:.0f}"
        table = Table.grid(padding=(0, 2))
        table.add_row("phase", self._phase)
        table.add_row("time", f"{elapsed:.0f}{of} s")
        table.add_row("calls", self._counts())
        table.add_row("gap", _percentiles(self._gaps))
        table.add_row("p95 over time", Text(sparkline(self._columns(elapsed)), style="cyan"))
        failures = [Text(text, style="red") for text in self._failures]
        return Group(Text(self._title, style="bold"), table, *failures)

    def _columns(self, elapsed: float) -> list[float | None]:
        """p95 of the gaps of each stretch of time."""
        width = max(1.0, elapsed / _COLUMNS)
        columns: list[list[float]] = [[] for _ in range(min(_COLUMNS, int(elapsed / width) + 1))]
        for at, gap in self._over_time:
            columns[min(len(columns) - 1, int(at / width))].append(gap)
        return [_at(sorted(values), 0.95) if values else None for values in columns]


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _percentiles(ordered: Sequence[float]) -> str:
    if not ordered:
        return "not measured yet"
    parts: Iterable[str] = (f"p{share * 100:.0f} {_at(ordered, share):.0f} ms" for share in (0.5, 0.95, 0.99))
    return ", ".join(parts) + f" ({len(ordered)} turns)"
