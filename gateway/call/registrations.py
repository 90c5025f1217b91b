"""Registrations of the trunks that ask for one: finds the registrar, and tells the log how it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from gateway.call.trunk_options import TrunkOptions
from gateway.errors import RemoteError
from gateway.sip.events import Event, Registered, RegistrationFailed
from gateway.sip.flow import Hop, Remote
from gateway.sip.options import RegistrationOptions
from gateway.units import SECOND

__all__ = ["Registrations"]


class _Signalling(Protocol):
    async def locate(self, target: str) -> list[Hop]: ...

    def register(self, options: RegistrationOptions, *, remote: Remote = None, advertise: str = "") -> int: ...

    def relocate(self, registration: int, remote: Remote) -> None: ...


class Registrations:
    """``start`` registers every trunk that has an account; the endpoint then keeps it, and leaves when it closes."""

    def __init__(self, sip: _Signalling, trunks: Sequence[TrunkOptions]) -> None:
        self._sip = sip
        self._trunks = [(trunk.name, trunk.registration) for trunk in trunks if trunk.registration is not None]
        self._told = {trunk.name: trunk.advertise or "" for trunk in trunks}
        self._names: dict[int, str] = {}
        self._news: dict[int, asyncio.Event] = {}
        self._bound: set[int] = set()
        self._known: set[int] = set()  # also those whose refresh has failed, while the last one lasts
        self._hosts: dict[str, frozenset[str]] = {}  # trunk -> addresses of its registrar's servers
        self._tasks: list[asyncio.Task[None]] = []
        self._log = structlog.get_logger()

    @property
    def registered(self) -> dict[str, bool]:
        """Whether the registrar of each trunk that has one knows us."""
        bound = {self._names[handle] for handle in self._known if handle in self._names}
        return {name: name in bound for name, _ in self._trunks}

    def at(self, host: str) -> frozenset[str]:
        """Trunks whose registrar has a server there, and knows us."""
        return frozenset(name for name, known in self.registered.items() if known and host in self._hosts.get(name, ()))

    async def _servers(self, name: str, registrar: str) -> list[Hop]:
        """Raises ``RemoteError``."""
        servers = await self._sip.locate(registrar)
        self._hosts[name] = frozenset(hop.address[0] for hop in servers)
        return servers

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._register(name, options)) for name, options in self._trunks]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _register(self, name: str, options: RegistrationOptions) -> None:
        """A name that has no address now may have one later: the pause is that after a refusal."""
        handle: int | None = None
        while handle is None:
            try:
                servers = await self._servers(name, options.registrar)
            except RemoteError as error:
                pause = options.retry / SECOND
                self._log.warning("trunk.registration_failed", trunk=name, reason=str(error), retry_in_s=pause)
                await asyncio.sleep(pause)
            else:
                handle = self._sip.register(options, remote=servers, advertise=self._told[name])
                self._names[handle] = name
                await self._follow(handle, name, options.registrar)

    async def _follow(self, handle: int, name: str, registrar: str) -> None:
        """After each answer DNS is asked again, for the next one; where it fails, the servers that were known stay."""
        news = self._news[handle] = asyncio.Event()
        while True:
            await news.wait()
            news.clear()
            with suppress(RemoteError):
                self._sip.relocate(handle, await self._servers(name, registrar))

    def on_event(self, event: Event) -> None:
        if isinstance(event, Registered | RegistrationFailed) and (news := self._news.get(event.registration)):
            news.set()
        match event:
            case Registered(handle, expires_s, _):
                self._known.add(handle)
                # Renewals are no news.
                if handle not in self._bound:
                    self._bound.add(handle)
                    self._log.info("trunk.registered", trunk=self._names.get(handle), expires_s=expires_s)
            case RegistrationFailed(handle, status, reason, retry_in_s, still_bound):
                self._bound.discard(handle)
                if not still_bound:
                    self._known.discard(handle)
                self._log.warning(
                    "trunk.registration_failed",
                    trunk=self._names.get(handle),
                    status=status,
                    reason=reason,
                    retry_in_s=retry_in_s,
                    still_bound=still_bound,
                )
