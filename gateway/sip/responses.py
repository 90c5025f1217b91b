"""Building responses (RFC 3261 8.2.6) and saying where they go (18.2.1, 18.2.2, RFC 3581)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from gateway.errors import SipError
from gateway.sip.dialog import is_numeric
from gateway.sip.flow import WEBSOCKETS, Flow
from gateway.sip.message import Header, Request, Response
from gateway.sip.values import Via, quote

__all__ = ["ACCEPT", "ALLOW", "METHODS", "build_response", "phrase", "reply_flow", "stamp_via", "warning"]

METHODS: Final = ("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "UPDATE", "PRACK", "INFO", "REFER", "NOTIFY")
ALLOW: Final[Header] = ("Allow", ", ".join(METHODS))
ACCEPT: Final[Header] = ("Accept", "application/sdp, multipart/mixed")

_REASONS: Final = {
    100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued", 183: "Session Progress", 200: "OK",
    202: "Accepted", 302: "Moved Temporarily", 400: "Bad Request", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 406: "Not Acceptable", 408: "Request Timeout", 410: "Gone",
    413: "Request Entity Too Large", 415: "Unsupported Media Type", 416: "Unsupported URI Scheme",
    420: "Bad Extension", 422: "Session Interval Too Small", 469: "Bad Info Package", 480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 483: "Too Many Hops", 484: "Address Incomplete",
    486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here", 489: "Bad Event", 491: "Request Pending",
    500: "Server Internal Error", 501: "Not Implemented", 503: "Service Unavailable", 504: "Server Time-out",
    505: "Version Not Supported", 513: "Message Too Large", 600: "Busy Everywhere", 603: "Decline",
    606: "Not Acceptable",
}  # fmt: skip


def phrase(status: int) -> str:
    return _REASONS.get(status, "Unknown")


def build_response(
    request: Request, status: int, reason: str = "", *, tag: str = "", headers: Iterable[Header] = (), body: bytes = b""
) -> Response:
    """A response to ``request``: Via stack, From, To (with our ``tag`` if it has none), Call-ID and CSeq copied."""
    copied: list[Header] = [header for header in request.headers if header[0] == "Via"]
    to = request.get("To") or ""
    copied += [
        ("From", request.get("From") or ""),
        ("To", f"{to};tag={tag}" if tag and not _is_tagged(request) else to),
        ("Call-ID", request.get("Call-ID") or ""),
        ("CSeq", request.get("CSeq") or ""),
    ]
    timestamp = request.get("Timestamp") if status == 100 else None
    if timestamp:
        copied.append(("Timestamp", timestamp))  # RFC 3261 8.2.6.1
    return Response(status, reason or phrase(status), [*copied, *headers], body)


def _is_tagged(request: Request) -> bool:
    """What cannot be read is copied as it came (RFC 4475 3.1.2.6)."""
    try:
        return bool(request.to.tag)
    except SipError:
        return True


def warning(host: str, rule: str, code: int = 399) -> Header:
    """Warning header: why a request was refused (RFC 3261 20.43)."""
    return "Warning", f"{code} {host} {quote(rule)}"


def reply_flow(via: Via, flow: Flow) -> Flow:
    """Where responses go: the source, at its own port if it asked with ``rport``, else at the port of sent-by. Those to
    a connection go back by it, and to the port of sent-by once it is gone (RFC 3261 18.2.2)."""
    if flow.transport in WEBSOCKETS:
        return flow  # a browser listens nowhere (RFC 7118 5)
    if flow.reliable:
        host = "" if is_numeric(via.host.strip("[]")) else via.host
        return replace(flow, listens_at=(flow.remote[0], via.sent_by[1]), host=host)
    if "rport" in via.parameters:
        return flow
    port = via.port or 5060
    return flow if port == flow.remote[1] else Flow(flow.transport, flow.local, (flow.remote[0], port))


def stamp_via(request: Request, flow: Flow) -> Request:
    """Adds ``received`` where sent-by differs from the source, and fills ``rport`` (RFC 3261 18.2.1, RFC 3581 4)."""
    via = request.via
    host, port = flow.remote
    asks_port = via.parameters.get("rport") == ""
    if via.host.strip("[]") == host and not asks_port:
        return request
    sent_by = via.host if via.port is None else f"{via.host}:{via.port}"
    items = [f"SIP/2.0/{via.transport} {sent_by}"]
    for name, value in via.parameters.items():
        if name in ("received", "rport"):
            continue
        items.append(f"{name}={value}" if value else name)
    # RFC 3581 4: whoever fills rport adds received too, even if it equals sent-by.
    items.append(f"received={host}")
    if asks_port:
        items.append(f"rport={port}")
    elif "rport" in via.parameters:
        items.append(f"rport={via.parameters['rport']}")
    return request.with_top_via(";".join(items))
