"""The three provider sessions of one pipeline call: opened together, lost one by one, opened again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from gateway.errors import ProviderError
from gateway.providers.contract import (
    LlmResult,
    LlmSession,
    ModelInfo,
    Provider,
    SttResult,
    SttSession,
    TtsResult,
    TtsSession,
)

__all__ = ["STT_RATE", "TTS_RATE", "Listeners", "ModelSessions", "Wanted"]

STT_RATE: Final = 16000
"""What speech models are trained on."""
TTS_RATE: Final = 8000
"""What the wire speaks: anything above is thrown away by G.711."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Names of the providers, and the language."""

    stt: str
    llm: str
    tts: str
    language: str


@dataclass(frozen=True, slots=True)
class Listeners:
    """Where the results go."""

    stt: Callable[[SttResult], None]
    llm: Callable[[LlmResult], None]
    tts: Callable[[TtsResult], None]


class _Session(Protocol):
    model: ModelInfo

    def close(self) -> None: ...


_S = TypeVar("_S", bound=_Session)


class ModelSessions:
    """A role whose session is None cannot be served at the moment."""

    def __init__(self, wanted: Wanted, providers: Mapping[str, Provider], listeners: Listeners) -> None:
        self._wanted = wanted
        self._providers = providers
        self._listeners = listeners
        self.closed = False
        self.stt: SttSession | None = None
        self.llm: LlmSession | None = None
        self.tts: TtsSession | None = None
        self.versions: dict[str, str] = {}
        """What each role's provider calls its model; written into every turn."""

    @property
    def complete(self) -> bool:
        return None not in (self.stt, self.llm, self.tts)

    async def connect(self) -> list[ProviderError]:
        """Opens what is missing, all at once. Returns why something still is."""
        failures: list[ProviderError] = []
        await asyncio.gather(self._open_stt(failures), self._open_llm(failures), self._open_tts(failures))
        if self.closed:
            self.close()
        return failures

    def lost(self, role: str) -> None:
        """The session of ``role`` reported that it is gone."""
        setattr(self, role, None)

    def close(self) -> None:
        self.closed = True
        for session in (self.stt, self.llm, self.tts):
            if session is not None:
                session.close()
        self.stt = self.llm = self.tts = None

    async def _open_stt(self, failures: list[ProviderError]) -> None:
        if self.stt is None:
            provider = self._providers[self._wanted.stt]
            opening = provider.open_stt(self._listeners.stt, rate=STT_RATE, language=self._wanted.language)
            self.stt = await self._named("stt", opening, failures)

    async def _open_llm(self, failures: list[ProviderError]) -> None:
        if self.llm is None:
            provider = self._providers[self._wanted.llm]
            self.llm = await self._named("llm", provider.open_llm(self._listeners.llm), failures)

    async def _open_tts(self, failures: list[ProviderError]) -> None:
        if self.tts is None:
            provider = self._providers[self._wanted.tts]
            opening = provider.open_tts(self._listeners.tts, rate=TTS_RATE, language=self._wanted.language)
            self.tts = await self._named("tts", opening, failures)

    async def _named(self, role: str, opening: Awaitable[_S], failures: list[ProviderError]) -> _S | None:
        try:
            session = await opening
        except ProviderError as error:
            failures.append(error)
            return None
        self.versions[role] = f"{session.model.name} {session.model.version}"
        return session
