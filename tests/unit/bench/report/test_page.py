from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from gateway.bench.report import charts, course
from gateway.bench.report.compare import compare
from gateway.bench.report.comparison import render_comparison
from gateway.bench.report.page import render_run, write_page
from gateway.bench.runs.run_file import Run

from .sample import sample_run

HOSTILE = """</script><script>document.title="owned"</script><img src=x onerror=alert(1)>'"&\ud800"""


class _Elements(HTMLParser):
    """What of a page a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def _elements(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Elements()
    parser.feed(page)
    return parser.found


def hostile_run(run: Run) -> Run:
    """The same, with markup in every text that an agent, a carrier or a file can choose."""
    calls = [
        call.model_copy(
            update={
                "call_id": HOSTILE, "scenario": HOSTILE, "failure": HOSTILE, "outcome": HOSTILE,
                "turns": [turn.model_copy(update={"said": HOSTILE}) for turn in call.turns],
            }
        )
        for call in run.calls
    ]  # fmt: skip
    texts = {"name": HOSTILE, "started": HOSTILE, "command": [HOSTILE], "version": HOSTILE, "outcomes": {HOSTILE: 3}}
    faults = [fault.model_copy(update={"what": HOSTILE, "target": HOSTILE}) for fault in run.faults]
    phases = [phase.model_copy(update={"name": HOSTILE}) for phase in run.phases]
    target = run.target.model_copy(update={"uri": HOSTILE, "label": HOSTILE})
    verdict = run.verdict.model_copy(update={"ok": False, "reasons": [HOSTILE]})
    parts = {"calls": calls, "faults": faults, "phases": phases, "target": target, "verdict": verdict}
    return run.model_copy(update={**texts, **parts})


def test_a_page_says_what_callers_waited(tmp_path: Path) -> None:
    run = sample_run()
    page = render_run(run, tmp_path)
    assert "<title>pizza orders at noon · latency of pizza line, release 7</title>" in page
    assert f"<dd>{run.figures['gap'].p50:.0f}<small> ms</small></dd>" in page
    assert "150 callers" in page
    assert "stall" in page


def test_a_page_fetches_nothing(tmp_path: Path) -> None:
    page = render_run(sample_run(calls=20, recordings=tmp_path), tmp_path)
    elements = _elements(page)
    links = [attrs[name] or "" for _, attrs in elements for name in ("src", "href", "action") if name in attrs]
    assert links
    assert all(link.startswith("data:audio/") for link in links)
    assert "url(" not in page
    assert "@import" not in page


def test_nothing_of_the_wire_becomes_markup(tmp_path: Path) -> None:
    run = sample_run()
    honest, hostile = (_elements(render_run(one, tmp_path)) for one in (run, hostile_run(run)))
    tags = [tag for tag, _ in hostile]
    assert tags.count("script") == [tag for tag, _ in honest].count("script")
    assert "img" not in tags
    assert not [attrs for _, attrs in hostile for name in attrs if name.startswith("on")]
    assert 'document.title="owned"' not in render_run(hostile_run(run), tmp_path)


def test_half_a_character_is_no_reason_to_have_no_page(tmp_path: Path) -> None:
    write_page(render_run(hostile_run(sample_run(calls=5)), tmp_path), tmp_path / "run.html")
    assert (tmp_path / "run.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_a_recording_outside_of_the_run_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    run = sample_run(calls=10, recordings=tmp_path)
    calls = [call.model_copy(update={"recording": f"../{call.recording}"}) for call in run.calls]
    assert "data:audio" in render_run(run, tmp_path)
    assert "data:audio" not in render_run(run.model_copy(update={"calls": calls}), tmp_path / "run")


@pytest.fixture(scope="module")
def large() -> Run:
    """Ten thousand turns."""
    return sample_run(calls=2500)


def test_ten_thousand_turns_make_a_page_that_a_telephone_opens(tmp_path: Path, large: Run) -> None:
    page = render_run(large, tmp_path)
    assert len(page) < 1_000_000
    drawn = re.search(r"Of (\d+) turns the slowest 1% and a random (\d+) of the others are drawn", page)
    assert drawn is not None
    assert int(drawn[1]) > 9000
    assert int(drawn[2]) < 3000


def test_the_slowest_turns_are_never_thinned_out(large: Run) -> None:
    shown = "".join(str(point[2]) for point in course.over_time(large).points)
    slow = sorted((t.gap_ms or 0 for c in large.calls for t in c.turns), reverse=True)[:50]
    assert all(f"{gap:,.0f}".replace(",", " ") in shown for gap in slow)


def test_gaps_that_are_all_alike_are_seen_apart() -> None:
    run = sample_run(calls=20)
    turn = run.calls[15].turns[0]
    turns = [turn.model_copy(update={"gap_ms": 500.0 + ms}) for ms in range(40)]
    alike = run.model_copy(update={"calls": [run.calls[15].model_copy(update={"turns": turns})], "objective": None})
    assert len([point for point in charts.distribution(alike).points if "turns" in str(point[2])]) > 20


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_run_with_hardly_anything_in_it_has_a_page_too(tmp_path: Path, kept: int) -> None:
    run = sample_run(calls=8)
    calls = [call.model_copy(update={"turns": call.turns[:1]}) for call in run.calls[3 : 3 + kept]]
    little = run.model_copy(
        update={
            "calls": calls,
            "figures": {},
            "outcomes": {},
            "objective": None,
            "knee": None,
            "phases": [],
            "faults": [],
        }
    )
    assert "</html>" in render_run(little, tmp_path)


def test_a_bottleneck_is_said_before_any_figure(tmp_path: Path) -> None:
    run = sample_run(calls=10)
    busy = run.model_copy(
        update={"generator": run.generator.model_copy(update={"bottleneck": "packets left 9 ms late"})}
    )
    page = render_run(busy, tmp_path)
    assert page.index("These figures show the generator, not the agent: packets left 9 ms late") < page.index(
        "What callers waited"
    )


def test_a_comparison_is_a_page_of_the_same_kind(tmp_path: Path) -> None:
    page = render_comparison(compare(sample_run(calls=100), hostile_run(sample_run(calls=100, seed=2, slower=2.0))))
    assert "Regression" in page
    assert "img" not in [tag for tag, _ in _elements(page)]
    assert render_comparison(compare(sample_run(calls=0), sample_run(calls=0))).count("Not comparable") == 1
