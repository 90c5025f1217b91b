"""Which transaction a message belongs to (RFC 3261 17.1.3, 17.2.3)."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from gateway.sip.message import Request, Response

__all__ = ["COOKIE", "client_key", "merge_key", "server_key"]

COOKIE: Final = "z9hG4bK"
"""Start of every branch that RFC 3261 peers make (8.1.1.7)."""


def server_key(request: Request, method: str | None = None) -> Hashable:
    """Branch, sent-by and method; ACK matches its INVITE. ``method`` asks for another one (CANCEL finds its INVITE).

    Without the cookie, or with nothing after it (RFC 4475 3.2.1): the RFC 2543 fields. The To tag is left out, because
    the ACK of a final response has the one that we added, while the INVITE had none.
    """
    method = method or request.method
    if method == "ACK":
        method = "INVITE"
    via = request.via
    if via.branch.startswith(COOKIE) and via.branch != COOKIE:
        return via.branch, via.sent_by, method
    top = (via.branch, *via.sent_by)
    return request.uri, request.from_.tag, request.call_id, request.cseq.number, top, method


def client_key(response: Response) -> Hashable:
    """Branch, which we made, and method of CSeq."""
    return response.via.branch, response.cseq.method


def merge_key(request: Request) -> Hashable:
    """Equal for two copies of one request that came by different ways (RFC 3261 8.2.2.2)."""
    return request.from_.tag, request.call_id, request.cseq.number, request.cseq.method
