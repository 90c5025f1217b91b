"""baresip as a caller, with each codec and with SRTP: it hears its tone back from the echo number; and as called."""

from __future__ import annotations

import asyncio
import shutil
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.sdp import accept, offer
from gateway.sip.events import Answered, Ended, OfferAnswered
from tests.interop.peer import RTP, switch, until_it_is_bound
from tests.system.house import configuration, free_port, house

MODULES = Path("/usr/lib/baresip/modules")
OPUS = (MODULES / "opus.so").exists()

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("baresip") is None, reason="baresip is not installed"),
]
CONFIG = """\
poll_method epoll
sip_listen 127.0.0.1:{sip}
audio_source ausine,440
audio_player aubridge,sink
audio_alert aubridge,sink
ausrc_srate 48000
ausrc_channels 2
audio_jitter_buffer_type off
rtp_ports {first}-{last}
module_path {modules}
module g711.so
module g722.so
module l16.so
{opus}
module ausine.so
module aubridge.so
module sndfile.so
module srtp.so
module dtls_srtp.so
rtcp_mux {mux}
module_app account.so
module_app menu.so
snd_path {directory}
"""


async def call(directory: Path, target: str, account: str, *, mux: bool = False) -> str:
    """Runs baresip for some seconds; returns what it printed."""
    first = free_port() // 10 * 10
    text = CONFIG.format(
        sip=free_port(), first=first, last=first + 9, modules=MODULES, directory=directory, mux="yes" if mux else "no",
        opus="module opus.so" if OPUS else "",
    )  # fmt: skip
    (directory / "config").write_text(text)
    (directory / "accounts").write_text(f"<sip:bob@127.0.0.1>;regint=0;{account}\n")
    (directory / "contacts").write_text("")
    process = await asyncio.create_subprocess_exec(
        "baresip", "-4", "-f", str(directory), "-t", "3", "-e", f"/dial {target}",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(30):
            return (await process.communicate())[0].decode(errors="replace")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def loudest_hz(file: Path) -> float:
    with wave.open(str(file)) as recording:
        rate, channels, count = recording.getframerate(), recording.getnchannels(), recording.getnframes()
        samples = np.frombuffer(recording.readframes(count), np.int16)[::channels].astype(float)
    assert len(samples) > rate
    last = samples[-rate:] * np.hanning(rate)
    assert np.abs(last).max() > 1000
    return float(np.abs(np.fft.rfft(last)).argmax())


@pytest.mark.parametrize(
    ("codec", "ours", "secure"),
    [
        ("PCMU/8000/1", "pcmu", False),
        ("PCMU/8000/1", "pcmu", True),
        ("PCMA/8000/1", "pcma", False),
        ("G722/16000/1", "g722", False),
        ("L16/16000/1", "l16-16k", False),
        pytest.param("opus/48000/2", "opus", True, marks=pytest.mark.skipif(not OPUS, reason="baresip has no Opus")),
    ],
)
async def test_it_hears_its_tone(tmp_path: Path, codec: str, ours: str, secure: bool) -> None:
    config: dict[str, Any] = configuration()
    config["media"]["codecs"] = [ours]
    config["trunks"][0]["srtp"] = "require" if secure else "off"
    directory = tmp_path / "baresip"
    directory.mkdir()
    async with house(tmp_path, config) as built:
        account = f"audio_codecs={codec}" + (";mediaenc=srtp-mand" if secure else "")
        said = await call(directory, f"sip:echo@{built.sip[0]}:{built.sip[1]}", account)
        ended = await built.gateway.line("call.ended")
    media = ended["media"]
    assert "session closed" not in said.split("Call established")[0], said
    assert media["packets_received"] > 50, said
    assert media["packets_sent"] > 50
    assert media["packets_lost"] == 0
    assert media["packets_refused"] <= 2  # its SDP names another interface than it sends from: it has to be learned
    recordings = list(directory.glob("dump-*-dec.wav"))
    assert len(recordings) == 1, said
    assert loudest_hz(recordings[0]) == pytest.approx(440, abs=3)


@pytest.mark.skipif(not (MODULES / "dtls_srtp.so").exists(), reason="baresip has no DTLS-SRTP")
@pytest.mark.parametrize("profile", ["dtls_srtp"])
async def test_it_hears_its_tone_keyed_by_a_handshake(tmp_path: Path, profile: str) -> None:
    """UDP/TLS/RTP/SAVPF, its certificate, its OpenSSL; it sends from another address than its SDP names."""
    config: dict[str, Any] = configuration()
    config["trunks"][0] |= {"srtp": "require", "srtp_keys": ["dtls"]}
    directory = tmp_path / "baresip"
    directory.mkdir()
    async with house(tmp_path, config) as built:
        target = f"sip:echo@{built.sip[0]}:{built.sip[1]}"
        said = await call(directory, target, f"audio_codecs=PCMU/8000/1;mediaenc={profile}", mux=True)
        await built.gateway.line("call.secured")
        ended = await built.gateway.line("call.ended")
    media = ended["media"]
    assert "DTLS-SRTP complete" in said, said
    assert media["packets_received"] > 50, said
    assert media["packets_sent"] > 50
    recordings = list(directory.glob("dump-*-dec.wav"))
    assert len(recordings) == 1, said
    assert loudest_hz(recordings[0]) == pytest.approx(440, abs=3)


async def test_it_answers_and_is_held_and_hung_up(tmp_path: Path) -> None:
    port, first = free_port(), free_port() // 10 * 10
    text = CONFIG.format(sip=port, first=first, last=first + 9, modules=MODULES, directory=tmp_path, mux="no", opus="")
    (tmp_path / "config").write_text(text)
    (tmp_path / "accounts").write_text("<sip:bob@127.0.0.1>;regint=0;answermode=auto;audio_codecs=PCMU/8000/1\n")
    (tmp_path / "contacts").write_text("")
    process = await asyncio.create_subprocess_exec(
        "baresip", "-4", "-f", str(tmp_path),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await until_it_is_bound(port, 10)
        async with switch() as us:
            call = us.sip.invite(f"sip:bob@127.0.0.1:{port}", offer(RTP, 9), caller="us")
            (answered,) = await us.until(Answered)
            assert isinstance(answered, Answered)
            assert accept(answered.sdp or b"", offer(RTP, 9)).codec == "PCMU"
            hold = offer(RTP, 9, version=2, direction="sendonly")
            us.sip.reoffer(call, hold)
            (held,) = await us.until(OfferAnswered)
            assert isinstance(held, OfferAnswered)
            assert not accept(held.sdp or b"", hold).receive
            us.sip.hang_up(call, "enough")
            await us.until(Ended)
    finally:
        process.kill()
        await process.wait()
