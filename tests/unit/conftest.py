"""Unit tests run in asyncio's debug mode: coroutines never awaited and calls from the wrong thread are errors."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def asyncio_debug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
