"""One provider with all that the process knows of it: what the plugs of all calls share.

While a breaker is open, the provider is probed with a small request of our own, so that no caller finds out whether
it is back.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

import structlog

from gateway.errors import ProviderError
from gateway.providers.contract import (
    NO_BRIEF,
    NOBODY,
    Brief,
    Failed,
    LlmResult,
    LlmSession,
    Message,
    Party,
    Provider,
    RealtimeResult,
    RealtimeSession,
    SttResult,
    SttSession,
    TtsResult,
    TtsSession,
    Usage,
)
from gateway.providers.router.breaker import State
from gateway.providers.router.gate import Ticket
from gateway.providers.router.health import Health
from gateway.providers.router.options import Role, UpstreamOptions
from gateway.units import SECOND, Nanos, Samples

__all__ = ["Upstream"]

_PROBE_LIMIT: Final = 2.0
"""Seconds that a probe may take."""
_PROBE_RATE: Final = 8000
_PROBE_AUDIO: Final = bytes(2 * _PROBE_RATE // 50)
_DEFAULT: Final = UpstreamOptions()
_S = TypeVar("_S")


def _now() -> Nanos:
    return Nanos(time.monotonic_ns())


class Upstream:
    """A ``Provider``, and beside it the health of each of its roles."""

    def __init__(
        self,
        provider: Provider,
        options: UpstreamOptions = _DEFAULT,
        *,
        fingerprint: str = "",
        jitter: random.Random | None = None,
    ) -> None:
        self.name = provider.name
        self.prices = options.prices
        self.fingerprint = fingerprint
        """Tells one configuration of the provider from another: audio made ahead by it is kept under this name."""
        self._provider = provider
        self._options = options
        self._jitter = jitter or random.Random()
        self._healths: dict[Role, Health] = {}
        self._probes: dict[Role, asyncio.Task[None]] = {}
        self._log = structlog.get_logger().bind(provider=self.name)

    def health(self, role: Role) -> Health:
        if role not in self._healths:
            health = self._healths[role] = Health(self.name, role, self._options, self._jitter)
            health.on_open = self._opened
        return self._healths[role]

    @property
    def healths(self) -> Mapping[Role, Health]:
        """Of the roles that were asked for so far."""
        return self._healths

    async def admit(self, role: Role) -> Ticket:
        """A place for a session. Raises ``ProviderError`` (busy) if none comes up in time."""
        admitted: asyncio.Event = asyncio.Event()
        health = self.health(role)
        ticket = health.gate.enter(admitted.set)
        if ticket is not None and not ticket.granted:
            try:
                async with asyncio.timeout(health.queue / SECOND):
                    await admitted.wait()
            except TimeoutError:
                ticket.leave()
                ticket = None
            except asyncio.CancelledError:
                ticket.leave()
                raise
        if ticket is None:
            raise ProviderError(self.name, "its concurrency is used up", transient=True, busy=True)
        return ticket

    # --- the provider -------------------------------------------------------------------------------------------------

    def listening_rate(self, role: str) -> int:
        return self._provider.listening_rate(role)

    async def start(self) -> None:
        await self._provider.start()

    async def close(self) -> None:
        probes = list(self._probes.values())
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)
        await self._provider.close()

    async def open_stt(self, listener: Callable[[SttResult], None], *, rate: int, language: str) -> SttSession:
        return await self._timed("stt", self._provider.open_stt(listener, rate=rate, language=language))

    async def open_llm(self, listener: Callable[[LlmResult], None], *, party: Party = NOBODY) -> LlmSession:
        return await self._timed("llm", self._provider.open_llm(listener, party=party))

    async def open_tts(self, listener: Callable[[TtsResult], None], *, rate: int, language: str) -> TtsSession:
        return await self._timed("tts", self._provider.open_tts(listener, rate=rate, language=language))

    async def open_realtime(
        self, listener: Callable[[RealtimeResult], None], *, rate: int, brief: Brief = NO_BRIEF
    ) -> RealtimeSession:
        return await self._timed("realtime", self._provider.open_realtime(listener, rate=rate, brief=brief))

    async def _timed(self, role: Role, opening: Awaitable[_S]) -> _S:
        began = _now()
        session = await opening
        self.health(role).connect.add(_now() - began, _now())
        return session

    # --- probes -------------------------------------------------------------------------------------------------------

    def _opened(self, health: Health) -> None:
        self._log.warning("breaker.opened", role=health.role)
        if health.role not in self._probes:
            probing = asyncio.get_running_loop().create_task(self._keep_probing(health), name=f"probe {self.name}")
            self._probes[health.role] = probing

    async def _keep_probing(self, health: Health) -> None:
        """Takes itself off the list in the same step in which it ends: a breaker that opens again right then would
        find nobody to probe for it."""
        try:
            await self._probe(health)
        finally:
            del self._probes[health.role]

    async def _probe(self, health: Health) -> None:
        """Until the provider answers again."""
        breaker = health.breaker
        while breaker.state is not State.CLOSED:
            await asyncio.sleep(max(0, breaker.probe_at - _now()) / SECOND)
            breaker.begin_probe()
            try:
                async with asyncio.timeout(_PROBE_LIMIT):
                    await _PROBES[health.role](self._provider)
            except ProviderError as error:
                breaker.probed(_now(), good=False, retry_after=error.retry_after)
            except TimeoutError:
                breaker.probed(_now(), good=False)
            else:
                breaker.probed(_now(), good=True)
        self._log.info("breaker.closed", role=health.role, open_s=round((_now() - breaker.opened_at) / SECOND, 3))


async def _answer(answers: asyncio.Queue[Any]) -> None:
    """The first result. Raises ``ProviderError`` if it is a failure."""
    while isinstance(result := await answers.get(), Usage):
        pass
    if isinstance(result, Failed):
        raise result.error


async def _probe_stt(provider: Provider) -> None:
    answers: asyncio.Queue[SttResult] = asyncio.Queue()
    session = await provider.open_stt(answers.put_nowait, rate=_PROBE_RATE, language="en")
    try:
        session.begin_turn(1, Samples(0))
        for frame in range(10):
            session.audio(_PROBE_AUDIO, Samples(160 * frame), 0)
        session.end_turn(1, Samples(1600))
        await _answer(answers)
    finally:
        session.close()


async def _probe_llm(provider: Provider) -> None:
    answers: asyncio.Queue[LlmResult] = asyncio.Queue()
    session = await provider.open_llm(answers.put_nowait)
    try:
        session.generate(1, [Message("user", "Say yes.")])
        await _answer(answers)
    finally:
        session.close()


async def _probe_tts(provider: Provider) -> None:
    answers: asyncio.Queue[TtsResult] = asyncio.Queue()
    session = await provider.open_tts(answers.put_nowait, rate=_PROBE_RATE, language="en")
    try:
        session.speak(1, "Yes.")
        await _answer(answers)
    finally:
        session.close()


async def _probe_realtime(provider: Provider) -> None:
    """A session that opens is all that can be asked for without a conversation."""
    session = await provider.open_realtime(lambda result: None, rate=_PROBE_RATE)
    session.close()


_PROBES: Final[dict[Role, Callable[[Provider], Awaitable[None]]]] = {
    "stt": _probe_stt,
    "llm": _probe_llm,
    "tts": _probe_tts,
    "realtime": _probe_realtime,
}
