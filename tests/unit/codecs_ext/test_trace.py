"""Datagrams as blocks of a pcapng file, checked with arithmetic of its own and, where it is there, with tshark's."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest

from codecs_ext.trace import Trace


def blocks(data: bytes) -> list[tuple[int, bytes]]:
    out = []
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        assert struct.unpack_from("<I", data, at + length - 4)[0] == length
        assert length % 4 == 0
        out.append((kind, data[at + 8 : at + length - 4]))
        at += length
    return out


def checksum(data: bytes) -> int:
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@pytest.mark.parametrize(("ours", "theirs"), [("192.0.2.1", "198.51.100.7"), ("2001:db8::1", "2001:db8::7")])
@pytest.mark.parametrize("outbound", [False, True])
@pytest.mark.parametrize("payload", [b"x", bytes(range(172))])
def test_a_datagram(ours: str, theirs: str, outbound: bool, payload: bytes) -> None:
    trace = Trace(ours, 20000, 20001)
    trace.put(payload, theirs, 4444, 1_700_000_000_123_456_789, outbound=outbound)
    ((kind, body),) = blocks(trace.take())
    interface, high, low, captured, original = struct.unpack_from("<IIIII", body)
    assert (kind, interface, high << 32 | low, captured) == (6, 0, 1_700_000_000_123_456_789, original)
    packet, options = body[20 : 20 + captured], body[20 + captured + -captured % 4 :]
    assert options == struct.pack("<HHIHH", 2, 4, 2 if outbound else 1, 0, 0)
    source, target = ((ours, 20000), (theirs, 4444))[:: 1 if outbound else -1]
    host = len(ip_address(ours).packed)
    ip, udp = (packet[:40], packet[40:]) if host == 16 else (packet[:20], packet[20:])
    assert ip[-2 * host :] == ip_address(source[0]).packed + ip_address(target[0]).packed
    if host == 4:
        assert checksum(ip) == 0xFFFF
        assert struct.unpack_from("!H", ip, 2)[0] == len(packet)
    else:
        assert struct.unpack_from("!H", ip, 4)[0] == len(udp)
    assert struct.unpack_from("!HHH", udp) == (source[1], target[1], len(udp))
    assert checksum(ip[-2 * host :] + struct.pack("!IHH", len(udp), 0, 17) + udp) == 0xFFFF
    assert udp[8:] == payload


def test_reports_have_the_odd_port() -> None:
    trace = Trace("127.0.0.1", 20000, 20001)
    trace.put(b"report", "127.0.0.1", 4445, 0, outbound=True, control=True)
    ((_, body),) = blocks(trace.take())
    assert struct.unpack_from("!HH", body, 40) == (20001, 4445)
    assert trace.take() == b""


def test_memory_has_a_limit() -> None:
    trace = Trace("127.0.0.1", 20000, 20001)
    for _ in range(20_000):
        trace.put(bytes(1000), "127.0.0.1", 4444, 0, outbound=False)
    assert 0 < trace.lost < 20_000
    assert len(blocks(trace.take())) == 20_000 - trace.lost


def test_addresses() -> None:
    with pytest.raises(ValueError, match="no"):
        Trace("example.org", 1, 2)
    trace = Trace("127.0.0.1", 1, 2)
    for host in ("::1", "example.org"):
        with pytest.raises(ValueError, match="no"):
            trace.put(b"x", host, 1, 0, outbound=False)
