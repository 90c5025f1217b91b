"""Callers that call through pjsua2: a process for each call, and figures from the recordings that it made itself.

No part of ours but the onset detector has a hand in these figures. What they hold is what a person at that telephone
hears: the delay of its jitter buffer is in them, so a gap is some milliseconds longer than on the wire.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from gateway.bench.callers.caller import Clips, Target
from gateway.bench.callers.impairments import Impairments
from gateway.bench.callers.recording import interleave
from gateway.bench.callers.scenario import Scenario
from gateway.bench.callers.speech import RATE
from gateway.bench.callers.steps import HangUp, Listen, Say, Silence, Step, Think
from gateway.bench.measure.onset import Edge, OnsetDetector
from gateway.bench.measure.outcome import Ending, Outcome, judge
from gateway.bench.measure.results import CallResult, Saying, Ticket, dead_air, measure, spans
from gateway.errors import ConfigError
from gateway.media.costs import PlaneCosts
from gateway.units import MS, SECOND, Nanos, Samples

__all__ = ["Pjsua2Host", "require_pjsua2"]

_MANUAL: Final = "https://docs.pjsip.org/en/latest/pjsua2/building.html"
_PHONE: Final = Path(__file__).with_name("phone.py")
_STEPS: Final = (Listen, Think, Say, Silence, HangUp)
_TEARDOWN: Final = 3.0
"""Seconds that the phone has to say goodbye."""
_FRAME: Final = 160
_BYTES: Final = 2
_EARLY: Final = 50 * MS
"""Speech may lie so far before the phone has told of it: the bridge has a thread of its own."""


def require_pjsua2(scenarios: Sequence[Scenario], *, impaired: bool) -> None:
    """Raises ``ConfigError`` if the module is missing, or if something is asked for that this telephone cannot do."""
    if find_spec("pjsua2") is None:
        raise ConfigError([f"--caller pjsua2: there is no module pjsua2; how it is built: {_MANUAL}"])
    problems = [
        f"--caller pjsua2: {scenario.name}: it cannot {what}; it can listen, think, say, silence, hang_up"
        for scenario in scenarios
        for what in sorted(_foreign(scenario))
    ]
    if impaired:
        problems.append("--caller pjsua2: its line cannot be impaired: that is done by our own media plane")
    if problems:
        raise ConfigError(problems)


def _foreign(scenario: Scenario) -> set[str]:
    """What it wants beyond ``_STEPS``."""
    found = {type(step).__name__.lower() for step in scenario.steps if type(step) not in _STEPS}
    found |= {key for key in ("leaves_after", "abandons_after") if getattr(scenario, key) is not None}
    return found | ({"impairments"} if scenario.impairments is not None else set())


class Pjsua2Host:
    """Opened with ``async with``; to a run what ``CallerHost`` is."""

    def __init__(self, target: Target) -> None:
        self._target = target

    async def __aenter__(self) -> Pjsua2Host:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        """Every call has ended its own process."""

    def caller(
        self,
        scenario: Scenario,
        clips: Clips,
        *,
        ticket: Ticket | None = None,
        impairments: Impairments | None = None,
        record: bool = False,
    ) -> Pjsua2Caller:
        """A caller that has not called yet. ``require_pjsua2`` has refused impairments."""
        return Pjsua2Caller(scenario, clips, ticket or Ticket())

    async def run(self, caller: Pjsua2Caller, record: Path | None = None) -> CallResult:
        """The whole call, and its recording."""
        with tempfile.TemporaryDirectory(prefix="linecard-pjsua2-") as folder:
            await caller.run(self._target, Path(folder), record)
        return caller.result

    def costs(self) -> PlaneCosts:
        """No media thread of ours has any."""
        return PlaneCosts()


class Pjsua2Caller:
    """Places one call: ``run`` it once."""

    def __init__(self, scenario: Scenario, clips: Clips, ticket: Ticket) -> None:
        self.result = CallResult(ticket, scenario.name)
        self._scenario = scenario
        self._clips = clips
        self._source = random.Random(f"{ticket.seed}:{ticket.number}")
        self._changed = asyncio.Event()
        self._origin = Nanos(0)
        """Of both recordings."""
        self._said: list[tuple[Say, Nanos, Nanos]] = []
        """What, when it was wanted, when the phone was told."""
        self._told = 0
        """Of them, what the phone has begun to play."""
        self._awaited: list[bool] = []
        self._sounds: list[Nanos] = []
        self._quiet_since: Nanos | None = None
        self._speaking = False
        self._alive = False
        """The far end has said anything at all."""
        self._over = False
        self._left = False
        """We have asked for the end."""
        self._complete = False
        self._next: Nanos | None = None
        self._busy: list[tuple[int, int]] = []

    async def run(self, target: Target, folder: Path, record: Path | None) -> None:
        """Cancelled, it hangs up, and ``result`` has what was measured until then."""
        result, limited = self.result, False
        for number, key in enumerate(self._clips):
            _write(folder / f"{number}.wav", 1, self._clips[key])
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(_PHONE), _address(target), str(folder),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        reading = asyncio.create_task(self._read(process))
        script = asyncio.create_task(self._follow(process, folder))
        patience = asyncio.create_task(self._lose_patience(target))
        try:
            async with asyncio.timeout(self._scenario.limit / SECOND):
                await asyncio.wait((reading, script, patience), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            limited = True
            result.failure = f"the call reached its limit of {self._scenario.limit / SECOND:g} s"
        except asyncio.CancelledError:
            result.outcome, result.failure = Outcome.CANCELLED, "the run was ended"
            raise
        finally:
            speaking = self._speaking
            script.cancel()
            patience.cancel()
            await self._end(process, reading)
            await asyncio.gather(script, patience, return_exceptions=True)
            self._measure(folder, record)
            sound = bool(result.heard)
            judge(result, Ending(self._complete, limited, sound=sound, speaking=speaking))

    async def _end(self, process: asyncio.subprocess.Process, reading: asyncio.Task[None]) -> None:
        """The end of its input has the phone hang up."""
        self._left = True
        if process.stdin is not None:
            process.stdin.close()
        await asyncio.wait((reading,), timeout=_TEARDOWN)
        if process.returncode is None and not reading.done():
            with suppress(ProcessLookupError):
                process.kill()
        status = await process.wait()
        await reading
        self.result.ended = self.result.ended or _now()
        if not self._over and self.result.answered is not None and not self.result.outcome:
            self.result.outcome, self.result.failure = Outcome.BROKEN, f"pjsua2 ended with status {status}"

    # --- what the phone tells -----------------------------------------------------------------------------------------

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            return
        while line := await process.stdout.readline():
            if line.startswith(b"{"):
                told = json.loads(line)
                self._heard_of(told["event"], Nanos(told["at"]), told)
                self._changed.set()

    def _heard_of(self, event: str, at: Nanos, told: dict[str, Any]) -> None:
        match event:
            case "clap":
                self._origin = at
            case "invited":
                self.result.invited = at
            case "state":
                self._state(told["state"], at, told)
            case "says":
                self._told += 1
            case "sound":
                self._speaking = told["started"]
                self._quiet_since = None if self._speaking else Nanos(told["since"])
                self._sounds.append(at)
            case _:
                self._over = True

    def _state(self, state: str, at: Nanos, told: dict[str, Any]) -> None:
        result = self.result
        result.call_id = told["call_id"] or result.call_id
        self._alive = self._alive or state != "CALLING"
        if state == "EARLY":
            result.ringing = result.ringing or at
        elif state in {"CONNECTING", "CONFIRMED"}:
            result.answered = result.answered or at
        elif state.startswith("DISC"):
            result.ended = at
            result.status = None if self._left or result.answered is not None else told["status"]
            result.ended_by = "local: nobody answered in time" if self._left else f"remote: {told['reason']}"

    # --- the script ---------------------------------------------------------------------------------------------------

    async def _follow(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        await self._until(lambda: self.result.answered is not None)
        for number, step in enumerate(self._scenario.steps):
            if isinstance(step, Say):
                self._awaited.append(any(isinstance(one, Listen) for one in _before_say(self._scenario.steps, number)))
                await self._say(step, process, folder)
            else:
                await self._do(step)
        self._complete = True
        if not self._scenario.hangs_up:
            await self._until(lambda: self._over)

    async def _do(self, step: Step) -> None:
        match step:
            case Listen():
                await self._listen(step)
            case Think(time=length):
                self._pause(length.draw(self._source), busy=True)
            case Silence(time=length):
                self._pause(length, busy=False)
                await self._until_time(self._due())
            case _:
                await self._until_time(self._due())

    async def _say(self, step: Say, process: asyncio.subprocess.Process, folder: Path) -> None:
        due = self._due()
        await self._until_time(due)
        self._said.append((step, due, _now()))
        number = list(self._clips).index(step.key)
        if process.stdin is not None:
            process.stdin.write(f"say {folder / f'{number}.wav'}\n".encode())
        await self._until(lambda: self._told == len(self._said))
        await self._until_time(Nanos(_now() + len(self._clips[step.key]) // _BYTES * SECOND // RATE))
        self._next = None

    async def _listen(self, step: Listen) -> None:
        since = _now() if self._said else self.result.answered or 0
        begun = await self._until(
            lambda: self._speaking or any(at > since for at in self._sounds), step.within / SECOND
        )
        self._next = None
        if not begun:
            return
        while self._quiet_since is None or _now() - self._quiet_since < step.quiet:
            left = SECOND if self._quiet_since is None else self._quiet_since + step.quiet - _now()
            await self._until(lambda: False, max(0.001, min(left, SECOND) / SECOND), once=True)
        self._next = Nanos(self._quiet_since + step.quiet)

    async def _lose_patience(self, target: Target) -> None:
        """Returns when the far end has said nothing at all for too long."""
        if target.patience is None or await self._until(lambda: self._alive, target.patience / SECOND):
            await asyncio.Event().wait()

    async def _until(self, fact: Callable[[], bool], limit_s: float | None = None, *, once: bool = False) -> bool:
        """Waits for a fact, or (``once``) for anything new."""
        deadline = None if limit_s is None else time.monotonic() + limit_s
        while not fact():
            self._changed.clear()
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left)
            if once:
                return True
        return True

    def _due(self) -> Nanos:
        return _now() if self._next is None else self._next

    def _pause(self, length: int, *, busy: bool) -> None:
        start = self._due()
        self._next = Nanos(start + length)
        if busy:
            self._busy.append((start, self._next))

    async def _until_time(self, due: Nanos) -> None:
        await asyncio.sleep(max(0, due - _now()) / SECOND)

    # --- figures ------------------------------------------------------------------------------------------------------

    def _measure(self, folder: Path, record: Path | None) -> None:
        result = self.result
        said, heard = (_after_clap(folder / f"{name}.wav") for name in ("said", "heard"))
        sayings = list(self._sayings(_edges(said, self._origin)))
        answered = result.answered
        if answered is None:
            return
        measure(result, sayings, [one for one in spans(_edges(heard, self._origin)) if one.start.at >= answered])
        if result.ended is not None:
            sounds = [(one.start.at, result.ended if one.end is None else one.end.at) for one in result.heard]
            spoken = [(one.first_sent, one.ended) for one in sayings]
            result.dead_air = list(dead_air(answered, result.ended, [*sounds, *spoken, *self._busy]))
        if record is not None and heard:
            _write(record, 2, interleave([(0, said)], [(0, heard)]))
            result.recording = record.name

    def _sayings(self, edges: Sequence[Edge]) -> Iterator[Saying]:
        """What was said, where the recording has it."""
        for number, (step, due, at) in enumerate(self._said):
            following = self._said[number + 1][2] - _EARLY if number + 1 < len(self._said) else None
            mine = [one for one in edges if one.at >= at - _EARLY and (following is None or one.at < following)]
            starts, ends = [one for one in mine if one.started], [one for one in mine if not one.started]
            if starts and ends:
                awaited = self._awaited[number]
                late = max(0, starts[0].at - due)
                yield Saying(step.key, starts[0].at, ends[-1].at, awaited=awaited, late=late)


def _before_say(steps: Sequence[Step], number: int) -> Iterator[Step]:
    """The steps after this one, up to the next thing that is said."""
    for step in steps[number + 1 :]:
        if isinstance(step, Say):
            return
        yield step


def _after_clap(path: Path) -> bytes:
    """PCM from the first sample of the click, which both recordings have at the same moment."""
    try:
        with wave.open(str(path)) as file:
            pcm: bytes = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error):  # it never came to that
        return b""
    silent = len(pcm) - len(pcm.lstrip(b"\0"))
    return pcm[silent // _BYTES * _BYTES :]


def _edges(pcm: bytes, origin: Nanos) -> list[Edge]:
    """Of sound, without the click."""
    detector, found = OnsetDetector(), list[Edge]()
    for first in range(0, len(pcm) // _BYTES, _FRAME):
        frame = pcm[first * _BYTES : (first + _FRAME) * _BYTES]
        found += detector.hear(frame, Samples(first), Nanos(origin + first * SECOND // RATE))
    return [*found, *detector.finish()][2:]


def _write(path: Path, channels: int, pcm: bytes) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, _BYTES, RATE, 0, "NONE", "not compressed"))
        file.writeframes(pcm)


def _address(target: Target) -> str:
    """pjsua2 looks for nobody: the host that we have found, and its transport."""
    user = target.uri.partition(":")[2].rpartition("@")[0]
    host, port = target.remote
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"sip:{f'{user}@' if user else ''}{where}"


def _now() -> Nanos:
    return Nanos(time.monotonic_ns())
