"""The largest load that keeps an objective, looked for step by step; and the bend of a curve. No clock, no I/O.

The search doubles until a step misses the objective, then halves what lies between the best and the worst, until they
are within a tenth of each other. A step that missed by chance is not asked again: a search measures, it does not hope.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.bench.runs.run_file import KneeStep

__all__ = ["Search", "bend"]

_CLOSE: Final = 0.1
_GROWTH: Final = 2


class Search:
    """``next`` is the load to try, None when it is over; answer each with ``told``."""

    def __init__(self, lowest: int, highest: int) -> None:
        self.kept: int | None = None
        """The largest load so far that kept the objective."""
        self.next: int | None = lowest
        self._lowest = lowest
        self._highest = highest
        self._missed: int | None = None

    def told(self, *, met: bool) -> None:
        """How the step went."""
        if self.next is None:
            return
        if met:
            self.kept = self.next
        else:
            self._missed = self.next
        self.next = self._choose()

    def _choose(self) -> int | None:
        if self.kept is None:
            return self._downwards()
        if self._missed is None:
            return None if self.kept >= self._highest else min(self._highest, self.kept * _GROWTH)
        middle = (self.kept + self._missed) // 2
        return middle if self._missed - self.kept > max(1, _CLOSE * self.kept) else None

    def _downwards(self) -> int | None:
        """Even the first step was too much."""
        lower = (self._missed or self._lowest) // _GROWTH
        return lower if lower >= 1 else None


def bend(steps: Sequence[KneeStep]) -> int | None:
    """The load where p99 turns upwards: farthest below the straight line between the first and the last step.

    None where there are too few steps, or where the curve does not bend (Satopaa et al., 2011, for a convex curve).
    """
    points = sorted((step.callers, step.p99) for step in steps if step.p99 is not None)
    if len(points) < 3:
        return None
    (x0, y0), (x1, y1) = points[0], points[-1]
    if x1 == x0 or y1 <= y0:
        return None
    below = [((x - x0) / (x1 - x0) - (y - y0) / (y1 - y0), x) for x, y in points]
    depth, where = max(below)
    return where if depth > _CLOSE else None
