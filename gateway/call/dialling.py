"""How a call is dialled on a trunk: Request-URI, From, identity, headers, credentials. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from gateway.call.identity import identity_headers
from gateway.call.numbers import canonical, dialled
from gateway.call.trunk_options import TargetOptions, TrunkOptions
from gateway.errors import SipError
from gateway.sip.auth import Credentials
from gateway.sip.message import Header
from gateway.sip.uri import parse_uri
from gateway.sip.values import plain, quote

__all__ = ["Dial", "account", "dial", "shown_number"]

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.!~*'()&=+$,;?/-]")
_ANONYMOUS: Final = '"Anonymous" <sip:anonymous@anonymous.invalid>'  # RFC 3323 4.1


@dataclass(frozen=True, slots=True)
class Dial:
    """One attempt."""

    uri: str
    """The Request-URI."""
    user: str
    """User part of Contact, and of From if ``sender`` is empty."""
    sender: str
    """From without its tag."""
    headers: tuple[Header, ...]
    credentials: Credentials | None
    report: Callable[..., object] = lambda *, good: None
    """Hears whether somebody was there."""


def shown_number(trunk: TrunkOptions, wanted: str | None) -> str:
    """The number that a call shows, as the house writes it. Raises ``SipError`` 403 for one that is not ours."""
    policy = trunk.caller_id
    number = canonical(wanted or policy.default or "", trunk.numbers, called=False)
    if number and policy.allowed and not any(fnmatchcase(number, one) for one in policy.allowed):
        rule = f"trunk {trunk.name}: caller_id.allowed has nothing that fits the number to show"
        raise SipError(403, "Forbidden", rule)
    return number


def account(trunk: TrunkOptions) -> Credentials | None:
    """Who we are to this peer: what ``credentials`` say, else the registration."""
    own, registration = trunk.credentials, trunk.registration
    if own is not None:
        return Credentials(own.user, own.password.get_secret_value(), own.realm)
    if registration is not None and registration.password is not None:
        user = registration.auth_user or registration.user
        return Credentials(user, registration.password.get_secret_value(), registration.realm)
    return None


def dial(
    trunk: TrunkOptions,
    target: TargetOptions,
    to: str,
    number: str,
    *,
    display: str = "",
    private: bool = False,
    headers: tuple[Header, ...] = (),
    report: Callable[..., object] = lambda *, good: None,
) -> Dial:
    """``to`` and ``number`` are the called and the calling party as the house writes them."""
    called = escaped(dialled(canonical(to, trunk.numbers, called=False), trunk.numbers))
    user = escaped(dialled(number, trunk.numbers, called=False))
    host = trunk.caller_id.host or parse_uri(target.uri).host
    identity = f"sip:{user}@{host}" if user else ""
    named = f"{quote(plain(display))} " if display else ""
    sender = _ANONYMOUS if private else f"{named}<{identity}>" if identity and _tells_more(trunk, display) else ""
    own = (*trunk.headers.items(), *headers, *identity_headers(identity, trunk, private=private))
    return Dial(_request_uri(target.uri, called), "" if private else user, sender, own, account(trunk), report)


def _tells_more(trunk: TrunkOptions, display: str) -> bool:
    """Whether From says more than the number at our own address."""
    return bool(display or trunk.caller_id.host)


def _request_uri(target: str, user: str) -> str:
    """The target with the called number in its user part."""
    scheme, _, rest = target.partition(":")
    return f"{scheme}:{user}@{rest.rpartition('@')[2]}" if user else target


def escaped(user: str) -> str:
    """Whatever somebody wants to call, as the user part of a URI: it cannot become another URI (RFC 3261 19.1.2)."""
    return _UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "replace")), user)
