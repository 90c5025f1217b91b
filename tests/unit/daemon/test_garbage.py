from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from gateway.daemon.garbage import Housekeeping


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


class Circle:
    """What only the collector finds."""

    def __init__(self) -> None:
        self.itself = self


def old_garbage() -> weakref.ref[Circle]:
    circle = Circle()
    gc.collect(1)  # it has outlived the small collections, as a connection that lasts for hours does
    return weakref.ref(circle)


@pytest.mark.parametrize("calls", [0, 1])
async def test_old_garbage_goes_also_where_nobody_calls(monkeypatch: pytest.MonkeyPatch, calls: int) -> None:
    monkeypatch.setattr("gateway.daemon.garbage._LOOK_S", 0.01)
    monkeypatch.setattr("gateway.daemon.garbage._PATIENCE_S", 0.05)
    housekeeping = Housekeeping(lambda: calls)
    housekeeping.start()
    garbage = old_garbage()
    async with asyncio.timeout(5):
        while garbage() is not None:
            await asyncio.sleep(0.01)
    await housekeeping.close()
