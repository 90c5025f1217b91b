"""Transfer (RFC 3515): a REFER that we send and the NOTIFYs that tell of it, and one that we get and report on.

``refer`` is the sending side, ``on_refer`` with ``accept``, ``progress`` and ``refuse`` the receiving one; a call has
at most one of each under way. The NOTIFYs carry the status line of the call that the REFER asked for
(``message/sipfrag``, RFC 3420). Who does not want them says so (``Refer-Sub: false``, RFC 4488).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import unquote

from gateway.errors import MisuseError, SipError
from gateway.sip.bodies import Body
from gateway.sip.context import Context
from gateway.sip.events import Referred, Transferred, Transferring
from gateway.sip.message import Header, Request, Response
from gateway.sip.reasons import refusal_text
from gateway.sip.responses import phrase
from gateway.sip.transaction.layer import ServerTransaction
from gateway.sip.transaction.sender import Tell
from gateway.sip.uri import parse_uri
from gateway.sip.values import parse_address, plain
from gateway.units import Nanos

__all__ = ["Transfers", "refer_target", "refer_to"]

_SIPFRAG: Final = "message/sipfrag;version=2.0"


class Subscribing(Protocol):
    """What transfers need of their session."""

    def subscribe(
        self, method: str, tell: Tell, now: Nanos, *, headers: Iterable[Header] = (), body: Body | None = None
    ) -> Callable[[], None]: ...


@dataclass(slots=True)
class _Asked:
    """A REFER that we got."""

    cseq: int
    transaction: ServerTransaction
    watched: bool
    accepted: bool = False


class Transfers:
    """Of one call. A sleeper: who has accepted a REFER and tells nothing more is not waited for without end."""

    __slots__ = ("_asked", "_context", "_handle", "_sent", "_session", "wake")

    def __init__(self, context: Context, handle: int, session: Subscribing) -> None:
        self.wake: Nanos | None = None
        self._context = context
        self._handle = handle
        self._session = session
        self._sent = False
        self._asked: _Asked | None = None

    # -- we ask --------------------------------------------------------------------------------------------------------

    def refer(self, target: str, headers: Iterable[Header], now: Nanos, *, watch: bool) -> None:
        """``target`` is the value of Refer-To."""
        if self._sent:
            self._context.events.append(Transferred(self._handle, 491, "another transfer is under way"))
            return
        self._sent = True
        self.wake = Nanos(now + self._context.options.transfer_limit)
        self._context.wakeups.arm(self)
        silent: list[Header] = [] if watch else [("Refer-Sub", "false")]
        self._session.subscribe("REFER", self._on_answered, now, headers=[("Refer-To", target), *silent, *headers])

    def _on_answered(self, response: Response | None, now: Nanos) -> None:
        """A NOTIFY may have come before (RFC 3515 2.4.4)."""
        if not self._sent or (response is not None and response.status < 200):
            return
        if response is None:
            self._finish(408, "no answer to REFER")
        elif response.status >= 300:
            self._finish(response.status, refusal_text(response))
        elif (response.get("Refer-Sub") or "").strip().lower() == "false":
            self._finish(None, "accepted; nobody tells how it ends (RFC 4488)")
        else:
            self._context.events.append(Transferring(self._handle, response.status, plain(response.reason)))

    def on_notify(self, transaction: ServerTransaction, now: Nanos) -> None:
        """Raises ``SipError`` 489 for another event, 481 where we have asked for nothing (RFC 6665 4.1.3)."""
        request = transaction.request
        if (request.get("Event") or "").partition(";")[0].strip().lower() != "refer":
            raise SipError(489, "Bad Event", "RFC 6665 4.1.3: only the refer event")
        if not self._sent:
            raise SipError(481, "Call/Transaction Does Not Exist", "RFC 6665 4.1.3: no such subscription")
        status, reason = _status_line(request)
        over = (request.get("Subscription-State") or "").partition(";")[0].strip().lower() == "terminated"
        self._context.respond(transaction, 200, now)
        if over or (status or 0) >= 200:
            final = status if (status or 0) >= 200 else None
            self._finish(final, reason if final else "nobody tells how it ended")
        elif status is not None:
            self._context.events.append(Transferring(self._handle, status, reason))

    def _finish(self, status: int | None, reason: str) -> None:
        self._sent, self.wake = False, None
        self._context.events.append(Transferred(self._handle, status, reason))

    def handle_timer(self, now: Nanos) -> None:
        if self.wake is not None and now >= self.wake:
            self._finish(None, "no final NOTIFY within sip.transfer_limit")

    # -- we are asked --------------------------------------------------------------------------------------------------

    def on_refer(self, transaction: ServerTransaction, now: Nanos) -> None:
        """Raises ``SipError`` for what deserves a refusal at once (RFC 3515 2.4.2)."""
        request = transaction.request
        values = [value for name, value in request.headers if name == "Refer-To"]
        if len(values) != 1:
            raise SipError(400, "Bad Request", "RFC 3515 2.4.2: exactly one Refer-To")
        target, embedded = refer_target(values[0])
        if self._asked is not None:
            raise SipError(491, "Request Pending", "one transfer at a time")
        watched = (request.get("Refer-Sub") or "").strip().lower() != "false"
        self._asked = _Asked(request.cseq.number, transaction, watched)
        by = request.get("Referred-By")
        self._context.events.append(
            Referred(self._handle, target, embedded.get("replaces"), plain(by) if by else None, request)
        )

    def accept(self, now: Nanos) -> None:
        """202, and a NOTIFY at once (RFC 3515 2.4.4)."""
        asked = self._asked
        if asked is None or asked.accepted:
            return
        asked.accepted = True
        headers = [] if asked.watched else [("Refer-Sub", "false")]
        self._context.respond(asked.transaction, 202, now, headers=headers)
        self.progress(100, phrase(100), now)

    def refuse(self, status: int, headers: list[Header], now: Nanos) -> None:
        asked = self._asked
        if asked is not None and not asked.accepted:
            self._asked = None
            self._context.respond(asked.transaction, status, now, headers=headers)

    def progress(self, status: int, reason: str, now: Nanos) -> None:
        """How the call goes that was asked for; a final status ends the telling."""
        asked = self._asked
        if asked is None or not asked.accepted:
            return
        over = status >= 200
        if over:
            self._asked = None
        if asked.watched:
            left = self._context.options.transfer_limit // 1_000_000_000
            state = "terminated;reason=noresource" if over else f"active;expires={left}"
            headers = [("Event", f"refer;id={asked.cseq}"), ("Subscription-State", state)]
            body = Body(_SIPFRAG, f"SIP/2.0 {status} {plain(reason) or phrase(status)}\r\n".encode())
            self._session.subscribe("NOTIFY", lambda response, now: None, now, headers=headers, body=body)

    def stop(self, now: Nanos) -> None:
        """The call is over. Whoever still waits for an answer to its REFER gets one (RFC 3261 15.1.2)."""
        self._sent, self.wake = False, None
        self.refuse(487, [], now)
        self._asked = None


def refer_target(value: str) -> tuple[str, dict[str, str]]:
    """The URI of a Refer-To without its headers, and these, decoded, by lower-case name. Raises ``SipError``."""
    uri, question, text = parse_address(value).uri_text.partition("?")
    if (parse_uri(uri).parameter("method") or "INVITE").upper() != "INVITE":
        raise SipError(403, "Forbidden", "RFC 3515 2.1: only INVITE is referred to")
    headers: dict[str, str] = {}
    for pair in text.split("&") if question else ():
        name, _, content = pair.partition("=")
        headers[unquote(name).lower()] = plain(unquote(content))
    return uri, headers


def _status_line(request: Request) -> tuple[int | None, str]:
    """Of a ``message/sipfrag`` body; ``None`` if it has none."""
    if not request.content_type.startswith("message/sipfrag"):
        return None, ""
    version, _, rest = request.body.partition(b"\r\n")[0].decode("utf-8", "replace").strip().partition(" ")
    status, _, reason = rest.partition(" ")
    if version.upper() != "SIP/2.0" or len(status) != 3 or not (status.isascii() and status.isdecimal()):
        return None, ""
    return int(status), plain(reason)


def refer_to(uri: str, replaces: str | None = None) -> str:
    """Refer-To for a URI of ours, perhaps to a call that exists (RFC 3891 with RFC 5589 7)."""
    try:
        parse_uri(uri)
    except SipError as error:
        raise MisuseError(f"{plain(uri)!r} cannot be referred to: {error.rule}") from None
    bare = uri.partition("?")[0]
    return f"<{bare}?Replaces={replaces}>" if replaces else f"<{uri}>"
