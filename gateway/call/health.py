"""Asks the targets of trunks whether they are there (OPTIONS, RFC 3261 11), in intervals that are never in step."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Protocol

import structlog

from gateway.call.targets import Lot, Targets
from gateway.call.trunk_options import HealthOptions
from gateway.errors import LinecardError
from gateway.sip.auth import Credentials
from gateway.sip.events import Event, Pinged
from gateway.sip.flow import Hop, Remote
from gateway.units import SECOND

__all__ = ["Health", "Watched"]

_DOWN: Final = frozenset({408, 503})
"""Any other answer comes from somebody who is there; whether OPTIONS is allowed does not matter."""
_JITTER: Final = 0.2


class Pinger(Protocol):
    """What we need of the signalling."""

    async def locate(self, target: str) -> list[Hop]: ...

    def options_ping(
        self,
        target: str,
        *,
        remote: Remote = None,
        credentials: Credentials | None = None,
        advertise: str = "",
    ) -> None: ...


class Watched(Protocol):
    """A trunk, as far as its health goes."""

    @property
    def targets(self) -> Targets: ...

    @property
    def health(self) -> HealthOptions: ...

    @property
    def credentials(self) -> Credentials | None: ...

    @property
    def advertise(self) -> str:
        """What the peer is told of our address; ``""``: what everybody is."""


class Health:
    """One task for each target of a trunk whose ``health.interval`` is set."""

    def __init__(self, sip: Pinger, trunks: Mapping[str, Watched], lot: Lot | None = None) -> None:
        self._sip = sip
        self._trunks = trunks
        self._lot = lot or random.Random()
        self._waiting: dict[str, asyncio.Future[int]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._log = structlog.get_logger()

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._watch(name, trunk, uri), name=f"health of {uri}")
            for name, trunk in self._trunks.items()
            if trunk.health.interval is not None
            for uri in trunk.targets.uris
        ]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def on_event(self, event: Event) -> None:
        """Silence is measured here, with a timer of our own; the transaction's own verdict comes much later."""
        if isinstance(event, Pinged) and event.status is not None:
            waiting = self._waiting.get(event.target)
            if waiting is not None and not waiting.done():
                waiting.set_result(event.status)

    async def _watch(self, name: str, trunk: Watched, uri: str) -> None:
        interval = (trunk.health.interval or 0) / SECOND
        while True:
            status = await self._ping(uri, trunk)
            good = status is not None and status not in _DOWN
            if trunk.targets.report(uri, good=good):
                tell = self._log.info if good else self._log.warning
                tell("trunk.target_up" if good else "trunk.target_down", trunk=name, target=uri, status=status)
            await asyncio.sleep(interval * (1 + _JITTER * (2 * self._lot.random() - 1)))

    async def _ping(self, uri: str, trunk: Watched) -> int | None:
        waiting: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting[uri] = waiting
        with suppress(LinecardError, TimeoutError):
            async with asyncio.timeout(trunk.health.timeout / SECOND):
                hops = await self._sip.locate(uri)
                self._sip.options_ping(uri, remote=hops, credentials=trunk.credentials, advertise=trunk.advertise)
                return await waiting
        return None
