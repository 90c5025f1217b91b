"""Stand-ins for what surrounds a plug: a call, a leg, a provider. They only write down what is asked of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from gateway.audio import Encoding
from gateway.errors import ProviderError
from gateway.machine import Machine
from gateway.media.contract import Stream
from gateway.net.driver import Driver, monotonic
from gateway.providers.contract import (
    NO_BRIEF,
    NOBODY,
    Brief,
    LlmResult,
    Message,
    ModelInfo,
    Party,
    RealtimeResult,
    SttResult,
    Tool,
    TtsResult,
)
from gateway.providers.router.upstream import Upstream
from gateway.timeline import Timeline
from gateway.units import Nanos, Samples


async def _until(changed: asyncio.Event, condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            changed.clear()
            await changed.wait()


class Leg:
    """Plays nothing, remembers all."""

    def __init__(self) -> None:
        self.local = ("127.0.0.1", 20000)
        self.played: list[tuple[bytes, int]] = []
        self.flushes: list[int] = []
        self.echoes: list[bool] = []
        self.marks: list[int] = []
        self.trims: list[tuple[int, Samples]] = []
        self.digits: list[str] = []
        self._changed = asyncio.Event()

    @property
    def samples(self) -> Samples:
        """What was queued, at 8 kHz."""
        return Samples(sum(len(pcm) // 2 * 8000 // rate for pcm, rate in self.played))

    def connect(self, stream: Stream) -> None: ...

    def play(self, pcm: bytes, rate: int, encoding: Encoding = Encoding.PCM) -> None:
        self.played.append((pcm, rate))
        self._changed.set()

    def echo(self, on: bool) -> None:
        self.echoes.append(on)

    def mark(self, number: int) -> None:
        self.marks.append(number)
        self._changed.set()

    def flush(self, number: int) -> None:
        self.flushes.append(number)
        self._changed.set()

    def trim(self, number: int, position: Samples) -> None:
        self.trims.append((number, position))

    def send_digits(self, digits: str) -> None:
        assert 0 < len(digits) <= 64
        self.digits.append(digits)
        self._changed.set()

    async def until(self, condition: Callable[[], Any]) -> None:
        """Until it holds of what the leg was told."""
        await _until(self._changed, condition)

    def close(self) -> None: ...


class Session:
    """A session of any role: the calls made of it, in order."""

    model = ModelInfo("model", "1")
    straight: Callable[[bytes, int], None] | None = None

    def __init__(self, listener: Callable[[Any], None]) -> None:
        self.tell = listener
        self.asked: list[tuple[Any, ...]] = []
        self.closed = False

    def audio(self, pcm: bytes, media_time: Samples, flags: int) -> None:
        self.asked.append(("audio", len(pcm)))

    def begin_turn(self, turn: int, media_time: Samples) -> None:
        self.asked.append(("begin", turn))

    def end_turn(self, turn: int, media_time: Samples) -> None:
        self.asked.append(("end", turn))

    def cancel_turn(self, turn: int) -> None:
        self.asked.append(("cancel", turn))

    def generate(self, request: int, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> None:
        self.asked.append(("generate", request, tuple(messages)))

    def speak(self, request: int, text: str) -> None:
        self.asked.append(("speak", request, text))

    def cancel(self, request: int) -> None:
        self.asked.append(("cancel", request))

    def interrupted(self, *heard: object) -> None:
        self.asked.append(("interrupted", *heard))

    def digit(self, digit: str) -> None:
        self.asked.append(("digit", digit))

    def tool_result(self, call: str, text: str) -> None:
        self.asked.append(("tool_result", call, text))

    def close(self) -> None:
        self.closed = True


class Provider:
    """Opens sessions while it is ``up``."""

    def __init__(self, name: str = "models") -> None:
        self.name = name
        self.up = True
        self._opened = asyncio.Event()
        self.briefs: list[Brief] = []
        """Of the realtime sessions that were asked for."""
        self.sessions: dict[str, list[Session]] = {"stt": [], "llm": [], "tts": [], "realtime": []}

    def _open(self, role: str, listener: Callable[[Any], None]) -> Session:
        if not self.up:
            raise ProviderError(self.name, "not connected", transient=True)
        session = Session(listener)
        self.sessions[role].append(session)
        self._opened.set()
        return session

    async def have(self, role: str, count: int) -> None:
        """Until so many sessions of the role were opened in all."""
        async with asyncio.timeout(5):
            while len(self.sessions[role]) < count:
                self._opened.clear()
                await self._opened.wait()

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    def listening_rate(self, role: str) -> int:
        return 16000

    async def open_stt(self, listener: Callable[[SttResult], None], *, rate: int, language: str) -> Session:
        return self._open("stt", listener)

    async def open_llm(self, listener: Callable[[LlmResult], None], *, party: Party = NOBODY) -> Session:
        return self._open("llm", listener)

    async def open_tts(self, listener: Callable[[TtsResult], None], *, rate: int, language: str) -> Session:
        return self._open("tts", listener)

    async def open_realtime(
        self, listener: Callable[[RealtimeResult], None], *, rate: int, brief: Brief = NO_BRIEF
    ) -> Session:
        self.briefs.append(brief)
        return self._open("realtime", listener)

    def last(self, role: str) -> Session:
        return self.sessions[role][-1]


class Call:
    """What the plug sees of its call."""

    call_id, caller, called = "1@test", "alice", "pizza"

    def __init__(self, provider: Provider, *others: Provider) -> None:
        self.timeline = Timeline()
        self.providers = {one.name: Upstream(one) for one in (provider, *others)}
        self.totals: dict[str, object] = {}
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.hung_up: list[str] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    def now(self) -> Nanos:
        return monotonic()

    def hang_up(self, reason: str) -> None:
        self.hung_up.append(reason)
        self._changed.set()

    def log(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))
        self._changed.set()

    record = log

    def drive(
        self, machine: Machine[Any, Any], on_effect: Callable[[Any], None], on_event: Callable[[Any], None]
    ) -> Driver[Any, Any]:
        return Driver(machine, on_effect, on_event)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Until it holds of what the call was told."""
        await _until(self._changed, condition)

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [fields for name, fields in self.lines if name == event]
