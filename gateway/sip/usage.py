"""What a call is to its dialog, whoever placed it: requests within it, their credentials, and the one end.

RFC 5057 calls it the INVITE usage. ``session`` adds what both sides do once a call is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Final, Literal

from gateway.errors import MisuseError
from gateway.sip.auth import Login
from gateway.sip.bodies import Body
from gateway.sip.causes import q850_cause
from gateway.sip.context import Context
from gateway.sip.dialog import Dialog
from gateway.sip.events import ByeFailed, Ended
from gateway.sip.exchange import exchange
from gateway.sip.flow import Flow
from gateway.sip.message import Header, Message, Request, Response
from gateway.sip.reasons import refusal_text
from gateway.sip.responses import ALLOW
from gateway.sip.transaction.sender import Tell
from gateway.sip.values import plain
from gateway.units import Nanos

__all__ = ["DIALOG_GONE", "Phase", "Usage"]

DIALOG_GONE: Final = frozenset((404, 408, 410, 416, 480, 481, 482, 483, 484, 485, 502, 604))
"""A re-INVITE or UPDATE that is refused so ends the call (RFC 5057 5.1); anything else leaves it as it was."""


class Phase(Enum):
    EARLY = auto()
    ESTABLISHED = auto()
    LEAVING = auto()


class Usage:
    """``key`` is Call-ID and our tag. ``wake`` is the call's own timer; its transactions have theirs."""

    def __init__(self, context: Context, handle: int, key: tuple[str, str], user: str) -> None:
        self.handle = handle
        self.key = key
        self.phase = Phase.EARLY
        self.wake: Nanos | None = None
        self.dialog: Dialog | None = None
        self.owns_call_id = False
        self.may_update = False
        self._context = context
        self._user = user
        self._ended = False

    @property
    def over(self) -> bool:
        """``Ended`` is told: what may remain is a CANCEL or BYE that is not answered yet."""
        return self._ended

    @property
    def host(self) -> str:
        """The host that the peer knows us by."""
        return self._context.host(self._live_dialog().flow)

    def random_below(self, limit: int) -> int:
        return self._context.random_below(limit)

    def _live_dialog(self) -> Dialog:
        if self.dialog is None:
            raise MisuseError("the call has no dialog yet")
        return self.dialog

    def _own_headers(self) -> list[Header]:
        """Of requests that refresh the target (RFC 3261 12.2.1.1)."""
        flow = self._live_dialog().next_flow()
        return [self._context.contact(flow, self._user), ALLOW, self._context.supported]

    def _request(
        self, method: str, tell: Tell, now: Nanos, *, headers: Iterable[Header] = (), body: Body | None = None
    ) -> Callable[[], None]:
        """A request within the dialog; returns what abandons it."""
        dialog = self._live_dialog()
        headers = [*headers, *(body.headers() if body else ())]
        data = body.data if body else b""

        def build() -> tuple[Request, Flow]:
            flow = dialog.next_flow()
            return dialog.request(method, self._context.via(flow), headers=headers, body=data), flow

        return exchange(self._context, build, tell, now, self._login_for(dialog.next_flow()), in_dialog=True)

    def _login_for(self, flow: Flow) -> Login | None:
        """Credentials for a request that goes there. A caller's challenge is never answered: whom we have called may
        ask for credentials, whoever calls us may not."""
        return None

    def _acknowledge(self, response: Response, body: Body | None = None) -> bytes:
        """The ACK of a 2xx to a re-INVITE of ours, with the answer if the 2xx has offered."""
        dialog = self._live_dialog()
        dialog.refresh_target(response)
        flow = dialog.next_flow()
        ack = dialog.request(
            "ACK",
            self._context.via(flow),
            headers=body.headers() if body else (),
            body=body.data if body else b"",
            cseq=response.cseq.number,
        )
        return self._context.send(ack, flow).data

    def _on_bye_answered(self, response: Response | None, now: Nanos) -> None:
        """Any final answer ends the dialog, and so does none (RFC 3261 15.1.1). With 481 the far end has none
        any more either."""
        if response is not None and response.status < 200:
            return
        if response is None or (response.status >= 300 and response.status != 481):
            peer, status = self._live_dialog().next_flow().remote, response.status if response else None
            reason = refusal_text(response) if response else "no answer to BYE"
            self._context.events.append(ByeFailed(plain(self.key[0]), peer, status, reason))
        self._forget()

    def _forget(self) -> None:
        """The call is no more: nothing that comes is for it."""
        self._context.forget(self)

    def _tell_ended(
        self,
        by: Literal["local", "remote", "network"],
        status: int | None,
        reason: str,
        message: Message | None = None,
    ) -> None:
        if not self._ended:
            self._ended = True
            self._context.events.append(Ended(self.handle, by, status, reason, message, q850_cause(message)))

    def _sleep_until(self, when: Nanos) -> None:
        self.wake = when
        self._context.wakeups.arm(self)

    def handle_timer(self, now: Nanos) -> None:
        """What is due."""
