"""`make test` runs on two workers. What talks to real peers in real time stays on one of them, one test after another:
it waits most of the time, while the other worker computes."""

from __future__ import annotations

from pathlib import Path

import pytest

_REAL = {"interop", "system"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = Path(__file__).parent
    for item in items:
        if item.path.relative_to(tests).parts[0] in _REAL:
            item.add_marker(pytest.mark.xdist_group("real"))
