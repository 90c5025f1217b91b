"""Names to addresses (RFC 3263): NAPTR says by which transports, SRV on which hosts and ports, A where these are.

A numeric host asks nothing. A port that is written down skips SRV, a ``transport=`` that is written down skips NAPTR.
Answers are kept for their TTL. What DNS does not know is asked of the system, which reads /etc/hosts.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Sequence
from functools import cache
from typing import Any, Final, Protocol

import dns.asyncresolver
import dns.exception
import dns.resolver

from gateway.errors import RemoteError, SipError
from gateway.sip.dialog import is_numeric
from gateway.sip.flow import SECURE, Address, Hop
from gateway.sip.uri import Uri, parse_uri

__all__ = ["Draw", "Resolver", "resolve", "shared_resolver"]

_NAPTR: Final = {"SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls"}
_SRV: Final = {"udp": "_sip._udp.", "tcp": "_sip._tcp.", "tls": "_sips._tcp."}
_PORTS: Final = {"tls": 5061, "ws": 80, "wss": 443}
_MOST: Final = 20
"""Servers that are looked at: a zone may list hundreds, and each costs a query."""
_CACHED: Final = 2_000


class Draw(Protocol):
    """What we need of ``random.Random``: servers of one priority share the load by their weights."""

    def randint(self, low: int, high: int, /) -> int: ...


class Resolver:
    """``nameservers`` and ``port`` are the system's unless they are given; ``patience`` is seconds for one question."""

    def __init__(
        self,
        *,
        nameservers: Sequence[str] = (),
        port: int = 53,
        patience: float = 2.0,
        draw: Draw | None = None,
    ) -> None:
        self._patience = patience
        self._draw = draw or random.Random()
        self._dns: dns.asyncresolver.Resolver | None = None
        try:
            self._dns = dns.asyncresolver.Resolver(configure=not nameservers)
        except dns.resolver.NoResolverConfiguration:
            return  # a machine without name servers: the system is asked
        self._dns.cache = dns.resolver.LRUCache(_CACHED)
        if nameservers:
            self._dns.nameservers, self._dns.port = list(nameservers), port

    async def locate(self, target: str, transports: Sequence[str] = ("udp",), *, ipv6: bool = False) -> list[Hop]:
        """Servers of a SIP URI for the ``transports`` that we speak, the preferred first. Raises ``RemoteError``."""
        try:
            uri = parse_uri(target)
        except SipError as error:
            raise RemoteError(f"{target!r} is not a SIP URI ({error.rule})") from None
        host = uri.host.strip("[]").rstrip(".")
        if uri.scheme not in ("sip", "sips") or not host:
            raise RemoteError(f"{target!r} is not a SIP URI that can be called")
        written = (uri.parameter("transport") or "").lower()
        if uri.scheme == "sips":  # never by anything else (RFC 3263 4.1); transport=tcp means TLS over it (RFC 5630)
            written = written if written in SECURE else "tls" if written else ""
            transports = [name for name in transports if name in SECURE] or ["tls"]
        first = written or transports[0]
        port = uri.port or _PORTS.get(first, 5060)
        if is_numeric(host):
            return [Hop(first, (host, port))]
        if uri.port is not None or host == "localhost":
            places = [(first, host, port)]
        else:
            places = await self._places(uri, host, [written] if written else transports) or [(first, host, port)]
        places = places[:_MOST]
        names = list(dict.fromkeys(name for _, name, _ in places))
        known = await asyncio.gather(*(self._addresses(name, ipv6=ipv6) for name in names))
        addresses = dict(zip(names, known, strict=True))
        found = [Hop(transport, (address, port)) for transport, name, port in places for address in addresses[name]]
        if not found:
            raise RemoteError(f"{host!r} has no address")
        return list(dict.fromkeys(found))[:_MOST]

    async def address(self, name: str, *, ipv6: bool) -> str:
        """One address of a host, of that version. Raises ``RemoteError``."""
        for found in await self._addresses(name.rstrip("."), ipv6=ipv6):
            if (":" in found) == ipv6:
                return found
        raise RemoteError(f"{name} has no address for IPv{6 if ipv6 else 4}")

    async def _places(self, uri: Uri, host: str, transports: Sequence[str]) -> list[tuple[str, str, int]]:
        """Transport, host name and port of each server that SRV knows (RFC 3263 4.1, 4.2)."""
        services = [] if uri.parameter("transport") else await self._services(host, transports)
        if not services:
            services = [(name, f"{_SRV[name]}{host}") for name in transports if name in _SRV]
        places: list[tuple[str, str, int]] = []
        closed = False
        answers = await asyncio.gather(*(self._ask(name, "SRV") for _, name in services))
        for (transport, _), records in zip(services, answers, strict=True):
            if len(records) == 1 and str(records[0].target) == ".":
                closed = True  # RFC 2782: decidedly not offered, so its address is not to be tried either
                continue
            places += [(transport, _text(one.target), one.port) for one in self._in_order(records)]
        if closed and not places:
            raise RemoteError(f"{host!r} does not offer SIP by {' or '.join(transports)}")
        return places

    async def _services(self, host: str, transports: Sequence[str]) -> list[tuple[str, str]]:
        """What NAPTR offers of the transports that we speak: the transport, and the name to ask SRV for."""
        records = await self._ask(host, "NAPTR")
        records.sort(key=lambda one: (one.order, one.preference))
        offered = [(_NAPTR.get(one.service.decode("ascii", "replace").upper(), ""), one) for one in records[:_MOST]]
        return [
            (transport, _text(one.replacement))
            for transport, one in offered
            if transport in transports and one.flags.lower() == b"s"
        ]

    def _in_order(self, records: list[Any]) -> list[Any]:
        """By priority; within one, drawn by weight, those of weight 0 with the smallest chance (RFC 2782)."""
        ordered: list[Any] = []
        for priority in sorted({one.priority for one in records}):
            group = sorted((one for one in records if one.priority == priority), key=lambda one: one.weight > 0)
            while group:
                lot = self._draw.randint(0, sum(one.weight for one in group))
                for one in group:
                    lot -= one.weight
                    if lot <= 0:
                        break
                group.remove(one)
                ordered.append(one)
        return ordered

    async def _addresses(self, name: str, *, ipv6: bool) -> list[str]:
        found: list[str] = []
        if name != "localhost":  # RFC 6761 6.3: never a question for DNS
            kinds = ("A", "AAAA") if ipv6 else ("A",)
            for records in await asyncio.gather(*(self._ask(name, kind) for kind in kinds)):
                found += [str(one.address) for one in records]
        return found[:_MOST] or await self._system(name, ipv6=ipv6)

    async def _ask(self, name: str, kind: str) -> list[Any]:
        """Records, none if there are none or nobody says so: what follows is then tried without them."""
        if self._dns is None:
            return []
        try:
            return list(await self._dns.resolve(name, kind, lifetime=self._patience, search=False))
        except (dns.exception.DNSException, OSError, ValueError):
            return []

    @staticmethod
    async def _system(name: str, *, ipv6: bool) -> list[str]:
        family = socket.AF_UNSPEC if ipv6 else socket.AF_INET
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(name, None, type=socket.SOCK_DGRAM, family=family)
        except (OSError, UnicodeError):
            return []
        return [str(one[4][0]) for one in found][:_MOST]


def _text(name: Any) -> str:
    return str(name.to_text(omit_final_dot=True))


@cache
def shared_resolver() -> Resolver:
    """One cache for the whole process."""
    return Resolver()


async def resolve(target: str, transport: str = "udp") -> Address:
    """First address of a SIP URI for the transport that it names, else for ``transport``. Raises ``RemoteError``."""
    return (await shared_resolver().locate(target, [transport]))[0].address
