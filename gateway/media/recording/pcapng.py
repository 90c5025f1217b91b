"""SIP messages as blocks of a pcapng file, and such blocks in the order of time.

https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html. Datagrams come as blocks already
(``codecs_ext/trace.pyx``); a message of a stream is put into TCP segments
with counted sequence numbers, so that Wireshark finds SIP in it.
"""

from __future__ import annotations

import re
import struct
from ipaddress import ip_address
from typing import Final

__all__ = ["Segments", "file_head", "in_order", "redact"]

_SECTION: Final = 0x0A0D0D0A
_INTERFACE: Final = 1
_PACKET: Final = 6
_LINKTYPE_RAW: Final = 101
_TCP, _UDP = 6, 17
_MTU: Final = 65_000
_SECRETS: Final = re.compile(
    rb'(?<=inline:)[A-Za-z0-9+/=]+|(?<=response=")[0-9A-Fa-f]+|(?<=^a=ice-pwd:)[^\r\n]+', re.MULTILINE
)


def redact(message: bytes) -> bytes:
    """SRTP keys and digest responses as so many ``x``: no length changes."""
    return _SECRETS.sub(lambda match: b"x" * len(match[0]), message)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def file_head(comment: str) -> bytes:
    """Section header and the one interface: raw IP, times in nanoseconds."""
    section = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
    section += _option(4, b"Linecard") + _option(1, comment.encode()) + _option(0, b"")
    interface = struct.pack("<HHI", _LINKTYPE_RAW, 0, 0) + _option(9, b"\x09") + _option(0, b"")
    return _block(_SECTION, section) + _block(_INTERFACE, interface)


def _packet(time: int, data: bytes, *, outbound: bool, comment: str) -> bytes:
    head = struct.pack("<IIIII", 0, time >> 32, time & 0xFFFF_FFFF, len(data), len(data))
    options = _option(2, struct.pack("<I", 2 if outbound else 1))
    options += _option(1, comment.encode()) if comment else b""
    return _block(_PACKET, head + data + bytes(-len(data) % 4) + options + _option(0, b""))


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _ip(source: bytes, target: bytes, protocol: int, segment: bytes) -> bytes:
    """A packet without fragmentation, whose transport checksum lies where the protocol has it."""
    pseudo = source + target + struct.pack("!IHBB", len(segment), 0, 0, protocol)
    place = 6 if protocol == _UDP else 16
    segment = segment[:place] + struct.pack("!H", _checksum(pseudo + segment) or 0xFFFF) + segment[place + 2 :]
    if len(source) == 16:
        return struct.pack("!IHBB", 0x6000_0000, len(segment), protocol, 64) + source + target + segment
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0x4000, 64, protocol, 0) + source + target
    return head[:10] + struct.pack("!H", _checksum(head)) + head[12:] + segment


class Segments:
    """Turns the messages of one call into blocks; knows how far each direction of a stream is."""

    def __init__(self) -> None:
        self._sent: dict[tuple[bytes, int, bytes, int], int] = {}

    def message(
        self,
        time: int,
        transport: str,
        local: tuple[str, int],
        remote: tuple[str, int],
        data: bytes,
        *,
        outbound: bool,
    ) -> bytes:
        """``time`` in nanoseconds since 1970. A local address of the other family is written as zeros."""
        here, there = self._addresses(local[0], remote[0])
        source, target = ((here, local[1]), (there, remote[1]))[:: 1 if outbound else -1]
        comment = "" if transport in ("udp", "tcp") else f"sent by {transport}, shown as it was before encryption"
        if transport == "udp":
            segment = struct.pack("!HHHH", source[1], target[1], 8 + len(data), 0) + data
            return _packet(time, _ip(source[0], target[0], _UDP, segment), outbound=outbound, comment=comment)
        return b"".join(
            _packet(time, _ip(source[0], target[0], _TCP, self._segment(source, target, piece)),
                    outbound=outbound, comment=comment)
            for piece in (data[at : at + _MTU] for at in range(0, len(data), _MTU))
        )  # fmt: skip

    @staticmethod
    def _addresses(local: str, remote: str) -> tuple[bytes, bytes]:
        here, there = ip_address(local.partition("%")[0]), ip_address(remote.partition("%")[0])
        if here.version != there.version:
            here = ip_address("::" if there.version == 6 else "0.0.0.0")
        return here.packed, there.packed

    def _segment(self, source: tuple[bytes, int], target: tuple[bytes, int], data: bytes) -> bytes:
        sequence = self._sent.get((*source, *target), 1)
        self._sent[*source, *target] = (sequence + len(data)) & 0xFFFF_FFFF
        acknowledged = self._sent.get((*target, *source), 1)
        head = struct.pack("!HHIIBBHHH", source[1], target[1], sequence, acknowledged, 0x50, 0x18, 0xFFFF, 0, 0)
        return head + data


def in_order(blocks: bytes, messages: list[tuple[int, bytes]]) -> bytes:
    """Packet blocks, which are in order of time, and messages with their times, put in order together."""
    if not messages:
        return blocks
    out: list[bytes] = []
    at = 0
    for time, message in sorted(messages, key=lambda one: one[0]):
        begin = at
        while at < len(blocks):
            _, length, _, high, low = struct.unpack_from("<IIIII", blocks, at)
            if high << 32 | low > time:
                break
            at += length
        out += (blocks[begin:at], message)
    return b"".join((*out, blocks[at:]))
