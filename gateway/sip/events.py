"""What the endpoint tells the layer above. ``call`` is the handle that every verb takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gateway.sip.flow import Address, Flow
from gateway.sip.message import Message, Request

__all__ = [
    "Answered", "ByeFailed", "Confirmed", "Digit", "Ended", "Event", "Invited", "OfferAnswered", "OfferRefused",
    "Pinged", "Reconfirmed", "Redirected", "Referred", "Refreshed", "Refused", "Registered", "RegistrationFailed",
    "Reoffered", "Ringing", "Transferred", "Transferring",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Invited:
    """A new call has come in; 100 is sent. Owed: ``ring``, ``answer``, ``reject`` or ``hang_up``."""

    call: int
    call_id: str
    """Printable, as it goes to logs and records."""
    request: Request
    """Read-only; for headers that routing looks at."""
    caller: str
    """User part of From, printable; ``""`` if there is none."""
    called: str
    """User part of the Request-URI, printable."""
    sdp: bytes | None
    """The offer. ``None`` asks us to offer in the answer (late offer, RFC 3261 13.2.1)."""
    flow: Flow
    admitted: object = None
    """What ``admit`` has said of the request."""
    replaces: int | None = None
    """The call whose place it takes: that one ends when this one is answered (RFC 3891)."""


@dataclass(frozen=True, slots=True)
class Ringing:
    """A call that we place: 101 to 199 has come, perhaps with a session for early media."""

    call: int
    status: int
    sdp: bytes | None
    phone: str = field(default="", compare=False)
    """To tag: which of the phones rings that a proxy has forked the call to (RFC 3261 12.1.2). With 199 it rings no
    more (RFC 6228)."""


@dataclass(frozen=True, slots=True)
class Redirected:
    """A call that we place goes on to another target, as the one before has asked (3xx)."""

    call: int
    target: str
    transport: str
    """What the one before was reached by."""
    named: bool
    """The target is a host name: owed is ``redirect``, with its servers or with none."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A call that we place: 200 has come, the ACK is sent."""

    call: int
    sdp: bytes | None
    """The answer; ``None`` if the peer broke RFC 3261 13.2.1, or gave it in a provisional response only. If we have
    made no offer it is the peer's, and ``answer`` is owed: the ACK carries it."""
    phone: str = field(default="", compare=False)
    """To tag, as in ``Ringing``."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A call that came in: the ACK of our 200 has come."""

    call: int
    sdp: bytes | None = None
    """The answer to an offer that our 200 made (late offer)."""


@dataclass(frozen=True, slots=True)
class Reoffered:
    """A re-INVITE, or an UPDATE with an offer, has come, or the offer that ``reoffer`` has asked for. Owed: ``answer``
    or ``reject``, which leaves the session as it was."""

    call: int
    sdp: bytes | None
    """The offer; ``None`` asks us to offer in the answer."""


@dataclass(frozen=True, slots=True)
class Reconfirmed:
    """The ACK of the 200 to a re-INVITE has come."""

    call: int
    sdp: bytes | None = None
    """The answer to an offer that our 200 made."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A re-INVITE of ours that repeats our last offer was answered with another session than before."""

    call: int
    sdp: bytes


@dataclass(frozen=True, slots=True)
class OfferAnswered:
    """An offer that we made within the call was answered."""

    call: int
    sdp: bytes | None
    """The answer; ``None`` if the peer gave none."""


@dataclass(frozen=True, slots=True)
class OfferRefused:
    """An offer that we made within the call was refused: the session is as it was."""

    call: int
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Digit:
    """A digit came by INFO."""

    call: int
    digit: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Referred:
    """The far end asks us to call somebody else (REFER). Owed: ``accept_refer`` or ``refuse_refer``."""

    call: int
    target: str
    """URI to call, without headers."""
    replaces: str | None
    """Replaces header for that call (RFC 3891): it goes to a call that exists."""
    referred_by: str | None
    """Printable; to be copied into that call's INVITE (RFC 3892)."""
    request: Request
    """Read-only."""


@dataclass(frozen=True, slots=True)
class Transferring:
    """A transfer that we asked for goes on: the REFER was accepted (2xx), or the far end's new call rings (1xx)."""

    call: int
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Transferred:
    """A transfer that we asked for is over; what becomes of our call is the user's to say. Nothing follows but another
    ``refer``. A call that ends while it is transferred tells ``Ended`` alone."""

    call: int
    status: int | None
    """2xx: the far end talks to its new party. ``None``: nobody has told how it ended. Else why it failed."""
    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The call is over; exactly one for each call, and nothing with its handle follows it."""

    call: int
    by: Literal["local", "remote", "network"]
    """A verb of ours or a limit; the far end; or nobody, because an answer or an ACK did not come."""
    status: int | None
    """Final status of the INVITE if the call was never answered."""
    reason: str
    """The far end's Reason header text (RFC 3326), its reason phrase, or what we said."""
    message: Message | None = field(default=None, compare=False)
    """The BYE, CANCEL or final response that ended it, for its headers; read-only."""
    cause: int | None = field(default=None, compare=False)
    """What that means in the telephone network (Q.850, RFC 3326 and 3398); ``None`` if nobody has said anything."""


@dataclass(frozen=True, slots=True)
class ByeFailed:
    """A call of ours is over, and the far end has not taken the BYE: it may believe, and charge, that it goes on."""

    call_id: str
    """Printable; the call has no handle any more."""
    peer: Address
    """Where the BYE was to go."""
    status: int | None
    """503 also if it could not be sent; ``None``: no answer within 64*T1."""
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that never became a call was refused or dropped: material for one log line."""

    flow: Flow
    status: int | None
    """What was answered; ``None`` if nothing was."""
    rule: str
    request: Request | None = None
    """What was not admitted; ``None`` for what was refused by the rules of the protocol."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A registrar has our address, from now or still."""

    registration: int
    expires_s: int
    """It forgets it after this many seconds; it is told again before."""
    service_route: tuple[str, ...]
    """Route headers for calls to this peer (RFC 3608)."""


@dataclass(frozen=True, slots=True)
class RegistrationFailed:
    """A registrar refused, or did not answer. It is asked again without being told to."""

    registration: int
    status: int | None
    """``None``: no answer within 64*T1."""
    reason: str
    retry_in_s: int
    still_bound: bool
    """Whether the last binding is still good."""


@dataclass(frozen=True, slots=True)
class Pinged:
    """An OPTIONS that we sent was answered, or not."""

    target: str
    status: int | None
    """``None``: no answer within 64*T1."""


Event = (
    Invited
    | Ringing
    | Redirected
    | Answered
    | Confirmed
    | Reoffered
    | Reconfirmed
    | Refreshed
    | OfferAnswered
    | OfferRefused
    | Digit
    | Referred
    | Transferring
    | Transferred
    | Ended
    | ByeFailed
    | Refused
    | Pinged
    | Registered
    | RegistrationFailed
)
