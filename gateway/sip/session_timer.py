"""Session timers (RFC 4028): what the two sides agree on. ``refresh`` keeps to it.

A session that nobody refreshes within the interval is over, so a BYE that was lost leaves no call behind. The refresher
is named after its role in the request that carries the parameter: ``uac`` sent it, ``uas`` answered it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from gateway.errors import SipError
from gateway.sip.message import Header, Message, Request, Response
from gateway.sip.options import EndpointOptions
from gateway.sip.values import parse_parameters
from gateway.units import SECOND

__all__ = ["LEAST", "Agreement", "Role", "agree_as_client", "agree_as_server", "least", "request_headers", "supports"]

LEAST: Final = 90
"""Seconds; no session interval is smaller (RFC 4028 4)."""

Role = Literal["uac", "uas"]


@dataclass(frozen=True, slots=True)
class Agreement:
    interval: int
    """Seconds."""
    refresher: Role

    def headers(self) -> list[Header]:
        """For the 2xx (RFC 4028 9)."""
        require: list[Header] = [("Require", "timer")] if self.refresher == "uac" else []
        return [("Session-Expires", f"{self.interval};refresher={self.refresher}"), *require]


def supports(message: Message, extension: str) -> bool:
    """Whether the sender says that it knows an extension."""
    return extension in message.options("Supported") or extension in message.options("Require")


def agree_as_server(request: Request, options: EndpointOptions) -> Agreement | None:
    """What our 2xx to an INVITE or UPDATE will say (RFC 4028 9, table 2). Raises ``SipError`` 422 or 400.

    A peer that knows nothing of session timers gets none, unless a proxy on the way wants one: then we refresh.
    """
    if options.session_expires is None:
        return None
    knows = supports(request, "timer")
    asked, refresher = _read(request)
    floor = max(options.min_session_expires // SECOND, least(request))
    ours = max(options.session_expires // SECOND, floor)
    if asked is None:
        return Agreement(ours, _preferred(options)) if knows else None
    if knows and asked < options.min_session_expires // SECOND:
        raise SipError(422, "Session Interval Too Small", "RFC 4028 9: Session-Expires is below Min-SE")
    interval = max(min(asked, ours), LEAST)  # never more than asked, and what is below the least is no interval
    if not knows:
        return Agreement(interval, "uas")
    return Agreement(interval, refresher or _preferred(options))


def agree_as_client(response: Response) -> Agreement | None:
    """What a 2xx says; ``None``: the session does not expire (RFC 4028 7.2)."""
    try:
        interval, refresher = _read(response)
    except SipError:
        return None
    return Agreement(max(interval, LEAST), refresher or "uac") if interval is not None else None


def request_headers(interval: int | None, refresher: Role | None, least: int = LEAST) -> list[Header]:
    """For an INVITE or UPDATE (RFC 4028 7.1, 7.4); nothing if session timers are off."""
    if interval is None:
        return []
    who = f";refresher={refresher}" if refresher else ""
    headers: list[Header] = [("Session-Expires", f"{max(interval, least)}{who}")]
    return headers + ([("Min-SE", str(least))] if least > LEAST else [])


def least(message: Message) -> int:
    """Min-SE, 90 where there is none; what no number can be read from counts as none."""
    text = (message.get("Min-SE") or "").partition(";")[0].strip()
    return max(int(text), LEAST) if text.isascii() and text.isdecimal() and len(text) <= 9 else LEAST


def _read(message: Message) -> tuple[int | None, Role | None]:
    """Session-Expires. Raises ``SipError`` 400 if it is malformed."""
    value = message.get("Session-Expires")
    if value is None:
        return None, None
    text, semicolon, rest = value.partition(";")
    text = text.strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise SipError(400, "Bad Request", "RFC 4028 4: malformed Session-Expires")
    refresher = parse_parameters(semicolon + rest).get("refresher", "").lower()
    return int(text), "uac" if refresher == "uac" else "uas" if refresher == "uas" else None


def _preferred(options: EndpointOptions) -> Role:
    return "uas" if options.session_refresher == "us" else "uac"
