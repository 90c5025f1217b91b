"""Who may cost us something. Asked before anything is parsed, by source address, without I/O.

Trunks' addresses, and those that we have sent a request to, pass. A stranger has a bucket of tokens, all strangers
together have another, and what overflows is dropped without a word. A stranger that is refused again and again (an
extension sweep, guessed passwords, garbage), or that says it is a scanner, is banned for a while: looked up in a set,
and nothing else. Every table is bounded, the oldest entry goes first.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from gateway.net.options import DefenceOptions
from gateway.units import SECOND, Nanos

__all__ = ["Ban", "Defence"]

_SCANNERS: Final = re.compile(
    rb"\r\nUser-Agent[ \t]*:[^\r\n]{0,80}"
    rb"(?:friendly-scanner|sipvicious|sipcli|sip-?scan|sippts|pplsip|sundayddr|friendly-request|iwar|sivus|smap"
    rb"|vaxsipuseragent|siparmyknife|gulp)",
    re.IGNORECASE,
)
_LOOKED_AT: Final = 2_000
"""Bytes in which a scanner's name is looked for."""
_WINDOW: Final = 60 * SECOND
"""Within which refusals add up."""


@dataclass(frozen=True, slots=True)
class Ban:
    host: str
    why: str
    until: Nanos


_NEVER: Final = Nanos(0)


@dataclass(slots=True)
class _Stranger:
    tokens: float
    filled: Nanos
    strikes: int = 0
    since: Nanos = _NEVER


class Defence:
    """``known`` says whether an address belongs to a trunk, ``on_ban`` hears of each new ban."""

    def __init__(
        self,
        options: DefenceOptions,
        known: Callable[[str], bool] = lambda host: False,
        on_ban: Callable[[Ban], None] = lambda ban: None,
    ) -> None:
        self.banned: OrderedDict[str, Ban] = OrderedDict()
        """By address; the transports look here first. Oldest first, so those that end first."""
        self.counts: dict[str, int] = {"scanner": 0, "refusals": 0}
        """Bans so far, by what has brought them."""
        self._options = options
        self._known = lru_cache(maxsize=options.max_sources)(known)
        self._on_ban = on_ban
        self._strangers: OrderedDict[str, _Stranger] = OrderedDict()
        self._trusted: OrderedDict[str, Nanos] = OrderedDict()
        self._everybody = _Stranger(options.total_rate, Nanos(0))

    def is_stranger(self, host: str, now: Nanos) -> bool:
        return not self._known(host) and self._trusted.get(host, 0) <= now

    def admits(self, host: str, data: bytes, now: Nanos) -> bool:
        """Whether a message may be parsed."""
        if self._known(host) or self._trusted.get(host, 0) > now:
            return True
        options = self._options
        if options.strangers == "drop" or host in self.banned:
            return False
        if not _take(self._everybody, options.total_rate, options.total_rate, now):
            return False
        if not _take(self._stranger(host, now), options.rate, options.burst, now):
            self.strike(host, "limit: sip.defence.rate", now)
            return False
        if _SCANNERS.search(data, 0, _LOOKED_AT):
            self._ban(host, "scanner", "the User-Agent of a scanner", now)
            return False
        return True

    def strike(self, host: str, why: str, now: Nanos) -> None:
        """A stranger was refused."""
        if not self.is_stranger(host, now) or host in self.banned:
            return
        one = self._stranger(host, now)
        if now - one.since > _WINDOW:
            one.since, one.strikes = now, 0
        one.strikes += 1
        if one.strikes >= self._options.strikes:
            self._ban(host, "refusals", f"{one.strikes} refusals within a minute, the last: {why}", now)

    def trust(self, host: str, now: Nanos) -> None:
        """We have sent a request there, or it has shown who it is. Its answers, and what follows, are expected."""
        if self._known(host):
            return
        self._trusted[host] = Nanos(now + self._options.trust)
        self._trusted.move_to_end(host)
        if len(self._trusted) > self._options.max_sources:
            self._trusted.popitem(last=False)

    def sweep(self, now: Nanos) -> None:
        """Ends the bans whose time is over."""
        while self.banned and next(iter(self.banned.values())).until <= now:
            self.banned.popitem(last=False)

    def _ban(self, host: str, cause: str, why: str, now: Nanos) -> None:
        self.counts[cause] += 1
        ban = self.banned[host] = Ban(host, why, Nanos(now + self._options.ban))
        self._strangers.pop(host, None)
        if len(self.banned) > self._options.max_sources:
            self.banned.popitem(last=False)
        self._on_ban(ban)

    def _stranger(self, host: str, now: Nanos) -> _Stranger:
        one = self._strangers.get(host)
        if one is None:
            one = self._strangers[host] = _Stranger(self._options.burst, now)
            if len(self._strangers) > self._options.max_sources:
                self._strangers.popitem(last=False)
        else:
            self._strangers.move_to_end(host)
        return one


def _take(bucket: _Stranger, rate: float, burst: float, now: Nanos) -> bool:
    tokens = min(burst, bucket.tokens + (now - bucket.filled) * rate / SECOND)
    bucket.filled = now
    bucket.tokens = tokens - 1 if tokens >= 1 else tokens
    return tokens >= 1
