"""The pacer on virtual time: calls begin when they are due, whatever becomes of those before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from gateway.bench.runs.pacer import Pacer
from gateway.bench.runs.run_file import Phase
from gateway.bench.runs.schedule import Due, schedule
from gateway.bench.runs.shapes import fixed, parse_load, phases
from gateway.units import SECOND, Nanos
from tests.unit.bench.callers.virtual import VirtualLoop, run

MIX = {"pizza": 1.0}


class Line:
    """Calls that last as long as they are told to."""

    def __init__(self, length_s: Callable[[Due], float]) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop = loop
        self.length_s = length_s
        self.started: list[tuple[int, float, float]] = []
        """Number, when, and from when on nothing but the generator held it back."""
        self.left_out: list[int] = []
        self.ended: list[int] = []
        self.at_once = self.most = 0
        self.origin = Nanos(loop.nanos())
        self.pacer = Pacer(
            self.place, lambda due: self.left_out.append(due.number), origin=self.origin, clock=loop.nanos
        )

    async def place(self, due: Due, ready: Nanos) -> None:
        self.started.append((due.number, round(self.pacer.elapsed_s(), 3), round((ready - self.origin) / SECOND, 3)))
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await asyncio.sleep(self.length_s(due))
        finally:
            self.at_once -= 1
            self.ended.append(due.number)


def paced(dues: Sequence[Due], length_s: Callable[[Due], float]) -> Line:
    async def main() -> Line:
        line = Line(length_s)
        await line.pacer.run(dues)
        return line

    return run(main())


def test_every_call_begins_when_it_is_due_and_no_more_are_up_than_wanted() -> None:
    dues = schedule(phases(fixed(3), 60.0), MIX, 10.0, seed=1)
    line = paced(dues, lambda due: 9.0)
    assert [number for number, _, _ in line.started] == [due.number for due in dues]
    assert all(at == pytest.approx(due.due_s, abs=0.01) for (_, at, _), due in zip(line.started, dues, strict=True))
    assert (line.most, line.left_out) == (3, [])


def test_a_call_that_lasts_longer_makes_the_next_of_its_line_late_and_leaves_out_what_it_overran() -> None:
    dues = schedule(phases(fixed(1), 40.0), MIX, 10.0, seed=1)
    line = paced(dues, lambda due: 25.0 if due.number == 1 else 5.0)
    assert line.started == [(1, 0.0, 0.0), (3, 25.0, 25.0), (4, 30.0, 30.0)]
    assert line.left_out == [2], "due at 10 s, and still not begun when the next one was, at 20 s"


def test_what_could_not_begin_inside_its_phase_is_left_out() -> None:
    dues = schedule(phases(fixed(1), 20.0), MIX, 10.0, seed=1)
    line = paced(dues, lambda due: 30.0)
    assert [number for number, _, _ in line.started] == [1]
    assert line.left_out == [2]


def test_calls_that_arrive_by_a_rate_pile_up_on_a_slow_agent() -> None:
    part = Phase(name="", start_s=0, end_s=10, rate=1.0)
    dues = [Due(number, number * 1.0, part, "pizza") for number in range(1, 11)]
    line = paced(dues, lambda due: 100.0)
    assert line.most == 10
    assert [at for _, at, _ in line.started] == pytest.approx([float(n) for n in range(1, 11)], abs=0.01)


def test_a_run_that_is_cancelled_ends_its_calls_and_begins_no_other() -> None:
    async def main() -> Line:
        line = Line(lambda due: 100.0)
        dues = schedule(phases(parse_load("callers", "4"), 60.0), MIX, 10.0, seed=1)
        task = asyncio.create_task(line.pacer.run(dues))
        await asyncio.sleep(8)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(100)
        return line

    line = run(main())
    assert sorted(line.ended) == [number for number, _, _ in line.started] == [1, 2, 3, 4]
    assert line.at_once == 0
