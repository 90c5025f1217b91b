"""A request of ours, and its second try where it is challenged (RFC 3261 22.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from gateway.sip.auth import Login
from gateway.sip.context import Context
from gateway.sip.failover import Attempts
from gateway.sip.flow import Flow
from gateway.sip.message import Request, Response
from gateway.sip.transaction.sender import Tell
from gateway.units import Nanos

__all__ = ["MAX_TRIES", "Build", "exchange"]

MAX_TRIES: Final = 5
"""Two proxies and a server may each challenge, and a nonce may be stale; whoever asks more often is not followed."""

Build = Callable[[], tuple[Request, Flow]]
"""Makes the request anew, with a new branch and the next CSeq number, and says where it goes."""


def exchange(
    context: Context,
    build: Build,
    tell: Tell,
    now: Nanos,
    login: Login | None = None,
    *,
    in_dialog: bool = False,
    others: Sequence[Flow] = (),
    on_server: Callable[[Flow], None] = lambda flow: None,
) -> Callable[[], None]:
    """Sends the request; ``tell`` hears of every response except the challenges that were answered.

    ``others`` are asked in turn if the first server is no good (``failover``); ``on_server`` hears which one it is now.
    What is returned forgets the transaction without a word, for whoever no longer waits.
    """
    tries = 0
    attempts: Attempts

    def sign() -> tuple[Request, Flow]:
        nonlocal tries
        tries += 1
        request, flow = build()
        return login.sign(request) if login else request, flow

    def told(response: Response | None, now: Nanos) -> None:
        if login and response and tries < MAX_TRIES and login.learn(response, attempts.request, in_dialog=in_dialog):
            attempts.again(sign()[0], now)
        else:
            tell(response, now)

    request, flow = sign()
    attempts = Attempts(context, request, [flow, *others], told, now, in_dialog=in_dialog, on_server=on_server)
    return attempts.destroy
