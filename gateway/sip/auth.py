"""Digest authentication as client (RFC 3261 22, RFC 7616, RFC 8760): reading challenges, signing requests.

    login = Login(Credentials("alice", "secret"), context.token)
    request = login.sign(request)                 # with what earlier challenges taught; nothing at first
    if login.learn(response, request):            # 401 or 407: is another try worth it?
        ... the same request again, signed, with a new branch and CSeq + 1 (RFC 3261 22.1)

A nonce that a request has carried is not answered again, so a wrong password costs one retry and no loop.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gateway.errors import SipError
from gateway.sip.message import Header, Request, Response
from gateway.sip.values import quote

__all__ = ["Challenge", "Credentials", "Login", "challenges", "digest", "read_digest"]

_PARAMETER: Final = re.compile(
    r'\s*+([A-Za-z0-9_*.-]{1,64}+)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^\s,"]*+))\s*+(?:,|$)', re.DOTALL
)  # possessive throughout: linear in the length of what a peer sends
_HASHES: Final = {
    token: name
    for token, name in (("MD5", "md5"), ("SHA-256", "sha256"), ("SHA-512-256", "sha512_256"))
    if name in hashlib.algorithms_available
}
_ANSWER_TO: Final = {"WWW-Authenticate": "Authorization", "Proxy-Authenticate": "Proxy-Authorization"}
_MAX_REALMS: Final = 4


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account at a peer."""

    user: str
    password: str = field(repr=False)
    realm: str = ""
    """Challenges of another realm are not answered; empty: any realm of the peer that the request is sent to."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """One usable challenge. Strings are as they stood between their quotes: they are hashed and repeated unchanged."""

    answer: str
    """Header that answers it: ``Authorization`` or ``Proxy-Authorization``."""
    realm: str
    nonce: str
    algorithm: str = ""
    """As written; empty means MD5 (RFC 7616 3.3)."""
    opaque: str | None = None
    qop: str = ""
    """``auth``, or ``auth-int`` if nothing else was offered; empty for a peer of RFC 2069."""
    stale: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.answer, self.realm


def read_digest(value: str) -> dict[str, str]:
    """``Digest a="b", c=d`` to a dictionary with lower-case names. Raises ``SipError`` 400 for anything else."""
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        raise SipError(400, "Bad Request", "RFC 3261 22.4: only Digest")
    found: dict[str, str] = {}
    position, rest = 0, rest.strip()
    while position < len(rest):
        match = _PARAMETER.match(rest, position)
        if match is None or match[1].lower() in found:
            raise SipError(400, "Bad Request", "RFC 7616 3.3: malformed Digest parameters")
        found[match[1].lower()] = match[2] if match[2] is not None else match[3]
        position = match.end()
    return found


def challenges(response: Response) -> list[Challenge]:
    """The challenges that we can answer: of each realm the topmost one whose algorithm we have (RFC 8760 2.4).

    Both headers are read, because a forking proxy may put the challenges of its branches into one response (22.3).
    """
    usable: dict[tuple[str, str], Challenge] = {}
    for name, value in response.headers:
        if name not in _ANSWER_TO or len(usable) >= _MAX_REALMS:
            continue
        try:
            challenge = _challenge(_ANSWER_TO[name], read_digest(value))
        except SipError:
            continue  # another scheme or algorithm: the next one may be for us
        usable.setdefault(challenge.key, challenge)
    return list(usable.values())


def _challenge(answer: str, parameters: dict[str, str]) -> Challenge:
    algorithm = parameters.get("algorithm", "")
    if algorithm and algorithm.upper().removesuffix("-SESS") not in _HASHES:
        raise SipError(400, "Bad Request", "RFC 8760 2.4: unknown algorithm")
    if "realm" not in parameters or not parameters.get("nonce"):
        raise SipError(400, "Bad Request", "RFC 7616 3.3: no realm or nonce")
    offered = [item.strip().lower() for item in parameters.get("qop", "").split(",") if item.strip()]
    qop = next((known for known in ("auth", "auth-int") if known in offered), "")
    if offered and not qop:
        raise SipError(400, "Bad Request", "RFC 7616 3.3: unknown qop")
    stale = parameters.get("stale", "").lower() == "true"
    return Challenge(
        answer, parameters["realm"], parameters["nonce"], algorithm, parameters.get("opaque"), qop, stale=stale
    )


def digest(challenge: Challenge, credentials: Credentials, request: Request, cnonce: str, count: str) -> str:
    """The ``response`` of RFC 7616 3.4.1; without qop that of RFC 2069, which old servers still ask for."""
    algorithm = challenge.algorithm.upper()
    name = _HASHES[algorithm.removesuffix("-SESS") or "MD5"]

    def h(*parts: str | bytes) -> str:
        data = b":".join(part if isinstance(part, bytes) else part.encode("utf-8", "surrogateescape") for part in parts)
        return hashlib.new(name, data, usedforsecurity=False).hexdigest()

    secret = h(credentials.user, challenge.realm, credentials.password)
    if algorithm.endswith("-SESS"):
        secret = h(secret, challenge.nonce, cnonce)
    what = h(request.method, request.uri, *([h(request.body)] if challenge.qop == "auth-int" else []))
    if not challenge.qop:
        return h(secret, challenge.nonce, what)
    return h(secret, challenge.nonce, count, cnonce, challenge.qop, what)


class _Used:
    """A challenge that is being answered: its counter counts the requests signed with this nonce (RFC 7616 3.4)."""

    __slots__ = ("challenge", "cnonce", "count")

    def __init__(self, challenge: Challenge, cnonce: str) -> None:
        self.challenge = challenge
        self.cnonce = cnonce
        self.count = 0


class Login:
    """Credentials, and the challenges that they have answered. One for each call, registration or ping."""

    __slots__ = ("_credentials", "_token", "_used")

    def __init__(self, credentials: Credentials, token: Callable[[], str]) -> None:
        self._credentials = credentials
        self._token = token
        self._used: dict[tuple[str, str], _Used] = {}

    def sign(self, request: Request) -> Request:
        """The request with an answer to each challenge that is known."""
        if not self._used:
            return request
        answers = [self._answer(used, request) for used in self._used.values()]
        return Request(request.method, request.uri, [*request.headers, *answers], request.body)

    def learn(self, response: Response, sent: Request, *, in_dialog: bool = False) -> bool:
        """Takes the challenges of a 401 or 407 to ``sent``. True if one of them is worth another try.

        Within a dialog only a realm that has challenged the call's INVITE is answered: any other challenge comes from
        the far end of the call, and the answer would hand it a digest to guess the password from.
        """
        if response.status not in (401, 407):
            return False
        carried = _carried(sent)
        learned = False
        for challenge in challenges(response):
            if self._credentials.realm not in ("", challenge.realm) or (in_dialog and challenge.key not in self._used):
                continue
            before = carried.get(challenge.key)
            if before is not None and not _is_news(challenge, before):
                continue
            self._used[challenge.key] = _Used(challenge, self._token())
            learned = True
        return learned

    def _answer(self, used: _Used, request: Request) -> Header:
        used.count += 1
        challenge, count = used.challenge, f"{used.count:08x}"
        response = digest(challenge, self._credentials, request, used.cnonce, count)
        items = [
            f"username={quote(self._credentials.user)}",
            f'realm="{challenge.realm}"',
            f'nonce="{challenge.nonce}"',
        ]
        items += [f'uri="{request.uri}"', f'response="{response}"']
        items += [f"algorithm={challenge.algorithm}"] if challenge.algorithm else []
        items += [f'opaque="{challenge.opaque}"'] if challenge.opaque is not None else []
        if challenge.qop:
            items += [f'cnonce="{used.cnonce}"', f"qop={challenge.qop}", f"nc={count}"]
        return challenge.answer, "Digest " + ", ".join(items)


def _carried(request: Request) -> dict[tuple[str, str], dict[str, str]]:
    """The answers that a request of ours carried."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for name, value in request.headers:
        if name in _ANSWER_TO.values():
            parameters = read_digest(value)
            found[name, parameters["realm"]] = parameters
    return found


def _is_news(challenge: Challenge, carried: dict[str, str]) -> bool:
    """Whether a challenge says more than "wrong password": the nonce was too old (``stale``), or it was one that we had
    kept from an earlier request, which some servers refuse without saying so."""
    return challenge.nonce != carried["nonce"] and (challenge.stale or carried.get("nc", "00000001") != "00000001")
