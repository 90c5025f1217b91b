"""Dialogs (RFC 3261 12): identity, sequence numbers, route set, remote target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address, ip_network
from typing import Final

from gateway.errors import SipError
from gateway.sip.flow import SECURE, WEBSOCKETS, Address, Flow, Listener, flow_to
from gateway.sip.memo import memo
from gateway.sip.message import Header, Message, Request, Response
from gateway.sip.uri import Uri, parse_uri
from gateway.sip.values import parse_address

__all__ = ["Dialog", "is_numeric", "next_hop"]

_INSIDE: Final = [
    ip_network(net)
    for net in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10",
    )
]  # fmt: skip
_MAX_FORWARDS: Final[Header] = ("Max-Forwards", "70")


class Dialog:
    """One dialog, seen from us. ``local`` and ``remote`` are the values that From and To of our requests carry."""

    __slots__ = (
        "_listeners", "_sent_by", "call_id", "flow", "local", "local_cseq", "local_tag", "remote", "remote_cseq",
        "remote_tag", "remote_target", "route_set",
    )  # fmt: skip

    def __init__(self, call_id: str, *, local_tag: str, local: str, remote_tag: str, remote: str, flow: Flow) -> None:
        self.call_id = call_id
        self.local_tag = local_tag
        self.local = local
        self.remote_tag = remote_tag
        self.remote = remote
        self.flow = flow
        self._listeners: Sequence[Listener] = ()
        self._sent_by: Address | None = None
        self.local_cseq = 0
        self.remote_cseq: int | None = None
        self.remote_target = ""
        self.route_set: tuple[str, ...] = ()

    @classmethod
    def for_server(cls, request: Request, local_tag: str, flow: Flow, listeners: Sequence[Listener] = ()) -> Dialog:
        """From an INVITE that came in (RFC 3261 12.1.1): Record-Route is taken in order."""
        local = f"{request.get('To')};tag={local_tag}"
        remote = request.get("From") or ""
        dialog = cls(
            request.call_id, local_tag=local_tag, local=local, remote_tag=request.from_.tag, remote=remote, flow=flow
        )
        dialog._listeners, dialog._sent_by = listeners, request.via.sent_by
        dialog.remote_cseq = request.cseq.number
        dialog.route_set = tuple(request.all("Record-Route"))
        dialog.refresh_target(request)
        return dialog

    @classmethod
    def for_client(cls, request: Request, response: Response, flow: Flow, listeners: Sequence[Listener] = ()) -> Dialog:
        """From a response to our INVITE (RFC 3261 12.1.2): Record-Route is reversed."""
        local, remote = request.get("From") or "", response.get("To") or ""
        tag = request.from_.tag
        dialog = cls(request.call_id, local_tag=tag, local=local, remote_tag=response.to.tag, remote=remote, flow=flow)
        dialog._listeners = listeners
        dialog.local_cseq = request.cseq.number
        dialog.route_set = tuple(reversed(response.all("Record-Route")))
        dialog.remote_target = request.uri
        dialog.refresh_target(response)
        return dialog

    def refresh_target(self, message: Message) -> None:
        """INVITE and its 2xx renew the remote target (RFC 3261 12.2.1.2, 12.2.2)."""
        contact = message.contact
        if contact is not None:
            self.remote_target = contact.uri_text

    def accept_cseq(self, request: Request) -> None:
        """Raises ``SipError`` 500 if the request is older than the last one (RFC 3261 12.2.2)."""
        number = request.cseq.number
        if self.remote_cseq is not None and number < self.remote_cseq:
            raise SipError(500, "Server Internal Error", "RFC 3261 12.2.2: CSeq is lower than the last one")
        self.remote_cseq = number

    def request(
        self, method: str, via: str, *, headers: Iterable[Header] = (), body: bytes = b"", cseq: int | None = None
    ) -> Request:
        """A request within the dialog (12.2.1.1); ``cseq`` is given for ACK only, which repeats its INVITE's."""
        if cseq is None:
            self.local_cseq += 1
        number = self.local_cseq if cseq is None else cseq
        uri, routes = self._request_uri()
        fixed: list[Header] = [("Via", via), _MAX_FORWARDS, *(("Route", route) for route in routes)]
        fixed += [("From", self.local), ("To", self.remote), ("Call-ID", self.call_id), ("CSeq", f"{number} {method}")]
        return Request(method, uri, [*fixed, *headers], body)

    def _request_uri(self) -> tuple[str, tuple[str, ...]]:
        if not self.route_set:
            return self.remote_target, ()
        first = parse_address(self.route_set[0])
        if first.uri.parameter("lr") is not None:
            return self.remote_target, self.route_set
        # A strict router expects itself in the Request-URI, and the target at the end of Route.
        return first.uri_text, (*self.route_set[1:], f"<{self.remote_target}>")

    def next_flow(self) -> Flow:
        """Where our requests go: the first route, else the remote target, by the transport that it names. A name that
        nobody has resolved, an address of the other IP version, or a transport that we do not speak falls back to the
        flow that the dialog came by.

        So does whoever has sent the INVITE over a connection of its own and is also the next hop: it is reached by that
        connection. This is for its own dialog alone, so it gives nobody another's calls (RFC 5923 8)."""
        flow = self.flow
        if flow.transport in WEBSOCKETS and not self.route_set:
            return flow  # nobody connects to a browser (RFC 7118 5)
        uri = parse_address(self.route_set[0]).uri if self.route_set else parse_uri(self.remote_target)
        address = next_hop(uri)
        if address is None or (":" in address[0]) != (":" in flow.local[0]):
            return flow
        if _is_inside(address[0]) and not _is_inside(flow.remote[0]):
            return flow  # a peer behind a NAT names an address that ends there: it is where its INVITE came from
        transport = (uri.parameter("transport") or "").lower() or flow.transport
        if flow.ours.sips and transport not in SECURE:
            transport = "tls"
        host = "" if flow.listens_at is not None else flow.host  # whom we have called has told us this address
        if transport != flow.transport:
            return flow_to(self._listeners, transport, address, host, flow) or flow
        if flow.listens_at is not None and address in (flow.listens_at, self._sent_by):
            return flow
        return Flow(transport, flow.local, address, host=host, names=flow.names, ours=flow.ours)


@memo
def _is_inside(host: str) -> bool:
    """Whether an address means something only within its own network (RFC 1918, 6598, 4193, link-local)."""
    address = ip_address(host)
    return any(address.version == net.version and address in net for net in _INSIDE)


@memo
def is_numeric(host: str) -> bool:
    """Whether a host is an IP address; names need a resolver (RFC 3263), which is not the core's business."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def next_hop(uri: Uri) -> Address | None:
    """Address that a request for ``uri`` goes to, or ``None`` if it is a name."""
    return uri.address if uri.scheme in ("sip", "sips") and is_numeric(uri.address[0]) else None
