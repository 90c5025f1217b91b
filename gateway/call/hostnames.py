"""Names where a description should have an address (``c=IN IP4 media.example``, RFC 8866 5.7): legal, and rare."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final

from gateway.errors import RemoteError

__all__ = ["is_named", "numeric"]

_NAMED: Final = re.compile(rb"^(c=IN IP([46]) )((?=[0-9.-]*[A-Za-z])[A-Za-z0-9.-]{1,253})(?=\s|\Z)", re.MULTILINE)
_MOST: Final = 4
"""A caller that names more hosts than a call has streams wants to keep our resolver busy."""

Lookup = Callable[[str, bool], Awaitable[str]]
"""Name, and whether an IPv6 address is wanted."""


def is_named(sdp: bytes | None) -> bool:
    return sdp is not None and _NAMED.search(sdp) is not None


async def numeric(sdp: bytes, lookup: Lookup) -> bytes:
    """With addresses instead of names. What has none stays, and is refused as what it is."""
    found: dict[tuple[bytes, bytes], bytes] = {}
    for match in _NAMED.finditer(sdp):
        key = match[2], match[3]
        if key not in found and len(found) < _MOST:
            try:
                found[key] = (await lookup(match[3].decode("ascii"), match[2] == b"6")).encode()
            except RemoteError:
                found[key] = match[3]
    return _NAMED.sub(lambda match: match[1] + found.get((match[2], match[3]), match[3]), sdp)
