"""Compound packets: written octet for octet as the RFCs draw them, read whole or not at all."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecs_ext.rtcp import build, parse

US, THEM = 0x11223344, 0xCAFEBABE
CNAME = b"0123456789abcdef"
INFO = {"ntp_high": 0xE1234567, "ntp_low": 0x89ABCDEF, "timestamp": 4_000_000_000, "packets": 500, "octets": 80_000}
REPORT = {"ssrc": US, "fraction": 12, "lost": -3, "highest": 0x00012345, "jitter": 77, "lsr": 0x45678, "dlsr": 65536}
NAMES = ("loss_rate", "discard_rate", "burst_density", "gap_density", "burst_ms", "gap_ms", "round_trip_ms",
         "end_delay_ms", "signal_level", "noise_level", "echo_loss", "gmin", "r_factor", "external_r", "mos_listening",
         "mos_conversation", "receiver", "buffer_ms", "buffer_maximum_ms", "buffer_absolute_ms")  # fmt: skip
METRICS = {"ssrc": US} | {name: 200 + number for number, name in enumerate(NAMES)}


def drawn(*, info: bool, report: bool, metrics: bool, bye: bool) -> bytes:
    """The slow reference, from the drawings of RFC 3550 6 and RFC 3611 4.7."""
    body = struct.pack("!IIIII", *INFO.values()) if info else b""
    if report:
        lost = (12 << 24) | (-3 & 0xFFFFFF)
        body += struct.pack("!IIIIII", US, lost, 0x00012345, 77, 0x45678, 65536)
    out = struct.pack("!BBHI", 0x80 | report, 200 if info else 201, len(body) // 4 + 1, THEM) + body
    out += struct.pack("!BBHIBB16s2x", 0x81, 202, 6, THEM, 1, 16, CNAME)
    if metrics:
        v = METRICS
        out += struct.pack("!BBHIBBHI", 0x80, 207, 10, THEM, 7, 0, 8, US)
        out += struct.pack("!4B4H8BBxHHH", *(v[name] for name in NAMES))
    if bye:
        out += struct.pack("!BBHI", 0x81, 203, 1, THEM)
    return out


@pytest.mark.parametrize("mask", range(16))
def test_every_part_is_written_as_drawn_and_read_back(mask: int) -> None:
    info, report, metrics, bye = (bool(mask >> bit & 1) for bit in range(4))
    data = build(THEM, CNAME, INFO if info else None, REPORT if report else None, METRICS if metrics else None, bye)
    assert data == drawn(info=info, report=report, metrics=metrics, bye=bye)
    assert parse(data, US) == {
        "sender": THEM, "info": INFO if info else None, "report": REPORT if report else None,
        "metrics": METRICS if metrics else None, "bye": bye,
    }  # fmt: skip


def test_reports_about_others_are_not_ours() -> None:
    said = parse(build(THEM, CNAME, INFO, REPORT, METRICS), US + 1)
    assert said is not None
    assert (said["report"], said["metrics"]) == (None, None)


def test_the_block_about_us_is_found_among_many() -> None:
    blocks = b"".join(struct.pack("!IIIIII", ssrc, 5, 6, 7, 8, 9) for ssrc in range(US - 15, US + 16))
    said = parse(struct.pack("!BBHI", 0x80 | 31, 201, 1 + 31 * 6, THEM) + blocks, US)
    assert said is not None
    assert said["report"]["ssrc"] == US


def test_unknown_packets_and_blocks_are_passed_over() -> None:
    unknown = struct.pack("!BBHI", 0x81, 204, 2, THEM) + b"name"
    extended = struct.pack("!BBHIBBHII", 0x80, 207, 4, THEM, 4, 0, 2, 1, 2)
    said = parse(drawn(info=True, report=True, metrics=False, bye=False) + unknown + extended, US)
    assert said is not None
    assert said["report"] == REPORT


def test_padding_at_the_end() -> None:
    data = bytearray(build(THEM, CNAME, bye=True) + bytes(7) + b"\x08")
    goodbye = len(data) - 16
    data[goodbye] |= 0x20
    data[goodbye + 3] += 2
    said = parse(data, US)
    assert said is not None
    assert said["bye"]


GOOD = drawn(info=True, report=True, metrics=True, bye=True)


def changed(**octets: int) -> bytes:
    data = bytearray(GOOD)
    for place, value in octets.items():
        data[int(place.removeprefix("at"))] = value
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        bytes(200),
        GOOD[:-1],
        GOOD[:-4],
        changed(at0=0x41),  # version 1
        changed(at0=0xA1),  # padding in the first
        changed(at1=202),  # begins with SDES
        changed(at0=0x9F),  # 31 blocks in room for one
        changed(at3=200),  # a length that leads outside
        changed(at3=0),
        changed(at52=0x41),  # version 1 in the second
        changed(at52=0xA1),  # padding, but not the last
        changed(at91=200),  # a block of XR that leads outside its packet
        changed(at91=7),  # VoIP metrics of another length
        GOOD[:-8] + struct.pack("!BBHI", 0xA1, 203, 1, 0),  # padding of nothing
        GOOD[:-8] + struct.pack("!BBHI", 0xA1, 203, 1, 8),  # padding over the header
        GOOD[:-8] + struct.pack("!BBHI", 0x85, 203, 1, THEM),  # five sources in room for one
        struct.pack("!BBH", 0x80, 201, 0) * 2,
    ],
)
def test_what_is_malformed_is_refused_whole(data: bytes) -> None:
    assert parse(data, US) is None


@given(st.binary(max_size=300))
def test_any_octets(data: bytes) -> None:
    parse(data, US)


@given(st.randoms())
def test_any_damage_to_a_good_packet(chance: random.Random) -> None:
    data = bytearray(GOOD)
    for _ in range(chance.randint(1, 6)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    said: dict[str, Any] | None = parse(data[: chance.choice([len(data), chance.randrange(len(data))])], US)
    assert said is None or set(said) == {"sender", "info", "report", "metrics", "bye"}


def test_a_name_of_another_length_is_misuse() -> None:
    with pytest.raises(ValueError, match="16 octets"):
        build(THEM, b"short")
