"""Load shapes: how many callers are on the line when, as stretches of one load each. No clock, no I/O.

A ramp becomes a staircase, so that every figure can be told by the load that it was measured under.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gateway.bench.runs.run_file import Phase
from gateway.errors import ConfigError

__all__ = ["Load", "fixed", "parse_load", "parse_rate", "phases", "rated"]

_STAIRS: Final = 12
"""Steps of a ramp: fine enough to see a bend, long enough to measure on."""
_TENTHS: Final = 10
"""Parts of a soak that are told apart, so that a drift can be seen."""
MOST_CALLERS: Final = 5000
MOST_RATE: Final = 1000.0

_RATE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|m|h)")
_PER: Final = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class Load:
    """What was asked for: the kind of shape, and its numbers."""

    kind: str
    levels: tuple[int, ...] = ()
    """Callers at once: one level, the two ends of a ramp, every step, or (base, peak) of a spike."""
    rate: float | None = None

    @property
    def most(self) -> int:
        return max(self.levels, default=0)


def fixed(callers: int) -> Load:
    return Load("callers", (_checked(callers, "--callers"),))


def rated(rate: float) -> Load:
    if not 0 < rate <= MOST_RATE:
        raise ConfigError([f"--rate: {rate:g} calls a second; give more than 0 and at most {MOST_RATE:g}"])
    return Load("rate", rate=rate)


def parse_load(kind: str, text: str) -> Load:
    """``ramp 5:500``, ``steps 10,50,100``, ``spike 10:200``, ``soak 50``, ``callers 20``, ``rate 5/s``.

    Raises ``ConfigError``.
    """
    match kind:
        case "rate":
            return rated(parse_rate(text))
        case "steps":
            levels = tuple(_number(part, kind, text) for part in text.split(","))
        case "ramp" | "spike":
            levels = tuple(_number(part, kind, text) for part in text.split(":"))
            if len(levels) != 2 or levels[0] == levels[1]:
                raise ConfigError([f"--{kind}: {text!r}; write two numbers of callers, like 5:500"])
        case _:
            levels = (_number(text, kind, text),)
    return Load(kind, levels)


def parse_rate(text: str) -> float:
    """``5/s``, ``90/m`` or ``200/h`` to calls a second. Raises ``ConfigError``."""
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise ConfigError([f"--rate: {text!r}; write calls and a unit of time, like 5/s, 90/m or 200/h"])
    return float(match[1]) / _PER[match[2]]


def phases(load: Load, length_s: float, warm_up_s: float = 0.0) -> list[Phase]:
    """The load over ``length_s`` seconds, after ``warm_up_s`` at the load of its beginning."""
    parts = [_with(part, name=part.name or _name(part)) for part in _parts(load, length_s)]
    if warm_up_s <= 0:
        return parts
    first = _with(parts[0], name="warm-up", start_s=0.0, end_s=warm_up_s, warm_up=True)
    later = [_with(part, start_s=part.start_s + warm_up_s, end_s=part.end_s + warm_up_s) for part in parts]
    return [first, *later]


def _with(part: Phase, **changes: object) -> Phase:
    return part.model_copy(update=changes)


def _parts(load: Load, length_s: float) -> list[Phase]:
    match load.kind:
        case "rate":
            return [Phase(name="", start_s=0.0, end_s=length_s, rate=load.rate)]
        case "ramp":
            return _staircase(_stairs(*load.levels), length_s)
        case "spike":
            base, peak = load.levels
            return _named(_staircase((base, peak, base), length_s), ("before", "spike", "after"))
        case "soak":
            names = [f"part {number} of {_TENTHS}" for number in range(1, _TENTHS + 1)]
            return _named(_staircase(load.levels * _TENTHS, length_s), names)
        case _:
            return _staircase(load.levels, length_s)


def _stairs(first: int, last: int) -> tuple[int, ...]:
    count = min(_STAIRS, abs(last - first) + 1)
    return tuple(round(first + (last - first) * step / (count - 1)) for step in range(count))


def _staircase(levels: tuple[int, ...], length_s: float) -> list[Phase]:
    each = length_s / len(levels)
    return [Phase(name="", start_s=each * n, end_s=each * (n + 1), callers=level) for n, level in enumerate(levels)]


def _named(parts: list[Phase], names: tuple[str, ...] | list[str]) -> list[Phase]:
    return [_with(part, name=f"{name}, {_name(part)}") for part, name in zip(parts, names, strict=True)]


def _name(part: Phase) -> str:
    if part.callers is None:
        return f"{part.rate:g} calls/s"
    return f"{part.callers} caller{'' if part.callers == 1 else 's'}"


def _number(text: str, kind: str, whole: str) -> int:
    if not text.strip().isdecimal():
        raise ConfigError([f"--{kind}: {whole!r}; {text.strip()!r} is no number of callers"])
    return _checked(int(text), f"--{kind}")


def _checked(callers: int, option: str) -> int:
    if not 1 <= callers <= MOST_CALLERS:
        raise ConfigError([f"{option}: {callers} callers; give 1 to {MOST_CALLERS}"])
    return callers
