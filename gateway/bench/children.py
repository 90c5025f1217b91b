"""Child processes of the demo and of runs: started, watched for the log line that says they are ready, ended in order.

Each child gets a session of its own, so that Ctrl-C reaches us alone and we decide who ends when. Whatever way
we die ourselves, the kernel ends its children (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import signal
import sys
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, Final

from gateway.bench.measure.inside import LogLine, read_line
from gateway.errors import MisuseError, ResourceError

__all__ = ["Child"]

_LINE_LIMIT: Final = 1 << 20
_LAST_WORDS: Final = 20
_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def _die_with_parent(last: signal.Signals) -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, last)


class Child:
    """One ``linecard`` command running beside us. Its standard output and error are read as one log."""

    last_signal: ClassVar[signal.Signals] = signal.SIGTERM
    """What it gets from the kernel if we die."""

    def __init__(
        self,
        name: str,
        process: asyncio.subprocess.Process,
        log: asyncio.StreamReader,
        on_line: Callable[[LogLine], None],
    ) -> None:
        self.name = name
        self.pid = process.pid
        self.last_words: deque[str] = deque(maxlen=_LAST_WORDS)
        """The end of what it wrote, for when it dies."""
        self._process = process
        self._on_line = on_line
        self._waiting: list[tuple[frozenset[str], asyncio.Future[LogLine]]] = []
        self._reader = asyncio.create_task(self._read(log), name=f"log of {name}")

    @classmethod
    def command(cls, arguments: Sequence[str]) -> list[str]:
        """The program that runs: ``linecard`` under the interpreter that we run under."""
        return [sys.executable, "-m", "gateway.cli", *arguments]

    @classmethod
    async def start(
        cls, name: str, arguments: Sequence[str], on_line: Callable[[LogLine], None] = lambda _: None
    ) -> Child:
        """``linecard`` with these arguments; every JSON line of its output goes to ``on_line``."""
        process = await asyncio.create_subprocess_exec(
            *cls.command(arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=partial(_die_with_parent, cls.last_signal),
            limit=_LINE_LIMIT,
        )
        if process.stdout is None:
            raise MisuseError("the child's output is not ours")
        return cls(name, process, process.stdout, on_line)

    async def ready(self, events: Sequence[str], limit_s: float) -> LogLine:
        """The first line with one of these events. Raises ``ResourceError`` if the child dies or says nothing."""
        waiter: asyncio.Future[LogLine] = asyncio.get_running_loop().create_future()
        self._waiting.append((frozenset(events), waiter))
        done, _ = await asyncio.wait((waiter, self._reader), timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        if waiter in done:
            return waiter.result()
        if self._reader in done:
            raise ResourceError(f"{self.name} did not start: {self.epitaph()}")
        raise ResourceError(f"{self.name} was not ready after {limit_s:g} s: {self.epitaph()}")

    @property
    def alive(self) -> bool:
        """Whether it still runs, stopped or not."""
        return self._process.returncode is None and not self._reader.done()

    def epitaph(self) -> str:
        """Its last line that says something, for one clear line of ours."""
        return next((line for line in reversed(self.last_words) if line.strip()), "it said nothing")

    async def ended(self) -> None:
        """Returns when its output has come to its end."""
        await asyncio.shield(self._reader)

    async def stop(self, grace: float) -> int:
        """Asks it to end, insists after ``grace`` seconds; returns its exit status."""
        if not self._reader.done():  # of one that has ended by itself, terminate() would take the status from the loop
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), grace)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        status = await self._process.wait()
        await self._reader
        return status

    async def _read(self, log: asyncio.StreamReader) -> None:
        while True:
            try:
                raw = await log.readline()
            except ValueError:  # longer than the limit: not one of our log lines
                continue
            if not raw:
                return
            text = raw.decode(errors="replace").rstrip()
            line = read_line(text)
            self.last_words.append(text if line is None else _plain(line))
            if line is not None:
                self._deliver(line)

    def _deliver(self, line: LogLine) -> None:
        for events, waiter in self._waiting:
            if line.event in events and not waiter.done():
                waiter.set_result(line)
        self._on_line(line)


def _plain(line: LogLine) -> str:
    """A JSON log line as a person would say it."""
    detail = line.fields.get("error") or line.fields.get("problem") or line.fields.get("reason")
    return f"{line.event}: {detail}" if detail else line.event
