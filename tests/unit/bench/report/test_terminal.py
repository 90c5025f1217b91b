from __future__ import annotations

import io

from rich.console import Console

from gateway.bench.report.compare import compare
from gateway.bench.report.terminal import print_comparison, print_run, sparkline

from .sample import sample_run


def _console() -> tuple[Console, io.StringIO]:
    output = io.StringIO()
    return Console(file=output, width=100, color_system=None), output


def test_a_run_is_told_in_a_screen() -> None:
    console, output = _console()
    print_run(sample_run(), console)
    text = output.getvalue()
    assert "response gap" in text
    assert "LLM first token" in text
    assert "outcomes: ok" in text
    assert len(text.splitlines()) < 40


def test_what_an_agent_chose_is_no_markup_of_the_terminal() -> None:
    console, output = _console()
    run = sample_run(calls=10)
    print_run(run.model_copy(update={"name": "[bold]x[/bold]", "outcomes": {"[red]": 1}}), console)
    assert "[bold]x[/bold]" in output.getvalue()
    assert "[red] 1" in output.getvalue()


def test_a_comparison_ends_with_its_verdict() -> None:
    console, output = _console()
    print_comparison(compare(sample_run(calls=200), sample_run(calls=200, seed=2, slower=2.0)), console)
    lines = output.getvalue().splitlines()
    assert "large effect" in output.getvalue()
    assert lines[-1].startswith("✘ response gap p50")


def test_a_comparison_of_nothing_says_so() -> None:
    console, output = _console()
    print_comparison(compare(sample_run(calls=0), sample_run(calls=0)), console)
    assert "not comparable: no figure has 10 values in both runs" in output.getvalue()


def test_a_sparkline_goes_from_the_smallest_to_the_largest() -> None:
    assert sparkline([1.0, None, 4.5, 8.0]) == "▁ ▅█"
    assert sparkline([3.0, 3.0]) == "▁▁"
    assert sparkline([]) == ""
