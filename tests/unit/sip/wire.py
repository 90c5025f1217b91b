"""One endpoint, and a peer made of text: what a tester outside sees."""

from __future__ import annotations

import random

from gateway.sdp import offer
from gateway.sip.endpoint import Endpoint
from gateway.sip.events import Event
from gateway.sip.flow import Flow
from gateway.sip.message import Message, Request, Response
from gateway.sip.options import EndpointOptions
from gateway.sip.parser import parse
from gateway.units import SECOND, Nanos

US, THEM = ("10.0.0.1", 5060), ("10.0.0.2", 5070)
SDP = offer(("10.0.0.2", 4000), 1)


class Wire:
    """Sends text to the endpoint and keeps what comes back. ``later`` moves the clock."""

    def __init__(self, **options: object) -> None:
        self.endpoint = Endpoint(EndpointOptions(**options), random.Random(1), US)  # type: ignore[arg-type]
        self.now = Nanos(0)
        self.flow = Flow("udp", US, THEM)

    def later(self, seconds: float) -> list[Message]:
        """Runs every timer until then, and returns what was sent."""
        end = Nanos(self.now + round(seconds * SECOND))
        while (wake := self.endpoint.next_timer()) is not None and wake <= end:
            self.now = wake
            self.endpoint.handle_timer(wake)
        self.now = end
        return self.sent()

    def send(self, data: str | bytes, flow: Flow | None = None) -> list[Message]:
        if isinstance(data, str):
            data = data.encode()
        self.endpoint.receive(data, flow or self.flow, self.now)
        return self.sent()

    def sent(self) -> list[Message]:
        return [parse(item.data) for item in self.endpoint.outgoing()]

    def events(self) -> list[Event]:
        return list(self.endpoint.events())

    def invite(self, sdp: bytes = SDP, **changes: str) -> list[Message]:
        return self.send(request("INVITE", body=sdp, **changes))

    def established(self) -> Response:
        """A call that was answered and confirmed; its handle is 1. Returns the 200."""
        self.invite()
        self.endpoint.answer(1, SDP, self.now)
        ok = self.sent()[-1]
        assert isinstance(ok, Response)
        self.send(request("ACK", to=ok.get("To") or "", branch="ack"))
        self.events()
        return ok


def request(method: str = "INVITE", *, body: bytes = b"", **changes: str) -> bytes:
    """A request from the peer. ``changes`` name what differs: ``uri``, ``to``, ``branch``, ``cseq``, ``more`` ..."""
    have = {
        "uri": "sip:pizza@10.0.0.1", "to": "<sip:pizza@10.0.0.1>", "branch": "one", "cseq": "1", "call_id": "abc",
        "from_tag": "9", "via": "10.0.0.2:5070", "more": "", "method_in_cseq": method, "hops": "70", "params": "",
        "contact": "Contact: <sip:alice@10.0.0.2:5070>\r\n" if method == "INVITE" else "",
        "type": "Content-Type: application/sdp\r\n" if body else "",
    } | changes  # fmt: skip
    text = (
        f"{method} {have['uri']} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {have['via']};branch=z9hG4bK{have['branch']}{have['params']}\r\n"
        f'Max-Forwards: {have["hops"]}\r\nFrom: "Alice" <sip:alice@10.0.0.2>;tag={have["from_tag"]}\r\n'
        f"To: {have['to']}\r\nCall-ID: {have['call_id']}\r\nCSeq: {have['cseq']} {have['method_in_cseq']}\r\n"
        f"{have['contact']}{have['more']}{have['type']}Content-Length: {len(body)}\r\n\r\n"
    )
    return text.encode() + body


def reply(to: Message, status: int, *, tag: str = "7", more: str = "", body: bytes = b"", cseq: str = "") -> bytes:
    """The peer's response to a request of ours."""
    assert isinstance(to, Request)
    text = f"SIP/2.0 {status} Whatever\r\nVia: {to.get('Via')}\r\nFrom: {to.get('From')}\r\nTo: {to.get('To')}"
    text += f";tag={tag}" if tag and ";tag=" not in (to.get("To") or "") else ""
    text += f"\r\nCall-ID: {to.call_id}\r\nCSeq: {cseq or to.get('CSeq')}\r\n{more}"
    text += "Content-Type: application/sdp\r\n" if body else ""
    return (text + f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def statuses(messages: list[Message]) -> list[int | str]:
    """Statuses of responses, methods of requests."""
    return [message.status if isinstance(message, Response) else message.method for message in messages]  # type: ignore[attr-defined]
