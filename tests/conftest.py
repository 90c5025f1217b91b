"""`make test` runs on four workers. What talks to real peers in real time stays on one worker each, one test after the
other: such tests wait most of the time, while others compute."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

_REAL = {"interop", "system"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = Path(__file__).parent
    for item in items:
        room = item.path.relative_to(tests).parts[0]
        if room in _REAL:
            item.add_marker(pytest.mark.xdist_group(room))


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """What runs the bench in its own process makes the log quiet; others read what theirs says."""
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
