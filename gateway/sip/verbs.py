"""What the layer above may do with one call. A handle whose call is over is no error: see ``endpoint``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.errors import MisuseError
from gateway.sip.bodies import Body
from gateway.sip.context import Context
from gateway.sip.events import Transferred
from gateway.sip.flow import Hop
from gateway.sip.lines import checked
from gateway.sip.message import Header
from gateway.sip.outgoing import OutgoingCall
from gateway.sip.reasons import refusal_headers
from gateway.sip.replaces import Replaces
from gateway.sip.responses import warning
from gateway.sip.session import Phase
from gateway.sip.transfer import refer_to
from gateway.units import Nanos

__all__ = ["CallVerbs"]


class CallVerbs:
    """Every verb takes the handle of its call. ``headers`` are what the user adds; ``lines`` says what may be added."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def ring(
        self, call: int, now: Nanos, status: int = 180, sdp: bytes | None = None, *, headers: Iterable[Header] = ()
    ) -> None:
        """180, or 183 with a session for early media."""
        headers = checked(headers)
        if session := self._context.sessions.get(call):
            session.ring(now, status, sdp, headers)

    def redirect(self, call: int, target: str, hops: Sequence[Hop], now: Nanos) -> None:
        """The servers of a target that ``Redirected`` has named; none: the next target, or the end."""
        session = self._context.sessions.get(call)
        if isinstance(session, OutgoingCall):
            session.redirect(target, hops, now)

    def answer(self, call: int, sdp: bytes, now: Nanos, *, headers: Iterable[Header] = ()) -> None:
        """200 to the INVITE, re-INVITE or UPDATE that is open; ``sdp`` is the answer, or the offer if it had none. If
        the far end's 200 has made the offer, the ACK that answers it."""
        headers = checked(headers)
        if session := self._context.sessions.get(call):
            session.answer(sdp, now, headers)

    def reject(
        self,
        call: int,
        status: int,
        rule: str,
        now: Nanos,
        reason: str | None = None,
        *,
        warning: int = 399,
        headers: Iterable[Header] = (),
    ) -> None:
        """Refuses the INVITE or re-INVITE that is open, saying why: ``rule`` in Warning with code ``warning`` (RFC 3261
        20.43), its cause and ``reason`` in Reason (RFC 3326)."""
        if not 300 <= status <= 699:
            raise MisuseError(f"reject: {status} is not a refusal")
        headers = checked(headers)
        session = self._context.sessions.get(call)
        if session is not None and session.dialog is not None:  # who has not answered us has asked for nothing
            why = refusal_headers(session.host, rule, warning, status, reason)
            session.reject(status, now, [*why, *headers], reason or rule)

    def hang_up(
        self,
        call: int,
        now: Nanos,
        reason: str = "",
        *,
        headers: Iterable[Header] = (),
        body: Body | None = None,
        cause: int = 16,
    ) -> None:
        """CANCEL, BYE or 487, as the state asks; ``Ended`` follows at once, the rest is between us and the peer.
        ``cause`` is Q.850's in Reason (RFC 3326); BYE takes ``headers`` and ``body`` along, CANCEL the headers."""
        headers = checked(headers)
        if session := self._context.sessions.get(call):
            session.hang_up(now, reason, headers, body, cause)

    def reoffer(self, call: int, sdp: bytes, now: Nanos) -> None:
        """Another offer within the call, such as to hold it (RFC 3264 8); empty asks the far end for one. It waits
        while something else is under way, and is made again after a glare. ``OfferAnswered``, ``OfferRefused`` or,
        asked for, ``Reoffered`` follows."""
        if session := self._context.sessions.get(call):
            session.reoffer(sdp, now)

    def send_digit(self, call: int, digit: str, now: Nanos, duration_ms: int = 160) -> None:
        """A digit in INFO (application/dtmf-relay), for those who take none as RTP."""
        if session := self._context.sessions.get(call):
            session.send_digit(digit, duration_ms, now)

    def refer(
        self,
        call: int,
        target: str,
        now: Nanos,
        *,
        replacing: int | None = None,
        headers: Iterable[Header] = (),
        watch: bool = True,
    ) -> None:
        """Asks the far end to call ``target`` instead of us (RFC 3515); ``Transferring`` and ``Transferred`` follow.
        ``replacing`` is a call of ours whose far end it shall call in our place (attended transfer, RFC 3891);
        ``target`` may be empty then. Without ``watch`` nobody tells how it ends (RFC 4488)."""
        headers = checked(headers)
        session = self._context.sessions.get(call)
        if session is None or session.over:
            return
        other = self._context.sessions.get(replacing) if replacing is not None else None
        dialog = other.dialog if other else None
        if replacing is not None and dialog is None:
            raise MisuseError(f"refer: call {replacing} has no far end to be transferred to")
        place = Replaces(dialog.call_id, dialog.remote_tag, dialog.local_tag).escaped() if dialog else None
        value = refer_to(target or (dialog.remote_target if dialog else ""), place)
        if session.phase is Phase.EARLY:
            self._context.events.append(Transferred(call, None, "the call is not answered yet"))
        else:
            session.transfers.refer(value, headers, now, watch=watch)

    def accept_refer(self, call: int, now: Nanos) -> None:
        """202: we call whom ``Referred`` has named. ``refer_progress`` tells how that goes."""
        if session := self._context.sessions.get(call):
            session.transfers.accept(now)

    def refuse_refer(self, call: int, status: int, rule: str, now: Nanos) -> None:
        if session := self._context.sessions.get(call):
            headers = [warning(session.host, rule)] if rule else []
            session.transfers.refuse(status, headers, now)

    def refer_progress(self, call: int, status: int, now: Nanos, reason: str = "") -> None:
        """NOTIFY with the status of the call that was asked for; a final one is the last."""
        if session := self._context.sessions.get(call):
            session.transfers.progress(status, reason, now)
