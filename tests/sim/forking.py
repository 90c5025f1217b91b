"""A proxy that forks every call to all of its phones, and is otherwise out of the way: it asks for no Record-Route."""

from __future__ import annotations

from gateway.sip.events import Event
from gateway.sip.flow import Address, Datagram, Flow
from gateway.sip.message import Request, Response
from gateway.sip.parser import parse
from gateway.sip.responses import build_response
from gateway.units import Nanos
from tests.sim.network import Host

__all__ = ["Fork"]


class Fork(Host):
    """Transaction stateful as far as RFC 3261 16.7 wants it: it acknowledges refusals itself, and passes one on when
    every phone has refused. What it sends arrives, so it need not repeat anything."""

    careful = True

    def __init__(self, address: Address, phones: list[Address]) -> None:
        self.address = address
        self.endpoint = self  # type: ignore[assignment]
        self.told: list[Event] = []
        self.calls = self.transactions = 0
        self._phones = phones
        self._out: list[Datagram] = []
        self._callers: dict[str, Address] = {}  # a branch of ours -> who is told what comes of it
        self._invites: dict[str, Request] = {}  # ... -> what we have sent
        self._refused: dict[str, set[int]] = {}  # the caller's branch -> phones that have refused

    def drain(self, now: Nanos) -> list[Datagram]:
        out, self._out = self._out, []
        return out

    def next_timer(self) -> Nanos | None:
        return None

    def receive(self, data: bytes, flow: Flow, now: Nanos) -> None:
        message = parse(data)
        if isinstance(message, Response):
            self._on_response(message)
        elif isinstance(message, Request) and message.method in ("INVITE", "CANCEL"):
            if message.method == "INVITE":
                self._send(build_response(message, 100), flow.remote)
            self._fan_out(message, flow.remote)

    def _fan_out(self, request: Request, caller: Address) -> None:
        """An ACK that comes here is of a refusal, which we have acknowledged already; all else goes to the Contact."""
        for number, phone in enumerate(self._phones):
            branch = f"{request.via.branch}-{number}"
            via = ("Via", f"SIP/2.0/UDP {self.address[0]}:{self.address[1]};branch={branch}")
            copy = Request(request.method, request.uri, [via, *request.headers], request.body)
            self._callers[branch] = caller
            if request.method == "INVITE":
                self._invites[branch] = copy
            self._send(copy, phone)

    def _on_response(self, response: Response) -> None:
        branch = response.via.branch
        caller, inner = self._callers.get(branch), branch.rpartition("-")
        if caller is None or response.status == 100:
            return
        headers = list(response.headers)
        headers.remove(next(one for one in headers if one[0] == "Via"))
        upstream = Response(response.status, response.reason, headers, response.body)
        if response.cseq.method == "INVITE" and response.status >= 300:
            self._follow(self._invites[branch], "ACK", response.get("To") or "")
            refused = self._refused.setdefault(inner[0], set())
            refused.add(int(inner[2]))
            if len(refused) < len(self._phones):
                return
        elif response.cseq.method == "INVITE" and response.status >= 200:
            for number in set(range(len(self._phones))) - {int(inner[2])}:
                invite = self._invites[f"{inner[0]}-{number}"]
                self._follow(invite, "CANCEL", invite.get("To") or "")  # RFC 3261 16.7, step 10
        self._send(upstream, caller)

    def _follow(self, invite: Request, method: str, to: str) -> None:
        """CANCEL, or the ACK of a refusal: same branch (RFC 3261 9.1, 17.1.1.3)."""
        kept = [one for one in invite.headers if one[0] in ("From", "Call-ID", "Max-Forwards")]
        via = next(one for one in invite.headers if one[0] == "Via")
        phone = self._phones[int(invite.via.branch.rpartition("-")[2])]
        more = [("To", to), ("CSeq", f"{invite.cseq.number} {method}")]
        self._send(Request(method, invite.uri, [via, *kept, *more]), phone)

    def _send(self, message: Request | Response, remote: Address) -> None:
        self._out.append(Datagram(message.encode(), Flow("udp", self.address, remote)))
