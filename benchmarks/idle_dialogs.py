"""Answered calls that only wait, with session timers: memory of each, and the processor that keeps them alive.

The endpoint alone, in virtual time: no sockets, no media. Each call is refreshed by us, with UPDATE, every 15
minutes (half of the interval, RFC 4028 10), and the peer answers each.
"""

from __future__ import annotations

import argparse
import gc
import random
import time
from pathlib import Path

from gateway.sdp import offer
from gateway.sip.endpoint import Endpoint
from gateway.sip.flow import Flow
from gateway.sip.message import Request
from gateway.sip.options import EndpointOptions
from gateway.sip.parser import parse
from gateway.units import SECOND, Nanos

US, THEM = ("192.0.2.1", 5060), ("192.0.2.2", 5060)
SDP = offer((THEM[0], 4000), 1)


def resident_kb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4.096


def request(method: str, number: int, to: str, more: str = "", body: bytes = b"") -> bytes:
    text = (
        f"{method} sip:agent@{US[0]} SIP/2.0\r\nVia: SIP/2.0/UDP {THEM[0]};branch=z9hG4bK{method}{number}\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:caller@{THEM[0]}>;tag=9\r\nTo: {to}\r\nCall-ID: call{number}\r\n"
        f"CSeq: 1 {method}\r\nContact: <sip:caller@{THEM[0]}>\r\n{more}"
        f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return text.encode() + body


def establish(endpoint: Endpoint, flow: Flow, number: int, now: Nanos) -> None:
    timers = "Supported: timer\r\nAllow: UPDATE\r\nSession-Expires: 1800;refresher=uas\r\n"
    endpoint.receive(request("INVITE", number, f"<sip:agent@{US[0]}>", timers, SDP), flow, now)
    endpoint.answer(number, SDP, now)
    ok = parse(endpoint.outgoing()[-1].data)
    endpoint.receive(request("ACK", number, ok.get("To") or ""), flow, now)
    endpoint.events()


def run(endpoint: Endpoint, flow: Flow, end: Nanos) -> int:
    """Until then; returns how many refreshes were answered."""
    refreshes = 0
    while (wake := endpoint.next_timer()) is not None and wake <= end:
        endpoint.handle_timer(wake)
        for datagram in endpoint.outgoing():
            update = parse(datagram.data)
            assert isinstance(update, Request)
            assert update.method == "UPDATE"
            copied = [f"{name}: {update.get(name)}" for name in ("Via", "From", "To", "Call-ID", "CSeq")]
            lines = ["SIP/2.0 200 OK", *copied, "Session-Expires: 1800;refresher=uac", "Content-Length: 0", "", ""]
            endpoint.receive("\r\n".join(lines).encode(), flow, wake)
            refreshes += 1
        endpoint.events()
    return refreshes


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--calls", type=int, default=10_000)
    calls = arguments.parse_args().calls
    options = EndpointOptions(max_calls=calls, max_transactions=4 * calls)
    endpoint, flow = Endpoint(options, random.Random(1), US), Flow("udp", US, THEM)
    gc.collect()
    before, now = resident_kb(), 0
    for number in range(1, calls + 1):
        now += SECOND // 1000
        establish(endpoint, flow, number, Nanos(now))
    run(endpoint, flow, Nanos(60 * SECOND))
    gc.collect()
    print(f"{endpoint.calls} calls, {endpoint.transactions} transactions")
    print(f"{(resident_kb() - before) / calls:.1f} KB a call")
    started = time.process_time()
    refreshes = run(endpoint, flow, Nanos(1860 * SECOND))
    spent = time.process_time() - started
    print(f"half an hour: {refreshes} refreshes, {100 * spent / 1800:.2f}% of a core, the peer's part included")
    gc.collect()
    print(f"{endpoint.calls} calls, {(resident_kb() - before) / calls:.1f} KB a call")


if __name__ == "__main__":
    main()
