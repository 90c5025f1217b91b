"""What a provider's refusal means: will another attempt help, was it asked too much, when may it be asked again?

One place for the rules that the providers share (RFC 9110 15, RFC 6455 7.4.1, and the headers of their own clients);
a dialect adds what only its provider means.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

from gateway.errors import ProviderError
from gateway.providers.dialect import Fault
from gateway.units import MS, SECOND, Nanos

__all__ = ["broken", "close_fault", "http_fault", "is_quota", "retry_after", "to_error"]

_TRANSIENT: Final = {408, 409, 425, 429, 498}
"""Below 500. 498 is Groq's "no capacity"."""
_BUSY: Final = {429, 498, 529}
_PERMANENT_CLOSES: Final = {1002, 1003, 1007, 1008, 1009, 1010}
_BUSY_CLOSES: Final = {1013}
_QUOTA: Final = ("insufficient_quota", "quota_exceeded", "credit_balance", "billing", "payment_required")
"""In a 429's body: money, which no pause brings back."""
_SHOWN: Final = 200
"""Characters of a refusal that a log line shows."""


def http_fault(status: int, headers: Mapping[str, str], body: bytes | str) -> Fault:
    """An HTTP answer that refuses. Names of ``headers`` are in lower case."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    reason = _reason(text) or headers.get("dg-error", "")
    transient = status >= 500 or status in _TRANSIENT
    if status == 429 and is_quota(text):
        transient = False
    match headers.get("x-should-retry"):
        case "true":
            transient = True
        case "false":
            transient = False
    said = f"HTTP {status}{f': {reason}' if reason else ''}"
    return Fault(said, transient, transient and status in _BUSY, retry_after(headers) if transient else None)


def close_fault(code: int | None, reason: str) -> Fault:
    """A WebSocket that the server closed, or that was lost (no code)."""
    said = f"the connection was closed: {code or 'without a word'}{f' {reason[:_SHOWN]}' if reason else ''}"
    return Fault(said, code not in _PERMANENT_CLOSES, code in _BUSY_CLOSES)


def retry_after(headers: Mapping[str, str]) -> Nanos | None:
    """``retry-after-ms``, or ``Retry-After`` in seconds or as a date (RFC 9110 10.2.3) by the server's own clock."""
    try:
        if "retry-after-ms" in headers:
            return _pause(float(headers["retry-after-ms"]) * MS)
        value = headers.get("retry-after")
        if value is None:
            return None
        if value.replace(".", "", 1).isdecimal():
            return _pause(float(value) * SECOND)
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers["date"])
        return _pause(wait.total_seconds() * SECOND)
    except (ValueError, TypeError, KeyError, OverflowError):
        return None


def is_quota(text: str) -> bool:
    """The account is out of money, not out of breath."""
    return any(word in text for word in _QUOTA)


def broken(error: Exception) -> Fault:
    """The provider sent what its dialect cannot read."""
    return Fault(f"it sent what cannot be read: {type(error).__name__}: {str(error)[:_SHOWN]}", transient=True)


def to_error(provider: str, fault: Fault) -> ProviderError:
    return ProviderError(
        provider, fault.text, transient=fault.transient, busy=fault.busy, retry_after=fault.retry_after
    )


def _pause(nanoseconds: float) -> Nanos | None:
    return Nanos(round(nanoseconds)) if 0 <= nanoseconds < 86_400 * SECOND else None


def _reason(text: str) -> str:
    """The sentence in an error body, whatever shape it has."""
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        found = text
    for _ in range(3):
        if not isinstance(found, dict):
            break
        found = next((found[key] for key in ("error", "message", "detail", "err_msg", "reason") if found.get(key)), "")
    return str(found).strip()[:_SHOWN]
