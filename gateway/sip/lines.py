"""Header fields that a user adds: what may be added, and what the stack alone may write."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from gateway.errors import MisuseError
from gateway.sip.message import Header
from gateway.sip.names import canonical
from gateway.sip.values import plain

__all__ = ["checked"]

_TOKEN: Final = re.compile(r"[A-Za-z0-9.!%*_+`'~-]{1,128}")
_OURS: Final = frozenset(
    ("Via", "From", "To", "Call-ID", "CSeq", "Contact", "Route", "Record-Route", "Max-Forwards", "Content-Length",
     "Content-Type", "Authorization", "Proxy-Authorization", "RSeq", "RAck", "Refer-To", "Refer-Sub", "Event",
     "Subscription-State")
)  # fmt: skip
"""Two of them would let two readers see two calls."""
_MAX_CHARS: Final = 4_096


def checked(headers: Iterable[Header]) -> list[Header]:
    """Canonical names and one-line values. Raises ``MisuseError``: whoever hands on what a caller or a model has said
    finds out here, and not on the wire."""
    result = []
    for name, value in headers:
        if not _TOKEN.fullmatch(name) or (full := canonical(name)) in _OURS:
            raise MisuseError(f"header {plain(name)!r} cannot be added")
        if plain(value.replace("\t", " ")) != value.replace("\t", " ") or len(value) > _MAX_CHARS:
            raise MisuseError(f"header {full!r} holds a line break, a control character, or too much")
        result.append((full, value))
    return result
