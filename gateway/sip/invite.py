"""The INVITE of a call that we place: as it is sent first, and as it is sent again."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.sip.context import Context
from gateway.sip.flow import Flow
from gateway.sip.message import Header, Request
from gateway.sip.responses import ACCEPT, ALLOW
from gateway.sip.session_timer import LEAST, Role, request_headers
from gateway.units import SECOND

__all__ = ["new_invite", "renewed_invite"]


def new_invite(
    context: Context,
    flow: Flow,
    target: str,
    user: str,
    *,
    sdp: bytes,
    headers: Iterable[Header],
    call_id: str,
    tag: str,
    sender: str = "",
) -> Request:
    """``sender`` is From if it is not ``user`` at our address. Without ``sdp`` the far end makes the offer."""
    at = "@" if user else ""
    sender = sender or f"<sip:{user}{at}{context.host(flow)}>"
    fixed: list[Header] = [
        ("Via", context.via(flow)), ("Max-Forwards", "70"), ("From", f"{sender};tag={tag}"), ("To", f"<{target}>"),
        ("Call-ID", call_id), ("CSeq", "1 INVITE"), context.contact(flow, user), ALLOW, ACCEPT,
        _supported(context, sdp), *_expiry(context, LEAST),
    ]  # fmt: skip
    if context.options.user_agent:
        fixed.append(("User-Agent", context.options.user_agent))
    described = [("Content-Type", "application/sdp")] if sdp else []
    return Request("INVITE", target, [*fixed, *headers, *described], sdp)


def renewed_invite(context: Context, last: Request, flow: Flow, uri: str, *, number: int, least: int) -> Request:
    """The same INVITE without the credentials it had, with a longer session interval or another target: the next CSeq
    and a new branch, all else as it was (RFC 3261 22.1 and 8.1.3.4, RFC 4028 7.3)."""
    renewed = {"Via": context.via(flow), "CSeq": f"{number} INVITE"}
    headers = [
        (name, renewed.get(name, value))
        for name, value in last.headers
        if name not in ("Authorization", "Proxy-Authorization", "Session-Expires", "Min-SE")
    ]
    return Request("INVITE", uri, [*headers, *_expiry(context, least)], last.body)


def _supported(context: Context, sdp: bytes) -> Header:
    """Whoever makes no offer wants it in the 2xx, not in a reliable 183 (RFC 3262 5): one way is enough. A forking
    proxy may tell which phone rings no more (RFC 6228 4)."""
    names = [name for name in context.extensions if sdp or name != "100rel"]
    return "Supported", ", ".join([*names, "199"])


def _expiry(context: Context, least: int) -> list[Header]:
    options = context.options
    interval = None if options.session_expires is None else options.session_expires // SECOND
    refresher: Role = "uac" if options.session_refresher == "us" else "uas"
    return request_headers(interval, refresher, least)
