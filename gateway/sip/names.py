"""Names of header fields: compact forms (RFC 3261 7.3.3, IANA) and every spelling that peers use, one name."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from gateway.errors import SipError

__all__ = ["KNOWN", "canonical"]

_COMPACT: Final = {
    "i": "Call-ID", "m": "Contact", "e": "Content-Encoding", "l": "Content-Length", "c": "Content-Type", "f": "From",
    "s": "Subject", "k": "Supported", "t": "To", "v": "Via", "o": "Event", "r": "Refer-To", "b": "Referred-By",
    "u": "Allow-Events", "x": "Session-Expires", "j": "Reject-Contact", "a": "Accept-Contact", "y": "Identity",
    "d": "Request-Disposition", "n": "Identity-Info",
}  # fmt: skip
_FULL: Final = (
    "Accept", "Accept-Encoding", "Accept-Language", "Alert-Info", "Allow", "Authorization", "CSeq", "Call-ID",
    "Call-Info", "Contact", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length",
    "Content-Type", "Date", "Diversion", "Error-Info", "Expires", "From", "History-Info", "In-Reply-To",
    "MIME-Version", "Max-Forwards", "Min-Expires", "Min-SE", "Organization", "P-Asserted-Identity",
    "P-Preferred-Identity", "Path", "Priority", "Privacy", "Proxy-Authenticate", "Proxy-Authorization",
    "Proxy-Require", "RAck", "RSeq", "Reason", "Record-Route", "Refer-To", "Referred-By", "Remote-Party-ID",
    "Replaces", "Reply-To", "Require", "Retry-After", "Route", "Server", "Service-Route", "Session-Expires",
    "Session-ID", "Subject", "Supported", "Timestamp", "To", "Unsupported", "User-Agent", "User-to-User", "Via",
    "WWW-Authenticate", "Warning",
)  # fmt: skip
KNOWN: Final[dict[str, str]] = {
    **_COMPACT, **{name.upper(): full for name, full in _COMPACT.items()},
    **{name: name for name in _FULL}, **{name.lower(): name for name in _FULL},
    **{name.upper(): name for name in _FULL},
}  # fmt: skip
_TOKEN: Final = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")


@lru_cache(maxsize=512)
def canonical(name: str) -> str:
    """Canonical spelling of a header name. Raises ``SipError`` 400 if it is not a token (RFC 3261 25.1)."""
    name = name.rstrip(" \t")
    if not _TOKEN.fullmatch(name):
        raise SipError(400, "Bad Request", "RFC 3261 7.3.1: malformed header name")
    return KNOWN.get(name.lower()) or "-".join(part.capitalize() for part in name.split("-"))
