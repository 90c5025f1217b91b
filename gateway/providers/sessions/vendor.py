"""The provider that an adapter's dialects make: it opens their sessions, and owns what the calls share.

An adapter ends in ``SPEC = adapter(kind, Options, stt=..., llm=..., ...)``, each a function from its options to a
dialect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from gateway.audio import AudioFormat
from gateway.errors import MisuseError, ProviderError
from gateway.options import Options
from gateway.providers.contract import (
    NO_BRIEF,
    NOBODY,
    Brief,
    LlmResult,
    Party,
    ProviderSpec,
    RealtimeResult,
    SttResult,
    TtsResult,
)
from gateway.providers.dialect import (
    HttpTtsDialect,
    LlmDialect,
    LlmSocketDialect,
    RealtimeDialect,
    SttDialect,
    TtsDialect,
    TurnSttDialect,
)
from gateway.providers.options import VendorOptions
from gateway.providers.sessions.base import Work
from gateway.providers.sessions.http import Http
from gateway.providers.sessions.link import Limits
from gateway.providers.sessions.llm import LlmHttp
from gateway.providers.sessions.llm_socket import LlmSocket
from gateway.providers.sessions.pool import Pool
from gateway.providers.sessions.realtime import RealtimeSocket
from gateway.providers.sessions.shared import Shared
from gateway.providers.sessions.stt import SttSocket
from gateway.providers.sessions.stt_turns import SttTurns
from gateway.providers.sessions.tts import TtsHttp, TtsSocket

_S = TypeVar("_S", LlmSocket, SttSocket, SttTurns, TtsSocket, RealtimeSocket)

__all__ = ["Roles", "Vendor", "adapter"]

MakeStt = Callable[[Any, int, str], SttDialect]
"""(options, rate of the call's audio, language)"""
MakeLlm = Callable[[Any], LlmDialect | LlmSocketDialect]
MakeTts = Callable[[Any, int, str], TtsDialect | HttpTtsDialect]
"""(options, the most that the caller's codec carries, language)"""
MakeRealtime = Callable[[Any, int, Brief], RealtimeDialect]


@dataclass(frozen=True, slots=True)
class Roles:
    """What an adapter can do."""

    stt: MakeStt | None = None
    llm: MakeLlm | None = None
    tts: MakeTts | None = None
    realtime: MakeRealtime | None = None


class Vendor:
    """One configured account or server; implements ``Provider``."""

    def __init__(self, name: str, options: VendorOptions, roles: Roles) -> None:
        self.name = name
        self._options = options
        self._roles = roles
        limits = Limits(options.connect_timeout, options.ping_interval, options.ping_timeout)
        self._shared = Shared(name, limits, Http(name, connect=options.connect_timeout), Work())
        self._pools: dict[tuple[int, str], Pool] = {}

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Connects to nobody before the first call: most providers count idle connections as sessions."""
        self._shared.http.open()

    async def close(self) -> None:
        for pool in self._pools.values():
            await pool.close()
        self._pools.clear()
        await self._shared.work.close()
        await self._shared.http.close()

    def listening_rate(self, role: str) -> int:
        wanted = self._hears(role)
        return 8000 if wanted is not None and wanted.rate == 8000 else 16_000

    # --- sessions -----------------------------------------------------------------------------------------------------

    async def open_stt(
        self, listener: Callable[[SttResult], None], *, rate: int, language: str
    ) -> SttSocket | SttTurns:
        make = partial(self._role("stt", self._roles.stt), self._options, rate, language)
        timeout = self._options.stt_timeout
        if isinstance(make(), TurnSttDialect):
            return await _opened(SttTurns(self._shared, make, listener, rate=rate, timeout=timeout))
        return await _opened(SttSocket(self._shared, make, listener, rate=rate, timeout=timeout))

    async def open_llm(self, listener: Callable[[LlmResult], None], *, party: Party = NOBODY) -> LlmHttp | LlmSocket:
        make = partial(self._role("llm", self._roles.llm), self._options)
        made = make()
        if isinstance(made, LlmSocketDialect):
            made.party = party
            return await _opened(LlmSocket(self._shared, made, listener, self._options.llm_timeout))
        self._warm(made.request((), ()).url)
        return LlmHttp(self._shared, make, listener, self._options.llm_timeout)

    async def open_tts(self, listener: Callable[[TtsResult], None], *, rate: int, language: str) -> TtsSocket | TtsHttp:
        make = partial(self._role("tts", self._roles.tts), self._options, rate, language)
        made = make()
        if isinstance(made, HttpTtsDialect):
            self._warm(made.request("").url)
            return TtsHttp(self._shared, make, listener, self._options.tts_timeout)
        pool = self._pools.get((rate, language))
        if pool is None:
            pool = self._pools[rate, language] = Pool(self._shared, make)
        return await _opened(TtsSocket(pool, listener, self._options.tts_timeout))

    async def open_realtime(
        self, listener: Callable[[RealtimeResult], None], *, rate: int, brief: Brief = NO_BRIEF
    ) -> RealtimeSocket:
        make = partial(self._role("realtime", self._roles.realtime), self._options, rate, brief)
        return await _opened(RealtimeSocket(self._shared, make, listener, rate=rate))

    # --- inside -------------------------------------------------------------------------------------------------------

    def _warm(self, url: str) -> None:
        self._shared.work.spawn(self._shared.http.warm(url), f"{self.name} warms up")

    def _role(self, role: str, make: Any) -> Any:
        if make is None:
            raise ProviderError(self.name, f"this provider has no {role} role", transient=False)
        return make

    def _hears(self, role: str) -> AudioFormat | None:
        if role == "stt" and self._roles.stt is not None:
            return self._roles.stt(self._options, 8000, "en").hears
        if role == "realtime" and self._roles.realtime is not None:
            return self._roles.realtime(self._options, 8000, NO_BRIEF).hears
        return None


async def _opened(session: _S) -> _S:
    try:
        await session.open()
    except BaseException:
        session.close()
        raise
    return session


def adapter(
    kind: str,
    options: type[VendorOptions],
    *,
    stt: MakeStt | None = None,
    llm: MakeLlm | None = None,
    tts: MakeTts | None = None,
    realtime: MakeRealtime | None = None,
) -> ProviderSpec:
    """The constant that an adapter's file ends in."""
    roles = Roles(stt, llm, tts, realtime)

    def create(name: str, block: Options) -> Vendor:
        if not isinstance(block, options):
            raise MisuseError(f"provider {name!r}: options of another kind")
        return Vendor(name, block, roles)

    able: Mapping[str, Any] = {"stt": stt, "llm": llm, "tts": tts, "realtime": realtime}
    return ProviderSpec(kind, options, create, frozenset(role for role, make in able.items() if make is not None))
