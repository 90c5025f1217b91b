"""SIPp talks: from the captures of its package, for which it needs raw sockets, and by its own RTP streams."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.interop.peer import SCENARIOS, free_port, needs_sipp, sipp
from tests.system.house import configuration, house

CAPTURES = Path("/usr/share/sip-tester")

pytestmark = [pytest.mark.interop, needs_sipp]


@pytest.mark.skipif(os.geteuid() != 0, reason="SIPp plays captures through raw sockets")
@pytest.mark.skipif(not (CAPTURES / "g711a.pcap").exists(), reason="SIPp was packaged without captures")
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


async def test_sipp_streams_a_file(tmp_path: Path) -> None:
    """``rtp_stream``: sockets and a clock of SIPp's own, and what it hears goes nowhere."""
    directory = tmp_path / "sipp"
    directory.mkdir()
    (directory / "talk.al").write_bytes(bytes(range(0x80, 0x100)) * 125)
    scenario = (SCENARIOS / "talk_and_press.xml").read_text()
    played = re.compile(r'<nop><action><exec play_pcap_audio="[^"]*g711a[^"]*"/></action></nop>')
    streamed = played.sub('<nop><action><exec rtp_stream="talk.al,1,8,PCMA/8000"/></action></nop>', scenario)
    streamed = re.sub(r"  <nop><action><exec play_pcap_audio.*\n", "", streamed)
    (directory / "stream.xml").write_text(streamed.replace("[auto_media_port]", "[rtpstream_audio_port]"))
    async with house(tmp_path, configuration()) as built:
        media = ["-mi", "127.0.0.1", "-mp", str(free_port() // 2 * 2)]
        await sipp(directory, "-sf", "stream.xml", *media, "-m", "1", "-s", "echo", f"{built.sip[0]}:{built.sip[1]}")
        ended = await built.gateway.line("call.ended")
    assert ended["media"]["packets_received"] > 80
    assert ended["media"]["packets_lost"] == 0
    assert ended["media"]["packets_refused"] == 0
