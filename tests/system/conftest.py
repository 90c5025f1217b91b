"""One gateway for the tests that only call it; those that hurt it start their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.system import phone
from tests.system.house import House, configuration, house


@pytest.fixture(autouse=True)
async def phones() -> AsyncIterator[None]:
    yield
    phone.close_all()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Call records of a test stay in its directory."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[House]:
    """A gateway without models, watched: when the test is over, every call has ended and nothing of one is left."""
    async with house(tmp_path, configuration()) as built:
        before = built.gateway.descriptors(), built.gateway.threads()
        yield built
        started = built.gateway.events("call.started")
        for line in started:
            await built.gateway.line("call.ended", lambda ended, line=line: ended["call_id"] == line["call_id"])
        assert (built.gateway.descriptors(), built.gateway.threads()) == before
        assert not built.gateway.events("call.fault")
        assert await built.gateway.stop() == 0
