"""A trunk's targets: which one a call tries first, and which are known to be down. Pure, but for the lots it draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.call.trunk_options import HealthOptions, TargetOptions

__all__ = ["Lot", "Targets"]


class Lot(Protocol):
    """What we need of ``random.Random``."""

    def random(self) -> float: ...


class _State:
    __slots__ = ("failures", "successes", "up")

    def __init__(self) -> None:
        self.up = True
        self.failures = self.successes = 0


class Targets:
    """Everybody is believed to be up until ``down_after`` failures in a row, and down until ``up_after`` successes."""

    def __init__(self, targets: Sequence[TargetOptions], health: HealthOptions, lot: Lot) -> None:
        self._targets = targets
        self._health = health
        self._lot = lot
        self._states = {target.uri: _State() for target in targets}

    @property
    def uris(self) -> list[str]:
        return list(self._states)

    def up(self, uri: str) -> bool:
        return self._states[uri].up

    def order(self) -> list[TargetOptions]:
        """By priority, within one drawn by weight; those that are down come last, because a call that may succeed is
        better than one that must fail."""
        # The order of these keys is that of a draw by weight without replacement (Efraimidis and Spirakis, 2006).
        drawn = {target.uri: self._lot.random() ** (1 / target.weight) for target in self._targets}
        return sorted(self._targets, key=lambda target: (not self.up(target.uri), target.priority, -drawn[target.uri]))

    def report(self, uri: str, *, good: bool) -> bool:
        """What a call or a ping has met. True if the target is up now and was down before, or the other way round."""
        state = self._states[uri]
        state.failures, state.successes = (0, state.successes + 1) if good else (state.failures + 1, 0)
        enough = self._health.up_after if good else self._health.down_after
        if good == state.up or max(state.failures, state.successes) < enough:
            return False
        state.up = good
        return True
