"""A telephone of a hundred lines that shares nothing with the gateway: SIP as text, RTP by hand, plain UDP sockets."""

from __future__ import annotations

import asyncio
import random
import re
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.system import g711

SILENCE = bytes([0xFF]) * 160
T1 = 0.5  # RFC 3261 17.1.1.2: an INVITE over UDP is repeated after T1, 2 T1, 4 T1... until something comes back

_opened: list[asyncio.DatagramTransport] = []


class _Socket(asyncio.DatagramProtocol):
    def __init__(self, receive: Callable[[bytes, tuple[str, int]], None]) -> None:
        self.datagram_received = receive  # type: ignore[method-assign]


async def open_socket(receive: Callable[[bytes, tuple[str, int]], None]) -> asyncio.DatagramTransport:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Socket(receive), local_addr=("127.0.0.1", 0))
    _opened.append(transport)
    return transport


def close_all() -> None:
    """After every test: a test that failed leaves no socket to the next."""
    while _opened:
        _opened.pop().close()


@dataclass
class Heard:
    """One RTP packet that arrived."""

    at: float
    sequence: int
    timestamp: int
    marker: bool
    payload_type: int
    payload: bytes

    @property
    def level(self) -> float:
        return g711.rms(g711.decode(self.payload))


@dataclass
class Phone:
    """One call. ``codecs`` are the payload types that it offers."""

    server: tuple[str, int]
    number: str
    codecs: tuple[int, ...] = (0, 101)
    responses: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)

    async def open(self) -> Phone:
        self._sip = await open_socket(self._on_sip)
        self._rtp = await open_socket(self._on_rtp)
        self._changed = asyncio.Event()
        self.sip_port = self._sip.get_extra_info("sockname")[1]
        self.rtp_port = self._rtp.get_extra_info("sockname")[1]
        self.call_id = f"{random.getrandbits(48):x}@phone"
        self._tag, self._to, self._branch = f"{random.getrandbits(32):x}", f"<sip:{self.number}@127.0.0.1>", ""
        self._cseq = 0
        self.ssrc, self.sequence, self.timestamp = random.getrandbits(32), random.getrandbits(16), 0
        self.remote: tuple[str, int] = ("", 0)
        self.sent_at: list[float] = []
        return self

    def close(self) -> None:
        self._sip.close()
        self._rtp.close()

    # --- SIP ----------------------------------------------------------------------------------------------------------

    def request(self, method: str, body: str = "", *, cseq: int | None = None, branch: str = "") -> str:
        self._branch = branch or f"z9hG4bK{random.getrandbits(48):x}"
        content = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        return (
            f"{method} sip:{self.number}@{self.server[0]}:{self.server[1]} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.sip_port};branch={self._branch};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:+4930123456@127.0.0.1>;tag={self._tag}\r\nTo: {self._to}\r\n"
            f"Call-ID: {self.call_id}\r\nCSeq: {cseq or self._cseq} {method}\r\n"
            f"Contact: <sip:phone@127.0.0.1:{self.sip_port}>\r\n{content}"
        )

    def send(self, message: str | bytes) -> None:
        self._sip.sendto(message.encode() if isinstance(message, str) else message, self.server)

    def sdp(self, direction: str = "sendrecv") -> str:
        formats = " ".join(map(str, self.codecs))
        return (
            f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {self.rtp_port} RTP/AVP {formats}\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
        )

    def invite(self, body: str | None = None) -> None:
        self._cseq += 1
        message = self.request("INVITE", self.sdp() if body is None else body)
        self._invite_branch = self._branch
        self._send_until_answered(message, len(self.responses), T1)

    def _send_until_answered(self, message: str, responses: int, interval: float) -> None:
        if len(self.responses) == responses and not self._sip.is_closing():
            self.send(message)
            asyncio.get_running_loop().call_later(interval, self._send_until_answered, message, responses, 2 * interval)

    def ack(self) -> None:
        self.send(self.request("ACK"))

    def bye(self) -> None:
        self._cseq += 1
        self.send(self.request("BYE"))

    def cancel(self) -> None:
        self.send(self.request("CANCEL", branch=self._invite_branch))

    async def dial(self) -> Phone:
        """Up to the ACK."""
        await self.open()
        self.invite()
        await self.response(200)
        self.ack()
        return self

    async def response(self, status: int, method: str = "INVITE", timeout: float = 15) -> str:
        pattern = re.compile(rf"SIP/2.0 {status} .*^CSeq: \d+ {method}\b", re.DOTALL | re.MULTILINE | re.IGNORECASE)
        return await self._wait(lambda: next((r for r in self.responses if pattern.match(r)), None), timeout)

    async def asked(self, method: str, timeout: float = 15) -> str:
        return await self._wait(lambda: next((r for r in self.requests if r.startswith(method)), None), timeout)

    async def packets(self, condition: Callable[[list[Heard]], bool], timeout: float = 15) -> list[Heard]:
        """Waits until what was heard fulfils the condition."""
        return await self._wait(lambda: self.heard if condition(self.heard) else None, timeout)

    async def _wait(self, look: Callable[[], object], timeout: float) -> object:  # type: ignore[return]
        async with asyncio.timeout(timeout):
            while not (found := look()):
                self._changed.clear()
                await self._changed.wait()
            return found

    def _on_sip(self, data: bytes, source: tuple[str, int]) -> None:
        text = data.decode()
        if text.startswith("SIP/2.0"):
            self.responses.append(text)
            tagged = re.search(r"^To: (.*;tag=.*)\r$", text, re.MULTILINE | re.IGNORECASE)
            self._to = tagged[1] if tagged else self._to
            if media := re.search(r"^m=audio (\d+)", text, re.MULTILINE):
                host = re.search(r"^c=IN IP4 (\S+)", text, re.MULTILINE)
                self.remote = (host[1] if host else "", int(media[1]))
        else:
            self.requests.append(text)
            if text.startswith("BYE"):
                self._sip.sendto(self._ok(text).encode(), source)
        self._changed.set()

    def _ok(self, request: str) -> str:
        copied = re.findall(r"^(?:Via|From|To|Call-ID|CSeq):.*\r\n", request, re.MULTILINE | re.IGNORECASE)
        return "SIP/2.0 200 OK\r\n" + "".join(copied) + "Content-Length: 0\r\n\r\n"

    # --- RTP ----------------------------------------------------------------------------------------------------------

    def _on_rtp(self, data: bytes, source: tuple[str, int]) -> None:
        flags, kind, sequence, timestamp = struct.unpack("!BBHI", data[:8])
        assert flags == 0x80
        self.heard.append(Heard(time.monotonic(), sequence, timestamp, bool(kind & 0x80), kind & 0x7F, data[12:]))
        self._changed.set()

    def packet(self, payload: bytes, payload_type: int = 0) -> bytes:
        header = struct.pack(
            "!BBHII", 0x80, payload_type, self.sequence & 0xFFFF, self.timestamp & 0xFFFFFFFF, self.ssrc
        )
        self.sequence += 1
        self.timestamp += len(payload)  # G.711 and G.722 alike: the clock counts bytes
        return header + payload

    def send_rtp(self, data: bytes) -> None:
        self._rtp.sendto(data, self.remote)

    async def talk(self, payloads: Iterable[bytes]) -> None:
        """One packet every 20 ms on an absolute clock."""
        due = time.monotonic()
        for payload in payloads:
            await asyncio.sleep(max(0, due - time.monotonic()))
            self.sent_at.append(time.monotonic())
            self.send_rtp(self.packet(payload))
            due += 0.02
