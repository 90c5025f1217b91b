"""Names to addresses, off the event loop's thread. RFC 3263 (NAPTR, SRV) is not read yet: host and port are."""

from __future__ import annotations

import asyncio
import socket

from gateway.errors import RemoteError, SipError
from gateway.sip.flow import Address
from gateway.sip.uri import parse_uri

__all__ = ["resolve"]


async def resolve(target: str) -> Address:
    """Address that a SIP URI is reached at. Raises ``RemoteError`` for what is no SIP URI or has no address."""
    try:
        host, port = parse_uri(target).address
    except SipError as error:
        raise RemoteError(f"{target!r} is not a SIP URI ({error.rule})") from None
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM, family=socket.AF_INET)
    except OSError as error:
        raise RemoteError(f"{host!r} has no address ({error.strerror})") from None
    return str(found[0][4][0]), port
