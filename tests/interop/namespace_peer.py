"""What runs inside a network namespace, told by its arguments; one line of JSON on standard output for each event.

registrar HOST               a registrar in fifty lines: it calls whoever has registered where the request came from
account HOST REGISTRAR       registers there, with a keep-alive each second, and answers calls
answer HOST ROUTE            answers calls
dial HOST FIRST SECOND       calls, and again for each line on standard input, the first server before the second
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress
from typing import Any

from gateway.net.endpoint import EndpointDriver, open_endpoint
from gateway.net.options import SignallingOptions
from gateway.net.transport import Listen
from gateway.sdp import offer
from gateway.sip.events import Answered, Event, Invited
from gateway.sip.flow import Hop
from gateway.sip.options import RegistrationOptions

PAUSE_S = 6


def tell(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


class Peer:
    def __init__(self, host: str) -> None:
        self.host = host
        self.sip: EndpointDriver
        self.news = asyncio.Event()
        self.answered: Answered | None = None

    def hear(self, event: Event) -> None:
        if isinstance(event, Invited):
            tell("invited", source=event.flow.remote[0])
            self.sip.answer(event.call, offer((self.host, 20000), 1))
        elif isinstance(event, Answered):
            self.answered = event
            self.news.set()

    async def open(self, **failover: str) -> None:
        options = SignallingOptions.model_validate({"failover": failover} if failover else {})
        self.sip = await open_endpoint(options, listen=[Listen("udp", self.host, 5060)], on_event=self.hear)


class Registrar(asyncio.DatagramProtocol):
    """Grants what is asked, and remembers only where it came from."""

    def __init__(self) -> None:
        self.source: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        lines = data.decode().split("\r\n")
        if not lines[0].startswith("REGISTER"):
            return
        kept = [line for line in lines if line.partition(":")[0] in ("From", "To", "Call-ID", "CSeq", "Contact")]
        via = next(line for line in lines if line.startswith("Via"))
        via = via.replace(";rport", f";rport={addr[1]};received={addr[0]}")
        answer = "\r\n".join(["SIP/2.0 200 OK", via, *kept, "Expires: 600", "Content-Length: 0", "", ""])
        self.transport.sendto(answer.encode(), addr)  # type: ignore[attr-defined]
        if not self.source.done():
            self.source.set_result(addr)


async def registrar(host: str) -> None:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Registrar, local_addr=(host, 5070))
    tell("ready")
    source = await protocol.source
    transport.close()
    tell("bound", source=source[0])
    # The call must come from where the registration went, or the NAT lets nothing in.
    began = time.monotonic()
    await asyncio.sleep(PAUSE_S)
    peer = Peer(host)
    peer.sip = await open_endpoint(SignallingOptions(), listen=[Listen("udp", host, 5070)], on_event=peer.hear)
    peer.sip.invite("sip:alice@10.77.1.2", offer((host, 20000), 1), caller="carrier", remote=source)
    await peer.news.wait()
    tell("answered", after_s=round(time.monotonic() - began, 1))
    await until_input_ends()
    await peer.sip.close(patience=0.2)


async def account(host: str, where: str) -> None:
    peer = Peer(host)
    await peer.open()
    options = RegistrationOptions.model_validate(
        {"registrar": f"sip:{where}:5070", "user": "alice", "keep_alive": "1s"}
    )
    peer.sip.register(options)
    tell("ready")
    await until_input_ends()
    await peer.sip.close(patience=0.2)


async def answer(host: str, route: str) -> None:
    peer = Peer(host)
    await peer.open()
    tell("ready", route=route)
    await until_input_ends()
    await peer.sip.close(patience=0.2)


async def dial(host: str, *servers: str) -> None:
    peer = Peer(host)
    await peer.open(after="500ms")
    tries: list[str] = []
    peer.sip.on_message = lambda data, flow, out: tries.append(flow.remote[0]) if data[:6] == b"INVITE" else None
    tell("ready")
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while True:
        tries.clear()
        peer.news.clear()
        hops = [Hop("udp", (server, 5060)) for server in servers]
        call = peer.sip.invite("sip:1@carrier.test", offer((servers[0], 20000), 1), caller="alice", remote=hops)
        await peer.news.wait()
        tell("answered", by=tries[-1], tries=len(set(tries)))
        peer.sip.hang_up(call)
        if not await lines.readline():
            break
    await peer.sip.close(patience=0.2)


async def until_input_ends() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    with suppress(ConnectionError):
        await reader.read()


if __name__ == "__main__":
    role, *arguments = sys.argv[1:]
    asyncio.run({"registrar": registrar, "account": account, "answer": answer, "dial": dial}[role](*arguments))
