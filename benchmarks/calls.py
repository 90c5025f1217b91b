"""Many calls by hand: INVITE, ACK and BYE over one UDP socket, their media at the generator's port.

The set-up is paced: what is measured are calls that are up, not how many can begin at once (``call_setup.py``). A 503
means what it says: try again later.
"""

from __future__ import annotations

import asyncio
import base64
import re
import socket

__all__ = ["SUITE", "Calls"]

SUITE = "AES_CM_128_HMAC_SHA1_80"

_AT_ONCE = 10
_PER_SECOND = 100
_RETRY_S = 0.5
_SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio {port} RTP/{profile} 0\r\na=ptime:20\r\n{crypto}"
)
_WANTED = (r"^To: *(.*?)\r", r"^Contact: *<(.*?)>", r"^m=audio (\d+)")


def _field(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE | re.IGNORECASE)
    if found is None:
        raise RuntimeError(f"{pattern} is missing: {text}")
    return found[1]


class _Socket(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.waiting: dict[str, asyncio.Future[str]] = {}

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        text = data.decode()
        status = re.match(r"SIP/2.0 (\d+)", text)
        call = re.search(r"^Call-ID: *(\S+)", text, re.MULTILINE | re.IGNORECASE)
        if status is None or call is None or int(status[1]) < 200:
            return
        waiting = self.waiting.pop(call[1], None)
        if waiting is not None and not waiting.done():
            waiting.set_result(text)


class Calls:
    """``set_up`` returns the port of the gateway's media for each call, and the key of what comes from there."""

    def __init__(self, gateway: tuple[str, int], media_port: int, name: str = "bench", key: bytes = b"") -> None:
        """``key``: SRTP with AES_CM_128_HMAC_SHA1_80 is offered, and this key to open what we send."""
        self._gateway = gateway
        crypto = f"a=crypto:1 {SUITE} inline:{base64.b64encode(key).decode()}\r\n" if key else ""
        self._sdp = _SDP.format(port=media_port, profile="SAVP" if key else "AVP", crypto=crypto)
        self._name = name
        self._dialogs: list[tuple[str, str, str]] = []

    async def set_up(self, numbers: list[str]) -> list[tuple[int, bytes]]:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        sock.bind(("127.0.0.1", 0))
        loop = asyncio.get_running_loop()
        self._transport, self._socket = await loop.create_datagram_endpoint(_Socket, sock=sock)
        self._local = f"127.0.0.1:{sock.getsockname()[1]}"
        few = asyncio.Semaphore(_AT_ONCE)
        began = loop.time()

        async def one(number: int) -> tuple[int, bytes]:
            await asyncio.sleep(began + number / _PER_SECOND - loop.time())
            async with few:
                return await self._invite(number, numbers[number])

        return await asyncio.gather(*(one(number) for number in range(len(numbers))))

    async def hang_up(self) -> None:
        for sent, (number, to, target) in enumerate(self._dialogs):
            self._send(self._request("BYE", number, target, to, 2))
            if sent % _AT_ONCE == 0:
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.5)
        self._transport.close()

    def _request(self, method: str, number: str, target: str, to: str, sequence: int, body: str = "") -> str:
        return (
            f"{method} {target} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {self._local};branch=z9hG4bK{method}{number}{self._name}\r\n"
            f"From: <sip:bench@{self._local}>;tag={number}\r\nTo: {to}\r\nCall-ID: {number}@{self._name}\r\n"
            f"CSeq: {sequence} {method}\r\nContact: <sip:bench@{self._local}>\r\nMax-Forwards: 70\r\n"
            f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        )

    def _send(self, text: str) -> None:
        self._transport.sendto(text.encode(), self._gateway)

    async def _invite(self, number: int, called: str) -> tuple[int, bytes]:
        """The port of the call's media and its key. A refusal for want of capacity is followed by another call."""
        target = f"sip:{called}@{self._gateway[0]}:{self._gateway[1]}"
        for attempt in range(20):
            name = f"{number}.{attempt}"
            text = await self._answer(name, self._request("INVITE", name, target, f"<{target}>", 1, self._sdp))
            if text.startswith("SIP/2.0 200"):
                to, contact, port = (_field(pattern, text) for pattern in _WANTED)
                self._send(self._request("ACK", name, contact, to, 1))
                self._dialogs.append((name, to, contact))
                inline = re.search(r"^a=crypto:.* inline:([^\s|]+)", text, re.MULTILINE)
                return int(port), base64.b64decode(inline[1]) if inline else b""
            self._send(self._request("ACK", name, target, _field(_WANTED[0], text), 1))
            if not text.startswith("SIP/2.0 503"):
                raise RuntimeError(text)
            await asyncio.sleep(_RETRY_S)
        raise RuntimeError(f"call {number} was refused {attempt + 1} times")

    async def _answer(self, name: str, invite: str) -> str:
        """The final one."""
        for _ in range(10):
            answer = asyncio.get_running_loop().create_future()
            self._socket.waiting[f"{name}@{self._name}"] = answer
            self._send(invite)
            try:
                return await asyncio.wait_for(answer, 2.0)
            except TimeoutError:
                continue
        raise RuntimeError(f"no answer to call {name}")
