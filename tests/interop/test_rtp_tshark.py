"""tshark reads what a leg sends: RTP with its markers, and digits as RFC 4733 events."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from codecs_ext.downlink import Sender

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed"),
]
RTP = ["-d", "udp.port==4000,rtp", "-o", "rtpevent.event_payload_type_value:101"]


def capture(file: Path, datagrams: list[tuple[int, bytes]]) -> None:
    """A pcap of raw IPv4 (link type 101); ``(time in ms, payload)``, from port 4000 to 4000."""
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    for at, payload in datagrams:
        udp = struct.pack(">HHHH", 4000, 4000, 8 + len(payload), 0) + payload
        ip = struct.pack(
            ">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
        )
        out += struct.pack("<IIII", at // 1000, at % 1000 * 1000, len(ip + udp), len(ip + udp)) + ip + udp
    file.write_bytes(out)


def tshark(file: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["tshark", "-n", "-r", str(file), *RTP, *arguments], capture_output=True, check=True, timeout=60
    )
    return done.stdout.decode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Silence, an utterance, two digits, silence."""
    sender, datagrams = Sender(ssrc=0x1234, sequence=65530, timestamp=2**32 - 800), []
    sender.connect(0)
    for tick in range(400):
        if tick == 40:
            sender.play(struct.pack("<h", 4000) * 1600, 8000, tick)
        if tick == 120:
            sender.dial(b"5#", 100, 60)
        datagram = sender.tick(tick, tick)
        if datagram is not None:
            datagrams.append((tick * 5, datagram))
    sender.take()
    path = tmp_path / "leg.pcap"
    capture(path, datagrams)
    return path


def test_the_stream_is_whole_and_marked(file: Path) -> None:
    assert tshark(file, "-Y", "_ws.malformed || _ws.expert.severity == error") == ""
    rows = [line.split() for line in tshark(file, "-q", "-z", "rtp,streams").splitlines() if "0x00001234" in line]
    assert len(rows) == 1
    assert "(0.0%)" in rows[0]
    marked = tshark(file, "-Y", "rtp.marker == 1", "-T", "fields", "-e", "rtp.p_type").split()
    assert marked == ["0", "101", "101"]


def test_digits_are_events(file: Path) -> None:
    lines = tshark(file, "-Y", "rtpevent", "-T", "fields", "-e", "rtpevent.event_id", "-e", "rtpevent.end_of_event",
                   "-e", "rtpevent.duration", "-e", "rtp.timestamp").splitlines()  # fmt: skip
    events = [line.split("\t") for line in lines]
    assert [event[0] for event in events] == ["5"] * 7 + ["11"] * 7
    assert [event[1] in ("1", "True") for event in events] == ([False] * 4 + [True] * 3) * 2
    assert [int(event[2]) for event in events] == [160, 320, 480, 640, 800, 800, 800] * 2
    assert len({event[3] for event in events}) == 2
