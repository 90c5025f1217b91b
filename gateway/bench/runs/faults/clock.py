"""Lets each fault happen when it is due, and ends it: also when the run is ended before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from gateway.bench.runs.faults.options import FaultOptions
from gateway.bench.runs.run_file import Fault
from gateway.units import SECOND

__all__ = ["FaultClock", "Faulty"]


class Faulty(Protocol):
    """What faults are done to."""

    async def begin(self, fault: FaultOptions) -> None: ...

    async def end(self, fault: FaultOptions) -> None: ...


class FaultClock:
    """``run`` beside the calls. ``done`` is what has happened so far."""

    def __init__(
        self,
        agent: Faulty | None,
        faults: Sequence[FaultOptions],
        elapsed_s: Callable[[], float],
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.done: list[Fault] = []
        self._agent = agent
        self._faults = faults
        self._elapsed_s = elapsed_s
        self._told = told

    async def run(self) -> None:
        """Returns when the last fault is over; at once where there is nothing to do them to."""
        agent = self._agent
        if agent is None:
            return
        async with asyncio.TaskGroup() as group:
            for fault in self._faults:
                await asyncio.sleep(max(0.0, fault.at / SECOND - self._elapsed_s()))
                group.create_task(self._one(agent, fault), name=f"fault {fault.what} {fault.target}")

    async def _one(self, agent: Faulty, fault: FaultOptions) -> None:
        began = self._elapsed_s()
        self._told(f"{fault.what} {fault.target}")
        place = len(self.done)
        self.done.append(Fault(at_s=round(began, 3), until_s=None, what=fault.what, target=fault.target))
        try:
            await _whole(agent.begin(fault))
            if fault.lasts:
                await asyncio.sleep(fault.length / SECOND)
        finally:
            if fault.lasts:
                await _whole(agent.end(fault))
            if fault.lasts or fault.what == "restart":
                over = round(self._elapsed_s(), 3)
                self.done[place] = self.done[place].model_copy(update={"until_s": over})
                self._told(f"{fault.what} {fault.target} is over")


async def _whole(work: Coroutine[Any, Any, None]) -> None:
    """A process that was half stopped or half started would be a fault of ours: cancelled, it is finished first."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
