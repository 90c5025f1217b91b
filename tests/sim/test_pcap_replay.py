"""Recorded packets of real telephones, out of the captures of SIPp's package, in virtual time and over bad networks."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codecs_ext import rtp
from codecs_ext.codec import Kernel
from codecs_ext.g711 import PCMA, PCMU
from codecs_ext.uplink import Receiver

MS = 1_000_000
CAPTURES = Path("/usr/share/sip-tester")
CONCEALED, UNSENT = 2, 8

pytestmark = pytest.mark.skipif(not (CAPTURES / "g711a.pcap").exists(), reason="SIPp was packaged without captures")

Packets = list[tuple[int, bytes]]
"""When each came, in nanoseconds, and its datagram."""


def datagrams(path: Path) -> Iterator[tuple[int, bytes]]:
    """The UDP payloads of a classic pcap of Ethernet frames."""
    data = path.read_bytes()
    order = "<" if data[:4] == b"\xd4\xc3\xb2\xa1" else ">"
    link = struct.unpack_from(f"{order}I", data, 20)[0]
    place = 24
    while place + 16 <= len(data):
        seconds, micros, size, _ = struct.unpack_from(f"{order}4I", data, place)
        frame = data[place + 16 : place + 16 + size]
        place += 16 + size
        packet = frame[{1: 14, 113: 16, 101: 0}[link] :]
        if packet[0] >> 4 == 4 and packet[9] == 17:
            head = 4 * (packet[0] & 15)
            length = struct.unpack_from("!H", packet, head + 4)[0]
            yield seconds * 1_000_000_000 + micros * 1000, packet[head + 8 : head + length]


def recorded(name: str) -> Packets:
    packets = [(at, data) for at, data in datagrams(CAPTURES / name) if rtp.parse(data) is not None]
    assert packets
    return [(at - packets[0][0], data) for at, data in packets]


def replay(packets: Packets, kernel: Kernel, payload_type: int, event_type: int = -1) -> Receiver:
    """Ticks of 5 ms, as the plane makes them."""
    receiver, now = Receiver(kernel, payload_type=payload_type, event_payload_type=event_type), 0
    for at, data in sorted(packets, key=lambda packet: packet[0]):
        while now + 5 * MS < at:
            now += 5 * MS
            receiver.tick(now)
        receiver.receive(data, at)
    for _ in range(100):
        now += 5 * MS
        receiver.tick(now)
    return receiver


def heard(receiver: Receiver) -> list[tuple[int, int, bytes]]:
    """Media time, flags and samples of each frame."""
    return [(time, flags, pcm) for name, _, time, _, flags, pcm in receiver.take() if name == "audio"]


def spoken(packets: Packets) -> bytes:
    from codecs_ext.g711 import alaw_to_linear

    return alaw_to_linear(b"".join(rtp.parse(data)[5] for _, data in packets))  # type: ignore[index]


def test_a_recorded_voice_is_heard_to_the_bit_in_the_time_that_it_took() -> None:
    packets = recorded("g711a.pcap")
    frames = heard(replay(packets, PCMA, 8))
    assert b"".join(pcm for _, flags, pcm in frames if not flags & UNSENT) == spoken(packets)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32), loss=st.floats(0, 0.3), jitter_ms=st.integers(0, 60), skew_ppm=st.integers(-200, 200)
)
def test_over_any_network_media_time_never_jumps_and_what_came_is_heard(
    seed: int, loss: float, jitter_ms: int, skew_ppm: int
) -> None:
    random_ = random.Random(seed)
    sent = recorded("g711a.pcap")
    kept = [sent[0]] + [packet for packet in sent[1:] if random_.random() >= loss]
    moved = [(int(at * (1 + skew_ppm / 1e6)) + random_.randrange(jitter_ms * MS + 1), data) for at, data in kept[1:]]
    receiver = replay([kept[0], *moved], PCMA, 8)
    frames, expected = heard(receiver), 0
    for time, _, pcm in frames:
        assert time == expected
        expected += len(pcm) // 2
    counts = receiver.counts
    assert counts["received"] == len(kept)
    assert counts["lost"] + counts["late"] >= 0
    assert counts["refused"] == 0
    real = sum(not flags & (CONCEALED | UNSENT) for _, flags, _ in frames)
    assert real + counts["late"] + counts["duplicate"] == len(kept)


@pytest.mark.parametrize("key", ["0", "5", "9", "star", "pound"])
def test_recorded_digits_are_told_once(key: str) -> None:
    packets = recorded(f"dtmf_2833_{key}.pcap")
    event_type = rtp.parse(packets[0][1])[0]  # type: ignore[index]
    told = replay(packets, PCMU, 0, event_type).take()
    digits = [chr(number) for name, number, *_ in told if name == "digit"]
    assert digits == [{"star": "*", "pound": "#"}.get(key, key)]
