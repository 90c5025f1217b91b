"""One HTML file of a run: everything in it, nothing fetched, and nothing in it that came from the wire is markup.

The page forbids itself every connection, and every script but its own (Content-Security-Policy): a name that an agent
has put into a header stays text even if an escape were forgotten.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gateway import __version__
from gateway.bench.report import charts, course
from gateway.bench.report.cards import cards
from gateway.bench.report.facts import FIGURES, values
from gateway.bench.report.scale import plain_ms
from gateway.bench.report.tables import (
    failures,
    honesty,
    outcomes,
    percentile_rows,
    scenario_rows,
    stage_rows,
    streams,
    stretches,
)
from gateway.bench.runs.run_file import Run

__all__ = ["render", "render_run", "write_page"]

_SLOWEST: Final = 12


def render_run(run: Run, directory: Path) -> str:
    """The report. ``directory`` is the run file's: recordings are named relative to it."""
    gaps = values(run.measured(), "gap")
    return render(
        "run.html.j2",
        run=run,
        started=_moment(run.started),
        headline=percentile_rows(run),
        figures=FIGURES,
        cards=cards(run, directory, _SLOWEST),
        stages=stage_rows(run),
        scenarios=scenario_rows(run),
        outcomes=outcomes(run),
        failures=failures(run),
        honesty=honesty(run),
        streams=streams(run),
        distribution=charts.distribution(run) if gaps else None,
        percentiles=charts.percentiles(run) if gaps else None,
        over_time=course.over_time(run),
        load=course.load(run),
        stretches=stretches(run, course.run_axis(run).high),
        knee=charts.knee(run.knee, run.objective) if run.knee is not None and run.knee.steps else None,
    )


def write_page(page: str, path: Path) -> None:
    """Half a character that came from the wire is no reason to have no report."""
    path.write_text(page, encoding="utf-8", errors="replace")


def render(template: str, **context: Any) -> str:
    """A template of this package with what each of them uses."""
    script = _asset("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return _environment().get_template(template).render(
        style=Markup(_asset("style.css")),  # noqa: S704  ours
        script=Markup(script),  # noqa: S704  ours
        digest=digest,
        version=__version__,
        **context,
    )  # fmt: skip


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("gateway.bench.report", "data"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"ms": plain_ms, "data": _data, "percent": _percent, "signed": _signed}
    return environment


@cache
def _asset(name: str) -> str:
    return files("gateway.bench.report").joinpath("data", name).read_text(encoding="utf-8")


def _data(value: object) -> Markup:
    """JSON inside of a script element, where only ``<`` could end it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704  escaped above


def _percent(share: float) -> str:
    return f"{share * 100:.4g}"


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{plain_ms(abs(value))}"


def _moment(iso: str) -> Mapping[str, str]:
    """For people and for machines; what is no time is shown as it is."""
    try:
        at = datetime.fromisoformat(iso)
    except ValueError:
        return {"iso": "", "text": iso}
    return {"iso": iso, "text": at.strftime("%-d %B %Y, %H:%M %Z").strip()}
