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
    return _Exchange(context, build, tell, now, login, in_dialog=in_dialog, others=others, on_server=on_server).destroy


class _Exchange(Attempts):
    """Answers the challenges itself."""

    def __init__(
        self,
        context: Context,
        build: Build,
        tell: Tell,
        now: Nanos,
        login: Login | None,
        *,
        in_dialog: bool,
        others: Sequence[Flow],
        on_server: Callable[[Flow], None],
    ) -> None:
        self._build = build
        self._login = login
        self._in_dialog = in_dialog
        self._tries = 0
        request, flow = self._signed()
        super().__init__(context, request, [flow, *others], tell, now, in_dialog=in_dialog, on_server=on_server)

    def _signed(self) -> tuple[Request, Flow]:
        self._tries += 1
        request, flow = self._build()
        return self._login.sign(request) if self._login else request, flow

    def _pass_on(self, response: Response | None, now: Nanos) -> None:
        login = self._login
        if login is None or response is None or self._tries >= MAX_TRIES:
            super()._pass_on(response, now)
        elif login.learn(response, self.request, in_dialog=self._in_dialog):
            self.again(self._signed()[0], now)
        else:
            super()._pass_on(response, now)
