"""A transaction on a bench: a virtual clock, and what it sent and told, with the time."""

from __future__ import annotations

from gateway.sip.flow import Datagram, Flow
from gateway.sip.message import Header, Request, Response
from gateway.sip.responses import build_response
from gateway.sip.transaction.base import Transaction
from gateway.sip.transaction.timers import Timers
from gateway.units import SECOND, Nanos

UDP = Flow("udp", ("10.0.0.1", 5060), ("10.0.0.2", 5060))
TCP = Flow("tcp", ("10.0.0.1", 5060), ("10.0.0.2", 5060))
TIMERS = Timers()


def message(method: str) -> Request:
    headers: list[Header] = [
        ("Via", "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1"), ("Max-Forwards", "70"), ("Route", "<sip:10.0.0.2;lr>"),
        ("From", "<sip:a@10.0.0.1>;tag=1"), ("To", "<sip:b@10.0.0.2>"), ("Call-ID", "x"), ("CSeq", f"7 {method}"),
    ]  # fmt: skip
    return Request(method, "sip:b@10.0.0.2", headers)


def response(status: int, method: str = "INVITE") -> Response:
    return build_response(message(method), status, tag="9")


class Bench:
    def __init__(self) -> None:
        self.outbox: list[Datagram] = []
        self.told: list[tuple[float, int | None]] = []
        self.now = Nanos(0)

    def tell(self, reply: Response | None, now: Nanos) -> None:
        self.told.append((now / SECOND, reply.status if reply else None))

    def sent(self) -> list[str]:
        """First words of what was sent since the last question."""
        words = [
            datagram.data.decode().split("\r\n")[0].removeprefix("SIP/2.0 ").split()[0] for datagram in self.outbox
        ]
        self.outbox.clear()
        return words

    def sending_times(self, machine: Transaction, until: float) -> list[float]:
        """Runs the machine's timers, and returns when something was sent, in seconds."""
        times: list[float] = []
        while machine.wake is not None and machine.wake <= until * SECOND:
            self.now = machine.wake
            before = len(self.outbox)
            machine.handle_timer(self.now)
            times += [self.now / SECOND] * (len(self.outbox) - before)
        self.outbox.clear()
        self.now = Nanos(round(until * SECOND))
        return times
