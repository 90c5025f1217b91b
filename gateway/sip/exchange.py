"""A request of ours, and its second try where it is challenged (RFC 3261 22.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.sip.auth import Login
from gateway.sip.context import Context
from gateway.sip.flow import Flow
from gateway.sip.message import Request, Response
from gateway.sip.transaction.layer import ClientTransaction
from gateway.sip.transaction.sender import Tell
from gateway.units import Nanos

__all__ = ["MAX_TRIES", "Build", "exchange"]

MAX_TRIES: Final = 5
"""Two proxies and a server may each challenge, and a nonce may be stale; whoever asks more often is not followed."""

Build = Callable[[], tuple[Request, Flow]]
"""Makes the request anew, with a new branch and the next CSeq number, and says where it goes."""


def exchange(
    context: Context, build: Build, tell: Tell, now: Nanos, login: Login | None = None, *, in_dialog: bool = False
) -> Callable[[], None]:
    """Sends the request; ``tell`` hears of every response except the challenges that were answered.

    What is returned forgets the transaction without a word, for whoever no longer waits.
    """
    tries = 0
    transaction: ClientTransaction

    def send(now: Nanos) -> None:
        nonlocal tries, transaction
        tries += 1
        request, flow = build()
        signed = login.sign(request) if login else request

        def told(response: Response | None, now: Nanos) -> None:
            if login and response and tries < MAX_TRIES and login.learn(response, signed, in_dialog=in_dialog):
                send(now)
            else:
                tell(response, now)

        transaction = context.layer.open_client(signed, flow, told, now)

    send(now)
    return lambda: context.layer.destroy(transaction)
