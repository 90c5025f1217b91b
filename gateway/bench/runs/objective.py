"""What a run has to keep, like ``p99<800ms``: the gap by default, or ``set_up p95<500ms``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from gateway.bench.runs.figures import percentile
from gateway.bench.runs.run_file import Figure, Objective
from gateway.errors import ConfigError
from gateway.options import parse_duration
from gateway.units import to_ms

__all__ = ["FIGURES", "missed", "parse_objective"]

FIGURES: Final = ("gap", "set_up", "ringing", "greeting", "stop")
_WRITTEN: Final = re.compile(r"\s*(?:(\w+)\s+)?(?:p(\d{1,2}(?:\.\d+)?)|(max))\s*<\s*([\d.]+\s*(?:ms|s))\s*")


def parse_objective(text: str, failures: int = 0) -> Objective:
    """Raises ``ConfigError``."""
    match = _WRITTEN.fullmatch(text)
    if match is None:
        raise ConfigError([f"{text!r} is no objective; write one like p99<800ms or 'set_up p95<500ms'"])
    figure = match[1] or "gap"
    if figure not in FIGURES:
        raise ConfigError([f"{text!r}: {figure!r} is not measured; there are {', '.join(FIGURES)}"])
    share = 100.0 if match[3] else float(match[2])
    return Objective(figure=figure, percentile=share, limit_ms=to_ms(parse_duration(match[4])), failures=failures)


def missed(objective: Objective, figures: Mapping[str, Figure], failed: int) -> str | None:
    """Why the objective is not kept; None if it is. Nothing measured keeps nothing."""
    if failed > objective.failures:
        return f"{failed} calls failed, {objective.failures} may"
    found = figures.get(objective.figure)
    name = f"{objective.figure} p{objective.percentile:g}"
    if found is None:
        return f"{name}: nothing was measured"
    value = percentile(found, objective.percentile)
    return f"{name} is {value:.0f} ms, the objective {objective.limit_ms:g} ms" if value >= objective.limit_ms else None
