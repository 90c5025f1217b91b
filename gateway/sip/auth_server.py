"""Digest authentication as server (RFC 3261 22, RFC 7616, RFC 8760): challenges, and what answers them.

    verifier = Verifier({"pbx": "secret"}, key=os.urandom(32))
    verdict = verifier.check(request, now)        # verdict.user, or "" and why
    headers = verifier.challenge(now, stale=verdict.stale)

A nonce proves itself: it holds its time, and a MAC that only we can make, so that a flood of requests without
credentials costs no memory. What is remembered, and bounded, are the counters of the nonces in use: each count is taken
once (RFC 7616 5.5), in any order within a window, because datagrams overtake each other.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.errors import SipError
from gateway.sip.auth import Challenge, Credentials, digest, read_digest
from gateway.sip.message import Header, Request
from gateway.sip.uri import parse_uri
from gateway.sip.values import quote
from gateway.units import MS, SECOND, Nanos

__all__ = ["Verdict", "Verifier"]

_WINDOW: Final = 64
_LIFETIME: Final = Nanos(300 * SECOND)
_COUNT: Final = re.compile(r"[0-9A-Fa-f]{8}")
_NEEDED: Final = ("username", "nonce", "uri", "response", "cnonce", "nc")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the credentials of a request are worth."""

    user: str = ""
    """Who has proved to be who; ``""`` for nobody."""
    why: str = "no credentials"
    """Why nobody has, for the log; the peer is told the same whatever it is."""
    stale: bool = False
    """The password was right, but the nonce must be another."""


class _Counter:
    """The counts of one nonce that were taken: the highest, and which of the 64 up to it."""

    __slots__ = ("highest", "issued_ms", "taken")

    def __init__(self, issued_ms: int) -> None:
        self.issued_ms = issued_ms
        self.highest = 0
        self.taken = 0

    def take(self, count: int) -> bool:
        """False if it was taken before, or is too old to tell."""
        ahead = count - self.highest
        if ahead > 0:
            self.taken = (self.taken << min(ahead, _WINDOW) | 1) & ((1 << _WINDOW) - 1)
            self.highest = count
            return True
        if -ahead >= _WINDOW or self.taken >> -ahead & 1:
            return False
        self.taken |= 1 << -ahead
        return True


