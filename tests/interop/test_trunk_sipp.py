"""SIPp as a peer of a trunk: what the gate asks of it, and what it is answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.call.gate import Gate
from gateway.call.options import AuthenticationOptions
from gateway.sip.events import Ended, Invited, Refused
from tests.interop.peer import SCENARIOS, needs_sipp, sipp, switch
from tests.unit.call.inquiries import policy, trunk

pytestmark = [pytest.mark.interop, needs_sipp]


async def test_sipp_logs_in(tmp_path: Path) -> None:
    """The digest is made by SIPp's own implementation, which knows MD5 alone."""
    rules = policy(trunk("pbx", **{"from": [], "login": {"user": "pbx", "password": "secret"}}))
    gate = Gate(rules, AuthenticationOptions(algorithms=["MD5"]), key=b"k" * 32)
    async with switch(admit=gate.admit) as house:
        target = f"127.0.0.1:{house.sip.local[1]}"
        account = ["-au", "pbx", "-ap", "secret", "-s", "echo", "-auth_uri", f"echo@{target}"]
        await sipp(tmp_path, "-sf", str(SCENARIOS / "login.xml"), *account, "-m", "3", "-r", "20", target)
        await house.until(Ended, 3)
        assert [event.admitted.trunk.name for event in house.events(Invited)] == ["pbx"] * 3  # type: ignore[attr-defined]
        assert [event.status for event in house.events(Refused)] == [401] * 3  # type: ignore[attr-defined]
