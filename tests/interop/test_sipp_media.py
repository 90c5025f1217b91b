"""SIPp talks and presses a key, from the captures of its package; it needs raw sockets for that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.interop.peer import SCENARIOS, free_port, needs_sipp, sipp
from tests.system.house import configuration, house

CAPTURES = Path("/usr/share/sip-tester")

pytestmark = [
    pytest.mark.interop,
    needs_sipp,
    pytest.mark.skipif(os.geteuid() != 0, reason="SIPp plays captures through raw sockets"),
    pytest.mark.skipif(not (CAPTURES / "g711a.pcap").exists(), reason="SIPp was packaged without captures"),
]


async def test_sipp_talks_and_presses_a_key(tmp_path: Path) -> None:
    directory = tmp_path / "sipp"
    directory.mkdir()
    async with house(tmp_path, configuration()) as built:
        scenario = str(SCENARIOS / "talk_and_press.xml")
        media = ["-mi", "127.0.0.1", "-mp", str(free_port() // 2 * 2)]
        await sipp(directory, "-sf", scenario, *media, "-m", "1", "-s", "echo", f"{built.sip[0]}:{built.sip[1]}")
        digit = await built.gateway.line("digit")
        ended = await built.gateway.line("call.ended")
    assert digit["digit"] == "5"
    assert ended["media"]["packets_received"] > 40
    assert ended["media"]["packets_lost"] == 0