class Verifier:
    """``accounts`` are users and passwords. ``key`` is secret and random; who knows it can make nonces."""

    def __init__(
        self,
        accounts: Mapping[str, str],
        *,
        key: bytes,
        realm: str = "linecard",
        algorithms: tuple[str, ...] = ("SHA-256", "MD5"),
        lifetime: Nanos = _LIFETIME,
        max_nonces: int = 10_000,
    ) -> None:
        self._accounts = {quote(user)[1:-1]: (user, password) for user, password in accounts.items()}
        self._key = key
        self._realm = realm
        self._algorithms = algorithms
        self._lifetime_ms = lifetime // MS
        self._most = max_nonces
        self._serial = 0
        self._counters: dict[str, _Counter] = {}
        self._forgotten_ms = -1
        """Nonces up to this time may have been used without our remembering it."""

    # -- challenges ----------------------------------------------------------------------------------------------------

    def challenge(self, now: Nanos, *, stale: bool = False) -> tuple[Header, ...]:
        """One header per algorithm, the preferred first (RFC 8760 2.4)."""
        self._serial += 1
        nonce = self._nonce(now // MS, self._serial)
        tail = ", stale=true" if stale else ""
        return tuple(
            (
                "WWW-Authenticate",
                f'Digest realm="{self._realm}", nonce="{nonce}", algorithm={algorithm}, qop="auth"{tail}',
            )
            for algorithm in self._algorithms
        )

    def _nonce(self, issued_ms: int, serial: int) -> str:
        text = f"{issued_ms:012x}{serial & 0xFFFFFFFF:08x}"
        return text + hmac.digest(self._key, text.encode(), "sha256").hex()[:32]

    # -- answers -------------------------------------------------------------------------------------------------------

    def check(self, request: Request, now: Nanos) -> Verdict:
        """Raises ``SipError`` 400 for credentials that are malformed, or for another request (RFC 7616 3.4.6)."""
        given = self._given(request)
        if given is None:
            return Verdict()
        if any(name not in given for name in _NEEDED) or given.get("qop", "").lower() != "auth":
            return Verdict(why="credentials without qop=auth, which could be replayed")
        algorithm = given.get("algorithm", "MD5").upper()
        if algorithm not in self._algorithms:
            return Verdict(why="credentials by an algorithm that was not offered")
        _check_uri(given["uri"], request.uri)
        count = _count(given["nc"])
        # Somebody unknown takes as long as a wrong password does, and gets the same answer.
        user, password = self._accounts.get(given["username"], ("", "\0"))
        if not self._is_right(given, Credentials(user, password), algorithm, request) or not user:
            return Verdict(why="wrong user or password")
        return self._fresh(user, given["nonce"], count, now)

    def _given(self, request: Request) -> dict[str, str] | None:
        """The credentials for our realm. A request may carry those for others too (RFC 3261 22.3)."""
        for name, value in request.headers:
            if name == "Authorization" and value[:7].lower() == "digest ":
                given = read_digest(value)
                if given.get("realm") == self._realm:
                    return given
        return None

    def _is_right(self, given: dict[str, str], credentials: Credentials, algorithm: str, request: Request) -> bool:
        challenge = Challenge("Authorization", self._realm, given["nonce"], algorithm, qop="auth")
        asked = Request(request.method, given["uri"], [])
        expected = digest(challenge, credentials, asked, given["cnonce"], given["nc"])
        return hmac.compare_digest(expected.encode(), given["response"].lower().encode("utf-8", "surrogateescape"))

    def _fresh(self, user: str, nonce: str, count: int, now: Nanos) -> Verdict:
        """Whoever knows the password is asked for it again only by ``stale``, which needs no human."""
        issued_ms = self._issued(nonce)
        if issued_ms is None:
            return Verdict(why="a nonce that is not ours", stale=True)
        if now // MS - issued_ms > self._lifetime_ms:
            return Verdict(why="a nonce that is too old", stale=True)
        counter = self._counters.get(nonce)
        if counter is None:
            if issued_ms <= self._forgotten_ms:
                return Verdict(why="a nonce that is no longer remembered", stale=True)
            counter = self._remember(nonce, issued_ms)
        if not counter.take(count):
            return Verdict(why="credentials that were used before (replay)", stale=True)
        return Verdict(user, "")

    def _issued(self, nonce: str) -> int | None:
        try:
            issued_ms, serial = int(nonce[:12], 16), int(nonce[12:20], 16)
        except ValueError:
            return None
        made = self._nonce(issued_ms, serial)
        return issued_ms if hmac.compare_digest(made.encode(), nonce.encode("utf-8", "surrogateescape")) else None

    def _remember(self, nonce: str, issued_ms: int) -> _Counter:
        if len(self._counters) >= self._most:
            oldest = next(iter(self._counters))
            self._forgotten_ms = max(self._forgotten_ms, self._counters.pop(oldest).issued_ms)
        counter = self._counters[nonce] = _Counter(issued_ms)
        return counter


def _check_uri(given: str, asked: str) -> None:
    """What was signed must be what is asked for. Proxies may have changed the parameters, not who or where."""
    if given == asked:
        return
    signed, wanted = parse_uri(given), parse_uri(asked)
    if (signed.user, signed.host.lower(), signed.port) != (wanted.user, wanted.host.lower(), wanted.port):
        raise SipError(400, "Bad Request", "RFC 7616 3.4.6: the credentials are for another Request-URI")


def _count(text: str) -> int:
    if not _COUNT.fullmatch(text):
        raise SipError(400, "Bad Request", "RFC 7616 3.4: nc must have eight hexadecimal digits")
    return int(text, 16)
