"""What SIP costs: µs for an INVITE parsed, and for a whole six-message call through one endpoint.

    python benchmarks/kernels/sip_parser.py

CPU time of this process, best of several rounds, so that a busy machine changes the figures little. "Lazy" is what
``parse`` does; "read" adds the values that an endpoint looks at; the call is INVITE, 100, 180, 200, ACK, BYE, 200 as
one side lives it, with nobody else's work in the figure.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gateway.sdp import answer, offer
from gateway.sip.endpoint import Endpoint
from gateway.sip.events import Answered, Ended, Invited
from gateway.sip.flow import Flow
from gateway.sip.options import EndpointOptions
from gateway.sip.parser import parse
from gateway.units import Nanos

CALLER, CALLEE = ("127.0.0.1", 5070), ("127.0.0.1", 5060)
BODY = offer(("127.0.0.1", 20000), 1)
INVITE = (
    "INVITE sip:pizza@127.0.0.1:5060 SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-{n};rport\r\n"
    "Max-Forwards: 70\r\n"
    'From: "Alice" <sip:alice@127.0.0.1:5070>;tag=1928301774\r\n'
    "To: <sip:pizza@127.0.0.1:5060>\r\n"
    "Call-ID: a84b4c76e66710-{n}@127.0.0.1\r\n"
    "CSeq: 314159 INVITE\r\n"
    "Contact: <sip:alice@127.0.0.1:5070>\r\n"
    "User-Agent: benchmark\r\n"
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\n"
    "Supported: replaces\r\n"
    "Content-Type: application/sdp\r\n"
    f"Content-Length: {len(BODY)}\r\n\r\n"
)


def best(work: Callable[[], int], rounds: int = 7) -> float:
    """µs of CPU time per unit; ``work`` returns how many units it did."""
    figures = []
    for _ in range(rounds):
        start = time.process_time_ns()
        units = work()
        figures.append((time.process_time_ns() - start) / units / 1000)
    return min(figures)


def parse_only() -> int:
    data = INVITE.format(n=1).encode() + BODY
    for _ in range(5000):
        parse(data)
    return 5000


def parse_and_read() -> int:
    data = INVITE.format(n=1).encode() + BODY
    for _ in range(2000):
        message = parse(data)
        _ = message.via, message.from_, message.to, message.cseq, message.contact, message.call_id
    return 2000


class Watch:
    """Both sides of one call, with the time spent in each."""

    def __init__(self) -> None:
        options = EndpointOptions()
        self.caller = Endpoint(options, random.Random(1), CALLER)
        self.callee = Endpoint(options, random.Random(2), CALLEE)
        self.spent = {self.caller: 0, self.callee: 0}
        self.now = Nanos(0)

    def timed(self, side: Endpoint, work: Callable[..., object], *args: object) -> list[bytes]:
        """Runs ``work(*args, now)`` and everything that a driver does after it."""
        start = time.process_time_ns()
        work(*args, self.now)
        out = [item.data for item in side.outgoing()]
        side.next_timer()
        self.spent[side] += time.process_time_ns() - start
        return out

    def call(self, caller: str) -> None:
        to_callee, to_caller = Flow("udp", CALLEE, CALLER), Flow("udp", CALLER, CALLEE)
        target = "sip:pizza@127.0.0.1:5060"
        wire = self.timed(self.caller, lambda now: self.caller.invite(target, BODY, now, caller=caller))
        toward_callee, ended = True, 0
        while wire or ended < 2:
            side, flow = (self.callee, to_callee) if toward_callee else (self.caller, to_caller)
            replies = []
            for data in wire:
                replies += self.timed(side, side.receive, data, flow)
            for event in side.events():
                replies += self.react(side, event)
                ended += isinstance(event, Ended)
            for event in side.events():
                ended += isinstance(event, Ended)
            wire, toward_callee = replies, not toward_callee

    def react(self, side: Endpoint, event: object) -> list[bytes]:
        if isinstance(event, Invited):
            sdp = answer(event.sdp or b"", CALLEE, 2).sdp
            ringing = self.timed(side, side.ring, event.call)
            return ringing + self.timed(side, side.answer, event.call, sdp)
        if isinstance(event, Answered):
            return self.timed(side, side.hang_up, event.call)
        return []


def calls() -> tuple[float, float]:
    """µs per call for the calling and for the called side. Time runs on, so that finished transactions are cleared."""
    figures = []
    for _ in range(5):
        watch = Watch()
        for number in range(1000):
            watch.call(f"+1555{number:07}")
            watch.now = Nanos(watch.now + 50_000_000)
            for side in (watch.caller, watch.callee):
                watch.timed(side, side.handle_timer)
        figures.append((watch.spent[watch.caller] / 1e6, watch.spent[watch.callee] / 1e6))
    return min(caller for caller, _ in figures), min(callee for _, callee in figures)


def main() -> None:
    print(f"parse an INVITE, lazy       {best(parse_only):7.1f} µs")
    print(f"parse an INVITE, and read   {best(parse_and_read):7.1f} µs")
    caller, callee = calls()
    print(f"six-message call, called    {callee:7.1f} µs")
    print(f"six-message call, calling   {caller:7.1f} µs")


if __name__ == "__main__":
    main()
