"""What the guides tell people to write down can be loaded."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.config import loads

GUIDES = ("docs/sip.md",)


@pytest.mark.parametrize("guide", GUIDES)
def test_configurations_can_be_loaded(guide: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARRIER_PASSWORD", "secret")
    blocks = re.findall(r"^```yaml\n(.*?)^```", Path(guide).read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        assert loads(block).trunks
