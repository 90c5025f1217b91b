"""Why a call was refused or ended, as headers: Reason (RFC 3326) and Warning (RFC 3261 20.43)."""

from __future__ import annotations

from gateway.errors import SipError
from gateway.sip.causes import to_q850
from gateway.sip.message import Header, Message, Response
from gateway.sip.responses import warning
from gateway.sip.values import parse_parameters, plain, quote

__all__ = ["cause_header", "reason_header", "reason_text", "refusal_headers", "refusal_text"]


def reason_header(text: str, cause: int = 16) -> list[Header]:
    """Reason for BYE and CANCEL (RFC 3326); Q.850 cause 16 is normal clearing."""
    return [("Reason", f"Q.850;cause={cause};text={quote(text)}")] if text else []


def cause_header(status: int, text: str = "") -> Header:
    """What a refusal means in the telephone network, for gateways on the way (RFC 6432, RFC 3398 8.2.6.1)."""
    return "Reason", f"Q.850;cause={to_q850(status)}" + (f";text={quote(text)}" if text else "")


def refusal_headers(host: str, rule: str, code: int, status: int, reason: str | None) -> list[Header]:
    """Why we refuse, for whoever reads a capture. A redirect is no end, and has no cause."""
    headers = [warning(host, rule, code)] if rule else []
    return [*headers, cause_header(status, reason or "")] if status >= 400 else headers


def refusal_text(response: Response) -> str:
    """Why a call was refused, as the peer tells it: Reason or the reason phrase, and its Warning's text (20.43)."""
    why = reason_text(response) or plain(response.reason)
    _, quote_mark, warned = (response.get("Warning") or "").partition('"')
    return f"{why}: {plain(warned.rpartition(quote_mark)[0])}" if quote_mark else why


def reason_text(message: Message) -> str:
    """What the peer's Reason header says, printable; ``""`` without one."""
    value = message.get("Reason") or ""
    _, semicolon, rest = value.partition(";")
    try:
        parameters = parse_parameters(semicolon + rest)
    except SipError:
        parameters = {}
    text = parameters.get("text")
    return plain(text or value.strip())
