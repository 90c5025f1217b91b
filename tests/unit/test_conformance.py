"""docs/conformance.md promises nothing that is not there."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
POINTS = {1: 9, 2: 9, 3: 10, 4: 14, 5: 4, 6: 6, 7: 9, 9: 9, 11: 12, 12: 6, 13: 4, 14: 3, 16: 9}
"""Points of each section of the checklist."""
WHOLE = (8, 10, 15, 17)
"""Sections that are one point each."""


@dataclass(frozen=True, slots=True)
class Row:
    number: str
    status: str
    code: tuple[str, ...]
    tests: tuple[str, ...]
    missing: str


def rows() -> list[Row]:
    found = []
    for line in (ROOT / "docs/conformance.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and re.fullmatch(r"\d+(\.\d+)?", cells[0]):
            number, _, status, code, tests, missing = cells
            found.append(
                Row(
                    number, status, tuple(re.findall("`([^`]+)`", code)), tuple(re.findall("`([^`]+)`", tests)), missing
                )
            )
    return found


def quoted(cell: str) -> tuple[str, ...]:
    return tuple(re.findall("`([^`]+)`", cell))


@cache
def names_in(path: Path) -> frozenset[str]:
    """``test_x`` and ``TestY::test_z``; a class of hypothesis' state machines is a name that is assigned."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names |= {f"{node.name}::{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return frozenset(names)


def test_every_point_has_its_row_once() -> None:
    expected = [f"{section}.{point}" for section, last in POINTS.items() for point in range(1, last + 1)]
    assert sorted(row.number for row in rows()) == sorted([*expected, *map(str, WHOLE)])


@pytest.mark.parametrize("row", rows(), ids=lambda row: str(row.number))
def test_what_a_row_names_exists(row: Row) -> None:
    for code in row.code:
        assert (ROOT / "gateway" / code).is_file(), code
    for test in row.tests:
        path, _, name = test.partition("::")
        assert name.startswith(("test_", "Test")), test
        assert name in names_in(ROOT / "tests" / path), test


@pytest.mark.parametrize("row", rows(), ids=lambda row: str(row.number))
def test_a_row_says_what_shows_it_or_what_is_missing(row: Row) -> None:
    assert row.status in ("yes", "partly", "no")
    assert bool(row.tests) == (row.status != "no")
    assert bool(row.code) == (row.status != "no")
    assert bool(row.missing) == (row.status != "yes")
