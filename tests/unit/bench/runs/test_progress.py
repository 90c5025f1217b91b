"""What is shown while a run goes on."""

from __future__ import annotations

import asyncio
import io

from rich.console import Console

from gateway.bench.measure.onset import Edge
from gateway.bench.measure.results import CallResult, Saying, Span, Ticket, TurnResult
from gateway.bench.runs.progress import Progress, sparkline
from gateway.bench.runs.run_file import Phase
from gateway.bench.runs.schedule import Due
from gateway.units import MS, Nanos, Samples

PHASE = Phase(name="2 callers", start_s=0, end_s=10, callers=2)


def ended(number: int, gap_ms: int, outcome: str = "ok") -> CallResult:
    onset = Nanos(gap_ms * MS)
    turn = TurnResult(1, Saying("hello", Nanos(-500 * MS), Nanos(0)), Span(Edge(True, onset, onset, Samples(0)), None))
    return CallResult(
        Ticket(number), "pizza", turns=[turn], outcome=outcome, failure=None if outcome == "ok" else "why"
    )


def shown(*, terminal: bool) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100, _environ={"TERM": "xterm"})
    progress = Progress(console, "smoke: sip:agent@192.0.2.7", 10.0)

    async def main() -> None:
        task = asyncio.create_task(progress.run())
        progress.phase(PHASE)
        for number in (1, 2):
            progress.began(Due(number, 0.0, PHASE, "pizza", number))
        progress.ended(ended(1, 480))
        progress.ended(ended(2, 900, "busy"))
        progress.note("stall models")
        await asyncio.sleep(0.8 if terminal else 0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    return out.getvalue()


def test_a_pipe_gets_plain_lines() -> None:
    text = shown(terminal=False)
    assert "2 callers begins" in text
    assert "stall models" in text
    assert "\x1b" not in text


def test_a_terminal_gets_a_picture_that_goes_on() -> None:
    text = shown(terminal=True)
    assert "0 calls up, 2 placed, 1 ok, 1 failed" in text
    assert "p50" in text
    assert "busy: call 2: why" in text
    assert "\x1b[" in text


def test_a_sparkline_has_a_character_for_each_value() -> None:
    assert sparkline([0.0, None, 50.0, 100.0]) == "▁ ▅█"
    assert sparkline([None, None]) == "  "
    assert sparkline([]) == ""
