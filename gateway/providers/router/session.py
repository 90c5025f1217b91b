"""The sessions that a plug sees: each carries a failover machine's wishes to the providers' sessions, and results back.

They look like the contract's sessions, and never end before the call does. Every hand-over is a plain call on the
event loop; only opening a session is a task, which the call owns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from gateway.errors import ProviderError
from gateway.machine import Machine
from gateway.providers.contract import Message, Tool
from gateway.providers.router.effects import Ask, Close, Effect, Joined, Lost, Moved, Open, Shadowed, Spent
from gateway.providers.router.failover import Failover
from gateway.providers.router.gate import Ticket
from gateway.providers.router.llm import LlmFailover
from gateway.providers.router.shadow import Shadow
from gateway.providers.router.stt import SttFailover
from gateway.providers.router.tts import TtsFailover
from gateway.providers.router.upstream import Upstream
from gateway.units import SECOND, Nanos, Samples

__all__ = ["Host", "Notice", "Routed", "RoutedLlm", "RoutedStt", "RoutedTts"]

Notice = Lost | Moved | Spent | Shadowed
_M = TypeVar("_M", bound=Failover)
_NOTICES = (Lost, Moved, Spent, Shadowed)


class _Drive(Protocol):
    def now(self) -> Nanos: ...

    def poke(self) -> None: ...

    def close(self) -> None: ...


class Host(Protocol):
    """What a routed session needs of its call."""

    def drive(
        self, machine: Machine[Any, Any], on_effect: Callable[[Any], None], on_event: Callable[[Any], None]
    ) -> _Drive: ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> None: ...


def _nobody(told: object) -> None:
    """The session is closed."""


def _nothing() -> None:
    """The session is closed."""


class Routed(Generic[_M]):
    """``opener(upstream, listener)`` opens one provider's session of the role. Results go to ``listener``, what
    happened beside them to ``on_notice``."""

    def __init__(
        self,
        machine: _M,
        upstreams: Sequence[Upstream],
        host: Host,
        *,
        opener: Callable[[Upstream, Callable[[Any], None]], Awaitable[Any]],
        listener: Callable[[Any], None],
        on_notice: Callable[[Notice], None],
        shadow: Upstream | None = None,
        rate: int = 16000,
    ) -> None:
        self._versions: dict[str, str] = {}
        self._machine = machine
        self._upstreams = upstreams
        self._host = host
        self._opener = opener
        self._listener = listener
        self._on_notice = on_notice
        self._sessions: list[Any] = [None] * len(upstreams)
        self._tickets: list[Ticket | None] = [None] * len(upstreams)
        self._joined: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._drive = host.drive(machine, self._carry_out, self._tell)
        machine.on_admitted = self._admitted
        self._shadow: Shadow | None = None
        if shadow is not None:
            self._shadow = Shadow(machine.role, shadow, opener, on_notice, self._drive.now, rate=rate)

    @property
    def ready(self) -> bool:
        """Somebody is connected."""
        return self._machine.current is not None

    @property
    def provider(self) -> str:
        """Who serves now."""
        return self._machine.current.name if self._machine.current is not None else ""

    @property
    def names(self) -> list[str]:
        """The list."""
        return [upstream.name for upstream in self._upstreams]

    @property
    def versions(self) -> dict[str, str]:
        """What each provider calls its model; many say it only in their first answer."""
        for upstream, session in zip(self._upstreams, self._sessions, strict=True):
            if session is not None:
                self._versions[upstream.name] = f"{session.model.name} {session.model.version}".strip()
        return self._versions

    @property
    def working(self) -> bool:
        """Something was asked and is not answered yet."""
        return self._machine.working

    async def connect(self) -> bool:
        """Opens the first session that can be had; False if there is none at the moment."""
        if self._shadow is not None:
            self._host.spawn(self._shadow.connect())
        self._machine.connect(self._drive.now())
        self._drive.poke()
        return await self._joined

    def close(self) -> None:
        if self._shadow is not None:
            self._shadow.close()
        self._machine.close()
        self._drive.poke()
        self._drive.close()
        for index in range(len(self._sessions)):
            self._close(index)
        # Who was told knows this session; let go, both are freed at once.
        self._listener = self._on_notice = _nobody
        self._machine.on_admitted = _nothing

    # --- inside -------------------------------------------------------------------------------------------------------

    def _both(self, verb: str, *arguments: object) -> None:
        """To the machine, and to whoever listens along."""
        self._do(getattr(self._machine, verb), *arguments)
        if self._shadow is not None:
            self._shadow.ask(verb, *arguments)

    def _do(self, verb: Callable[..., None], *arguments: object) -> None:
        verb(*arguments, self._drive.now())
        self._drive.poke()

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Ask(index, verb, arguments):
                session = self._sessions[index]
                if session is not None:
                    getattr(session, verb)(*arguments)
            case Open():
                self._host.spawn(self._open(effect))
            case Close(index):
                self._close(index)

    def _close(self, index: int) -> None:
        session, self._sessions[index] = self._sessions[index], None
        ticket, self._tickets[index] = self._tickets[index], None
        if ticket is not None:
            ticket.leave()
        if session is not None:
            session.close()

    async def _open(self, wanted: Open) -> None:
        index, upstream = wanted.index, self._upstreams[wanted.index]
        ticket: Ticket | None = None
        try:
            if not self._machine.gated:
                ticket = await upstream.admit(self._machine.role)
            async with asyncio.timeout(wanted.timeout / SECOND):
                session = await self._opener(upstream, partial(self._receive, index, wanted.epoch))
        except (ProviderError, TimeoutError) as error:
            if ticket is not None:
                ticket.leave()
            if isinstance(error, TimeoutError):
                error = ProviderError(upstream.name, "no session in time", transient=True)
            self._do(self._machine.open_failed, index, wanted.epoch, error)
            return
        except asyncio.CancelledError:
            if ticket is not None:
                ticket.leave()
            raise
        self._close(index)  # one that was lost before, if it left anything
        self._sessions[index], self._tickets[index] = session, ticket
        self._do(self._machine.opened, index, wanted.epoch)
        if self._machine.candidates[index].epoch != wanted.epoch:  # nobody waits for it any more
            self._close(index)

    def _receive(self, index: int, epoch: int, result: Any) -> None:
        self._do(self._machine.receive, index, epoch, result)

    def _admitted(self) -> None:
        self._do(self._machine.admitted)

    def _tell(self, event: Any) -> None:
        if isinstance(event, Joined):
            if not self._joined.done():
                self._joined.set_result(event.ready)
        elif isinstance(event, _NOTICES):
            self._on_notice(event)
        else:
            self._listener(event)


class RoutedStt(Routed[SttFailover]):
    """Speech to text."""

    def audio(self, pcm: bytes, media_time: Samples, flags: int) -> None:
        """The path of every frame: no effect, no event."""
        candidate = self._machine.audio(pcm, media_time, flags)
        if candidate is not None:
            session = self._sessions[candidate.index]
            if session is not None:
                session.audio(pcm, media_time, flags)
        if self._shadow is not None:
            self._shadow.ask("audio", pcm, media_time, flags)

    def begin_turn(self, turn: int, media_time: Samples) -> None:
        self._both("begin_turn", turn, media_time)

    def end_turn(self, turn: int, media_time: Samples) -> None:
        self._both("end_turn", turn, media_time)

    def cancel_turn(self, turn: int) -> None:
        self._both("cancel_turn", turn)


class RoutedLlm(Routed[LlmFailover]):
    """Text in, tokens out."""

    def generate(self, request: int, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> None:
        self._both("generate", request, messages, tools)

    def cancel(self, request: int) -> None:
        self._both("cancel", request)

    def interrupted(self, text: str, played_ms: int) -> None:
        self._do(self._machine.interrupted, text, played_ms)

    def digit(self, digit: str) -> None:
        self._do(self._machine.digit, digit)


class RoutedTts(Routed[TtsFailover]):
    """Sentences in, speech out."""

    def speak(self, request: int, text: str) -> None:
        self._both("speak", request, text)

    def cancel(self, request: int) -> None:
        self._both("cancel", request)
