"""RTP headers: what is built is read, what is not RTP is refused, nothing is read outside the datagram."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from codecs_ext import rtp


def oracle(data: bytes) -> tuple[int, bool, int, int, int, bytes] | None:
    """RFC 3550 5.1 and 5.3.1, slowly."""
    if len(data) < 12 or data[0] >> 6 != 2:
        return None
    start = 12 + 4 * (data[0] & 15)
    if data[0] & 0x10:
        if len(data) < start + 4:
            return None
        start += 4 + 4 * struct.unpack(">H", data[start + 2 : start + 4])[0]
    end = len(data)
    if data[0] & 0x20:
        if data[-1] == 0:
            return None
        end -= data[-1]
    if start > end:
        return None
    sequence, timestamp, ssrc = struct.unpack(">HII", data[2:12])
    return data[1] & 0x7F, bool(data[1] >> 7), sequence, timestamp, ssrc, data[start:end]


@given(
    st.integers(0, 127), st.booleans(), st.integers(0, 65535), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1),
    st.binary(max_size=200),
)  # fmt: skip
def test_what_is_built_is_read(payload_type, marker, sequence, timestamp, ssrc, payload):
    packet = rtp.build(payload_type, marker, sequence, timestamp, ssrc, payload)
    assert rtp.parse(packet) == (payload_type, marker, sequence, timestamp, ssrc, payload)
    assert oracle(packet) == rtp.parse(packet)


@given(st.binary(max_size=80))
def test_any_bytes_are_read_as_the_slow_reader_reads_them(data):
    assert rtp.parse(data) == oracle(data)


@given(st.integers(0x80, 0xBF), st.integers(0, 255), st.binary(min_size=10, max_size=120))
def test_any_header_of_version_2_is_read_as_the_slow_reader_reads_it(first, second, rest):
    data = bytes([first, second]) + rest
    assert rtp.parse(data) == oracle(data)


def test_contributing_sources_extension_and_padding_are_left_out():
    header = struct.pack(">BBHII", 0xB2, 0x80, 7, 8, 9)
    data = header + b"csrc" * 2 + b"\xbe\xde\x00\x01extn" + b"payload" + b"\0\0\x03"
    assert rtp.parse(data) == (0, True, 7, 8, 9, b"payload")


def test_each_cut_of_a_packet_is_refused_or_shorter():
    data = struct.pack(">BBHII", 0x91, 0, 7, 8, 9) + b"csrc" + b"\0\0\x00\x01extn" + b"payload"
    for size in range(len(data)):
        packet = rtp.parse(data[:size])
        assert packet is None if size < 24 else packet[5] == data[24:size]
