"""Marks of a chart as SVG paths in a box of 1000 by 1000, which the page stretches to whatever room it has.

Strokes do not stretch with it (``vector-effect``), and a dot is a line of no length with a round end, so dots stay
round on a telephone and on a wall. Text is HTML beside the drawing and keeps its size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.bench.report.scale import Axis, Tick

__all__ = ["Chart", "Label", "Mark", "Place", "area", "band", "box", "dots", "line", "place", "point", "steps"]

SIZE: Final = 1000
Place = tuple[float, float]
"""Shares of the axes, from the left and from the bottom."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One path. ``css`` names its look in style.css."""

    css: str
    path: str
    series: str = ""
    """Marks of one series are shown and hidden together by their entry in the legend."""


@dataclass(frozen=True, slots=True)
class Label:
    """Text in the drawing, at a share of both axes; in the right half it stands to the left of its place."""

    x: float
    y: float
    text: str
    css: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """All that the template draws."""

    title: str
    """Read to who cannot see it."""
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    marks: Sequence[Mark]
    labels: Sequence[Label] = ()
    x_title: str = ""
    legend: Sequence[tuple[str, str]] = ()
    """(series, what it is)."""
    points: Sequence[Sequence[object]] = field(default=())
    """What a pointer finds: (x in thousandths, y in thousandths, text, id of an element to go to or "")."""
    note: str = ""


def line(places: Iterable[Place]) -> str:
    """From place to place."""
    return _joined("L".join(_at(x, y) for x, y in places))


def steps(places: Iterable[Place]) -> str:
    """Holds each height up to the next place: what is counted does not change in between."""
    drawn = ""
    for x, y in places:
        drawn += f"H{_x(x)}V{_y(y)}" if drawn else f"M{_at(x, y)}"
    return drawn


def area(places: Sequence[Place]) -> str:
    """``steps``, down to the axis."""
    return f"M{_at(places[0][0], 0)}V{_y(places[0][1])}{steps(places).partition('H')[1]}" + (
        steps(places).partition("H")[2] + f"V{SIZE}Z"
    )


def band(lower: Sequence[Place], upper: Sequence[Place]) -> str:
    """What lies between two lines."""
    return _joined("L".join(_at(x, y) for x, y in [*lower, *reversed(upper)])) + ("Z" if lower else "")


def box(left: float, right: float, low: float = 0.0, high: float = 1.0) -> str:
    """A rectangle."""
    return f"M{_at(left, low)}V{_y(high)}H{_x(right)}V{_y(low)}Z"


def dots(places: Iterable[Place]) -> str:
    """A path of round dots, as thick as its stroke."""
    return "".join(f"M{_at(x, y)}h0" for x, y in places)


def place(x: Axis, y: Axis, values: Iterable[tuple[float, float]]) -> list[Place]:
    """Values to places."""
    return [(x.place(one), y.place(other)) for one, other in values]


def point(x: float, y: float, text: str, target: str = "") -> tuple[int, int, str, str]:
    """What ``Chart.points`` holds; ``target`` is the id of an element."""
    return round(x * SIZE), round(y * SIZE), text, target


def _joined(path: str) -> str:
    return f"M{path}" if path else ""


def _at(x: float, y: float) -> str:
    return f"{_x(x)} {_y(y)}"


def _x(share: float) -> str:
    return f"{share * SIZE:.4g}" if share < 0.1 else f"{share * SIZE:.1f}".removesuffix(".0")


def _y(share: float) -> str:
    return _x(1 - share)
