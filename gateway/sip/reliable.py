"""Reliable provisional responses (RFC 3262): sent again until their PRACK, and acknowledged in order.

``ReliableSender`` is the called side, one for each call; ``EarlyDialogs`` the calling side, which may hear from several
phones, each with numbers of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.sip.dialog import Dialog
from gateway.sip.flow import Flow, Listener
from gateway.sip.message import Header, Message, Request, Response
from gateway.sip.transaction.timers import Timers
from gateway.sip.wakeups import Wakeups
from gateway.units import Nanos

__all__ = ["EarlyDialogs", "Provisional", "ReliableSender", "is_reliable", "sequence"]

_MAX_WAITING: Final = 8
"""Provisional responses that wait for the PRACK of the one before; more are dropped, for the last one says it all."""
_MAX_DIALOGS: Final = 16


@dataclass(frozen=True, slots=True)
class Provisional:
    status: int
    sdp: bytes | None
    headers: tuple[Header, ...] = ()


class Sending(Protocol):
    """What the sender needs of its call."""

    def send_reliable(self, provisional: Provisional, headers: list[Header], now: Nanos) -> None: ...

    def repeat_provisional(self) -> None: ...

    def unheard(self, now: Nanos) -> None:
        """No PRACK within 64*T1: the INVITE deserves a 5xx (RFC 3262 3)."""


class ReliableSender:
    """One response at a time is on the wire; the next one waits for its PRACK (RFC 3262 3)."""

    __slots__ = ("_call", "_give_up", "_interval", "_outstanding", "_rseq", "_timers", "_waiting", "_wakeups", "wake")

    def __init__(self, call: Sending, rseq: int, timers: Timers, wakeups: Wakeups) -> None:
        self.wake: Nanos | None = None
        self._call = call
        self._rseq = rseq
        self._timers = timers
        self._wakeups = wakeups
        self._waiting: deque[Provisional] = deque(maxlen=_MAX_WAITING)
        self._outstanding: Provisional | None = None
        self._interval = timers.t1
        self._give_up = Nanos(0)

    @property
    def owes_answer(self) -> bool:
        """Whether a session description is under way that has not been acknowledged: the 2xx must wait for it."""
        return any(one is not None and one.sdp is not None for one in (self._outstanding, *self._waiting))

    def send(self, provisional: Provisional, now: Nanos) -> None:
        if self._outstanding is not None:
            self._waiting.append(provisional)
            return
        self._outstanding = provisional
        self._rseq += 1
        self._interval = self._timers.t1
        self._give_up = Nanos(now + self._timers.give_up)
        self._call.send_reliable(provisional, [("Require", "100rel"), ("RSeq", str(self._rseq))], now)
        self._sleep(now)

    def acknowledge(self, request: Request, invite_cseq: int, now: Nanos) -> Provisional | None:
        """The response that a PRACK acknowledges; ``None``: it matches none (481). The next one goes out."""
        acknowledged = self._outstanding
        if acknowledged is None or (request.get("RAck") or "").split() != [str(self._rseq), str(invite_cseq), "INVITE"]:
            return None
        self._outstanding = self.wake = None
        if self._waiting:
            self.send(self._waiting.popleft(), now)
        return acknowledged

    def stop(self) -> None:
        self._outstanding = self.wake = None
        self._waiting.clear()

    def handle_timer(self, now: Nanos) -> None:
        if self.wake is None or now < self.wake:
            return
        if now >= self._give_up:
            self.stop()
            self._call.unheard(now)
        else:
            self._call.repeat_provisional()
            self._interval = Nanos(2 * self._interval)  # not capped by T2 (RFC 3262 3)
            self._sleep(now)

    def _sleep(self, now: Nanos) -> None:
        self.wake = min(Nanos(now + self._interval), self._give_up)
        self._wakeups.arm(self)


class EarlyDialogs:
    """The calling side: of each phone that rings, which response was acknowledged last (RFC 3262 4)."""

    __slots__ = ("_dialogs", "_listeners")

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = listeners
        self._dialogs: dict[str, tuple[Dialog, int]] = {}

    def take(self, invite: Request, response: Response, flow: Flow) -> Dialog | None:
        """The dialog to send the PRACK in; ``None`` for one that came again or out of order."""
        rseq, tag = sequence(response), response.to.tag
        known = self._dialogs.get(tag)
        if rseq is None or (known is not None and rseq != known[1] + 1):
            return None
        if known is None and len(self._dialogs) >= _MAX_DIALOGS:
            return None
        dialog = known[0] if known is not None else Dialog.for_client(invite, response, flow, self._listeners)
        self._dialogs[tag] = dialog, rseq
        return dialog

    def continue_in(self, dialog: Dialog) -> None:
        """The dialog of a 2xx goes on counting where its early one stopped (RFC 3261 12.2.1.1)."""
        known = self._dialogs.get(dialog.remote_tag)
        if known is not None:
            dialog.local_cseq, dialog.remote_cseq = known[0].local_cseq, known[0].remote_cseq


def is_reliable(response: Response) -> bool:
    """Whether a PRACK is owed: not for 100, and not without the tag that makes a dialog."""
    return response.status > 100 and "100rel" in response.options("Require") and bool(response.to.tag)


def sequence(message: Message) -> int | None:
    """RSeq, 1 to 2**31 - 1 and beyond where peers count on; ``None`` if it is not a number."""
    text = (message.get("RSeq") or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 10 else None
