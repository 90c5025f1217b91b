"""When each call is due: fixed before the run, so that a slow agent cannot thin out the calls that would show it.

Where callers are counted, each has a line of its own and calls at fixed moments, ``every_s`` apart; a call that lasts
longer makes the next one of its line late or, beyond a whole period, leaves it out, and both are reported. Where a rate
is given, calls arrive by it (a Poisson process) whatever becomes of those before them. The same seed gives the same
schedule.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.bench.runs.run_file import Phase

__all__ = ["Due", "schedule"]

_SPREAD: Final = 0.5
"""Of a phase: new callers begin within this part of it at the latest."""


@dataclass(frozen=True, slots=True)
class Due:
    """One call of the schedule."""

    number: int
    """From 1, in the order of time."""
    due_s: float
    phase: Phase
    scenario: str
    line: int | None = None
    """The caller that places it; None for one that arrives by itself."""


def schedule(
    parts: Sequence[Phase], mix: Mapping[str, float], every_s: float, seed: int, *, first: int = 1
) -> list[Due]:
    """All calls of the phases. ``mix`` is scenario to weight."""
    chance = random.Random(seed)
    found: list[tuple[float, Phase, int | None]] = []
    free: dict[int, float] = {}
    for part in parts:
        found.extend(_arrivals(part, chance) if part.rate is not None else _lines(part, every_s, free))
    found.sort(key=lambda one: one[0])
    names, weights = list(mix), list(mix.values())
    chosen = chance.choices(names, weights, k=len(found))
    return [
        Due(number, round(due, 6), part, scenario, line)
        for number, ((due, part, line), scenario) in enumerate(zip(found, chosen, strict=True), first)
    ]


def _arrivals(part: Phase, chance: random.Random) -> Iterator[tuple[float, Phase, None]]:
    if part.rate is None:
        return
    due = part.start_s + chance.expovariate(part.rate)
    while due < part.end_s:
        yield due, part, None
        due += chance.expovariate(part.rate)


def _lines(part: Phase, every_s: float, free: dict[int, float]) -> Iterator[tuple[float, Phase, int]]:
    """``free`` is each line's next moment: lines of the phase before keep their rhythm, new ones begin spread out."""
    callers = part.callers or 0
    new = [line for line in range(callers) if line not in free]
    spread = min(every_s, (part.end_s - part.start_s) * _SPREAD)
    for place, line in enumerate(new):
        free[line] = part.start_s + spread * place / len(new)
    for line in [line for line in free if line >= callers]:
        del free[line]  # this caller has gone; should the load rise again, somebody else comes
    for line in range(callers):
        while free[line] < part.end_s:
            yield free[line], part, line
            free[line] += every_s
