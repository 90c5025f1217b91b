"""Captures and recordings of the daemon's calls; tshark, which nobody here wrote, reads the captures."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import stat
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.system.house import configuration, house
from tests.system.phone import SILENCE, Phone, close_all

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed"),
]
STRICT = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE"]


@pytest.fixture(autouse=True)
async def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield
    close_all()


async def tshark(file: str, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "tshark", "-n", "-r", file, *STRICT, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, error = await process.communicate()
    assert process.returncode == 0, error.decode()
    return out.decode()


async def test_tshark_reads_a_capture_as_valid(tmp_path: Path) -> None:
    config = configuration()
    config["media"]["rtcp"] = {"interval": "100ms"}
    config["routes"][1]["capture"] = {"file": str(tmp_path / "{called}-{call_id}"), "keep": "always"}
    async with house(tmp_path, config) as built:
        phone = Phone(built.sip, "echo")
        await phone.dial()
        await phone.talk([SILENCE] * 50)
        phone.bye()
        await phone.response(200, "BYE")
        ended = await built.gateway.line("call.ended")
        file = ended["capture"]["file"]
        assert ended["capture"] | {"octets": 0} == {"file": file, "octets": 0, "lost": 0, "failed": ""}
        received = ended["media"]["packets_received"]
    assert stat.S_IMODE(Path(file).stat().st_mode) == 0o600
    sip = await tshark(file, "-Y", "sip", "-T", "fields", "-e", "sip.Method", "-e", "sip.Status-Code")
    seen = sip.split()
    assert [one for one in seen if one in {"INVITE", "ACK", "BYE"}] == ["INVITE", "ACK", "BYE"]
    assert seen.count("200") == 2
    streams = (await tshark(file, "-q", "-z", "rtp,streams")).splitlines()
    rows = [line.split() for line in streams if "g711U" in line]
    assert len(rows) == 2, streams
    assert any(str(received) in row for row in rows), rows
    assert all("(0.0%)" in row for row in rows), rows
    bad = "_ws.malformed || ip.checksum.status == Bad || udp.checksum.status == Bad"
    assert await tshark(file, "-Y", bad) == ""
    assert "Sender Report" in await tshark(file, "-Y", "rtcp")
    times = [float(one) for one in (await tshark(file, "-T", "fields", "-e", "frame.time_epoch")).split()]
    assert max(earlier - later for earlier, later in itertools.pairwise(times)) < 0.2


async def test_only_failed_calls_are_kept_and_without_keys(tmp_path: Path) -> None:
    config = configuration()
    config["trunks"][0]["srtp"] = "prefer"
    config["routes"][1]["capture"] = {"file": str(tmp_path / "failed" / "{call_id}")}
    async with house(tmp_path, config) as built:
        good = Phone(built.sip, "echo")
        await good.dial()
        await good.talk([SILENCE] * 5)
        good.bye()
        await good.response(200, "BYE")
        ended = await built.gateway.line("call.ended")
        assert "capture" not in ended
        bad = Phone(built.sip, "echo", codecs=(97,))
        await bad.open()
        key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n"
        bad.invite(bad.sdp() + key)
        await bad.response(488)
        failed = await built.gateway.line("call.ended", lambda line: line["status"] == 488)
        file = failed["capture"]["file"]
    assert len(list((tmp_path / "failed").iterdir())) == 1
    statuses = (await tshark(file, "-Y", "sip", "-T", "fields", "-e", "sip.Status-Code")).split()
    assert statuses[-1] == "488"
    assert b"inline:xxxxxxxx" in Path(file).read_bytes()
    assert b"d0RmdmcmVC" not in Path(file).read_bytes()


async def test_the_call_record_names_the_recording(tmp_path: Path) -> None:
    """With a key that pauses it: what is heard of the tone is as long as the rest of the call."""
    config = configuration()
    config["routes"][1]["recording"] = {"file": str(tmp_path / "{date}" / "{caller}-{call_id}"), "pause_digit": "*"}
    async with house(tmp_path, config) as built:
        phone = Phone(built.sip, "echo")
        await phone.dial()
        await phone.talk([SILENCE] * 25)
        phone.bye()
        await phone.response(200, "BYE")
        ended = await built.gateway.line("call.ended")
    report = ended["recording"]
    assert (report["failed"], report["lost"]) == ("", 0)
    with wave.open(report["file"]) as file:
        assert file.getnchannels() == 2
        assert file.getframerate() == 8000
        assert file.getnframes() / 8000 > 0.4
        assert file.getnframes() * 4 == report["octets"]
