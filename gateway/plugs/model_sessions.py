"""The three sessions of one pipeline call, each with all the providers of its role behind it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from gateway.plugs.contract import CallView
from gateway.plugs.roles import RoleOptions
from gateway.providers.contract import LlmResult, Party, SttResult, TtsResult
from gateway.providers.router.llm import LlmFailover
from gateway.providers.router.options import Role
from gateway.providers.router.session import Notice, Routed, RoutedLlm, RoutedStt, RoutedTts
from gateway.providers.router.stt import SttFailover
from gateway.providers.router.tts import Player, TtsFailover
from gateway.providers.router.upstream import Upstream

__all__ = ["TTS_RATE", "Listeners", "ModelSessions"]

TTS_RATE: Final = 8000
"""What the wire speaks: anything above is thrown away by G.711."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """Where the results go, what happened beside them, and what the failing over must ask."""

    stt: Callable[[SttResult], None]
    llm: Callable[[LlmResult], None]
    tts: Callable[[TtsResult], None]
    notice: Callable[[Notice], None]
    kept: Callable[[int], str]
    """What of an answer went to the TTS; the rest is withdrawn."""
    player: Player


class ModelSessions:
    """They last as long as the call, whatever becomes of the providers."""

    def __init__(self, options: RoleOptions, call: CallView, listeners: Listeners) -> None:
        jitter = random.Random()
        language = options.language

        def upstreams(role: Role) -> list[Upstream]:
            return [call.providers[name] for name in options.order(role)]

        def open_stt(upstream: Upstream, listener: Callable[[Any], None]) -> Any:
            return upstream.open_stt(listener, rate=rate, language=language)

        def open_llm(upstream: Upstream, listener: Callable[[Any], None]) -> Any:
            return upstream.open_llm(listener, party=Party(call.caller, call.called))

        def open_tts(upstream: Upstream, listener: Callable[[Any], None]) -> Any:
            return upstream.open_tts(listener, rate=TTS_RATE, language=language)

        stt, llm, tts = upstreams("stt"), upstreams("llm"), upstreams("tts")
        rate = self.rate = max(one.listening_rate("stt") for one in stt)
        """Of what is heard: the best that one of the providers makes use of."""
        hears = SttFailover([one.health("stt") for one in stt], options.failover, jitter, rate=self.rate)
        thinks = LlmFailover(
            [one.health("llm") for one in llm],
            options.failover,
            jitter,
            kept=listeners.kept,
            hedge="llm" in options.hedge,
        )
        speaks = TtsFailover(
            [one.health("tts") for one in tts],
            options.failover,
            jitter,
            player=listeners.player,
            hedge="tts" in options.hedge,
        )
        along = options.shadow
        more: dict[str, Any] = {"host": call, "on_notice": listeners.notice, "rate": self.rate}

        def shadow(name: str | None) -> Upstream | None:
            return call.providers[name] if name else None

        self.stt = RoutedStt(hears, stt, opener=open_stt, listener=listeners.stt, shadow=shadow(along.stt), **more)
        self.llm = RoutedLlm(thinks, llm, opener=open_llm, listener=listeners.llm, shadow=shadow(along.llm), **more)
        self.tts = RoutedTts(speaks, tts, opener=open_tts, listener=listeners.tts, shadow=shadow(along.tts), **more)
        self._all: dict[str, Routed[Any]] = {"stt": self.stt, "llm": self.llm, "tts": self.tts}

    @property
    def complete(self) -> bool:
        """Every role can be served at the moment."""
        return all(session.ready for session in self._all.values())

    @property
    def serving(self) -> dict[str, str]:
        """Who serves each role now."""
        return {role: session.provider for role, session in self._all.items()}

    @property
    def versions(self) -> dict[str, str]:
        """What each role's provider calls its model; written into every turn."""
        return {role: session.versions.get(session.provider, "") for role, session in self._all.items()}

    async def connect(self) -> None:
        """Opens one session of each role, all at once."""
        await asyncio.gather(*(session.connect() for session in self._all.values()))

    def close(self) -> None:
        for session in self._all.values():
            session.close()
