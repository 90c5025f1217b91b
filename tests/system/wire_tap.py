"""An independent listener between a caller and the gateway: imports nothing of ours, knows nothing of either.

It relays one call's SIP (rewriting the session description, so that RTP comes past it as well) and RTP, decodes mu-law
with a table made from ITU-T G.711 here, and stamps each packet by the kernel. It ends when its standard input does, and
then writes what it heard as one JSON object: ``{"caller": [[stamp_ns, dbfs], ...], "gateway": [...]}``.

    python tests/system/wire_tap.py 127.0.0.1:5060      # prints the address to call instead
"""

from __future__ import annotations

import json
import math
import re
import select
import socket
import struct
import sys
import time

HOST = "127.0.0.1"
SO_TIMESTAMPNS = 35  # asm-generic/socket.h; Python has no name for it before 3.14
BLOCK = 40  # 5 ms


def decode(byte: int) -> int:
    """G.711 table 2a: sign, three bits of segment, four of step; 16-bit scale."""
    byte = ~byte & 0xFF
    magnitude = ((((byte & 0x0F) << 3) + 0x84) << ((byte & 0x70) >> 4)) - 0x84
    return -magnitude if byte & 0x80 else magnitude


SQUARES = [decode(byte) ** 2 for byte in range(256)]


def level(payload: bytes) -> float:
    """Of the loudest 5 ms, in dB of full scale."""
    loudest = max((sum(SQUARES[b] for b in payload[n : n + BLOCK]) for n in range(0, len(payload), BLOCK)), default=0)
    return 10 * math.log10(max(loudest / BLOCK, 1.0) / 32768**2)


class Tap:
    def __init__(self, gateway: tuple[str, int]) -> None:
        self.gateway = gateway
        self.sip = self._bind()
        self.towards = {"caller": self._bind(), "gateway": self._bind()}  # the RTP socket that faces each side
        self.media: dict[str, tuple[str, int]] = {}
        self.heard: dict[str, list[tuple[int, float]]] = {"caller": [], "gateway": []}
        self.caller: tuple[str, int] | None = None
        self.offset = time.time_ns() - time.monotonic_ns()

    @staticmethod
    def _bind() -> socket.socket:
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        bound.bind((HOST, 0))
        return bound

    def run(self) -> None:
        print(json.dumps({"sip": self.sip.getsockname()[1]}), flush=True)
        sources = [self.sip, *self.towards.values(), sys.stdin]
        while True:
            ready, _, _ = select.select(sources, [], [])
            if sys.stdin in ready:
                return
            for source in ready:
                if source is self.sip:
                    self.relay_sip()
                else:
                    self.relay_rtp("caller" if source is self.towards["caller"] else "gateway")

    def relay_sip(self) -> None:
        data, source = self.sip.recvfrom(65535)
        if source == self.gateway:
            if self.caller is not None:
                self.sip.sendto(self.rewrite(data, "gateway"), self.caller)
        else:
            self.caller = source
            self.sip.sendto(self.rewrite(data, "caller"), self.gateway)

    def rewrite(self, data: bytes, side: str) -> bytes:
        """Notes where ``side`` wants its RTP, and tells the other side to send it to us."""
        head, _, body = data.partition(b"\r\n\r\n")
        media = re.search(rb"m=audio (\d+) ", body)
        address = re.search(rb"c=IN IP4 (\S+)", body)
        if media is None or address is None:
            return data
        self.media[side] = (address[1].decode(), int(media[1]))
        other = "gateway" if side == "caller" else "caller"
        port = self.towards[other].getsockname()[1]
        body = body.replace(address[0], b"c=IN IP4 " + HOST.encode()).replace(media[0], b"m=audio %d " % port)
        head = re.sub(rb"(?im)^(content-length|l)\s*:\s*\d+", b"Content-Length: %d" % len(body), head)
        return head + b"\r\n\r\n" + body

    def relay_rtp(self, side: str) -> None:
        data, ancillary, _, _ = self.towards[side].recvmsg(2048, 128)
        other = "gateway" if side == "caller" else "caller"
        if other in self.media:
            self.towards[other].sendto(data, self.media[other])
        stamp = time.monotonic_ns()
        for kind, name, value in ancillary:
            if (kind, name) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                seconds, nanoseconds = struct.unpack("qq", value[:16])
                stamp = seconds * 1_000_000_000 + nanoseconds - self.offset
        if len(data) > 12 and data[1] & 0x7F == 0:  # PCMU
            self.heard[side].append((stamp, round(level(data[12:]), 1)))


if __name__ == "__main__":
    host, _, port = sys.argv[1].rpartition(":")
    tap = Tap((host, int(port)))
    tap.run()
    print(json.dumps(tap.heard), flush=True)
