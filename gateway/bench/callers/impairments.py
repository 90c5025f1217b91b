"""What a caller's line does to its packets, in each direction: as YAML, and the lines that ship by name.

    impairments:
      send:    {loss: 2%, burst: 4, jitter: wifi, reorder: 1%}    # from the caller to the agent
      receive: {delay: 60ms, jitter: 20ms, duplicate: 0.5%}
      skew: 80                                                    # parts per million of the caller's clock
      silence_suppression: true

Drawn from the call's seed: the same seed loses the same packets.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from gateway.bench.callers.traces import longest, named, recorded
from gateway.media.contract import NO_TIME, LineTerms
from gateway.options import Duration, Options
from gateway.units import MS

__all__ = ["SHIPPED", "Direction", "Impairments", "read_impairments"]

_PACKET: Final = 20 * MS


def _share(value: object) -> object:
    """``2%`` or ``0.02``."""
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", value.strip())):
        return float(match[1]) / 100
    return value


Share = Annotated[float, BeforeValidator(_share), Field(ge=0, le=1)]
Trace = Literal["wifi", "mobile", "spikes"]


class TraceFile(Options):
    """A trace that was recorded: milliseconds of delay beyond the shortest, one packet of 20 ms a line."""

    file: Path


class Direction(Options):
    """What happens to packets of one direction, in this order."""

    loss: Share = 0.0
    """Share of packets that is lost."""
    burst: float = Field(default=1.0, ge=1, le=100)
    """Lost packets come in runs of so many on average (Gilbert); 1: each for itself."""
    loss_in_good: Share = 0.0
    """Gilbert-Elliott: loss between the runs, beside ``loss`` and ``burst``, which then describe the bad state,"""
    loss_in_bad: Share = 1.0
    """and the loss inside them."""
    delay: Duration = Field(default="0ms", validate_default=True)
    jitter: Trace | TraceFile | Duration = Field(default="0ms", validate_default=True)
    """Further delay: uniform between nothing and this, or a recorded trace. It lets no packet overtake another."""
    reorder: Share = 0.0
    """Share of packets that is held back by ``reorder_by``, and so overtaken."""
    reorder_by: Duration = Field(default="30ms", validate_default=True)
    duplicate: Share = 0.0
    """Share of packets that comes twice."""

    @model_validator(mode="after")
    def _can_be(self) -> Direction:
        if self.burst > 1 and self.loss > self.burst / (self.burst + 1):
            raise ValueError(f"runs of {self.burst:g} lost packets cannot make up {self.loss:.0%} of all")
        return self

    def terms(self, seed: int) -> LineTerms | None:
        """As the plane takes them; None: nothing happens. Raises ``ConfigError`` for a trace that cannot be read."""
        if self == _NOTHING:
            return None
        trace, jitter = b"", self.jitter
        if isinstance(jitter, str):
            trace, jitter = named(jitter), NO_TIME
        elif isinstance(jitter, TraceFile):
            trace, jitter = recorded(jitter.file), NO_TIME
        to_bad, to_good = self._turns()
        late = self.delay + jitter + self.reorder_by + longest(trace)
        return LineTerms(
            seed,
            to_bad,
            to_good,
            self.loss_in_good,
            self.loss_in_bad,
            self.reorder,
            self.duplicate,
            self.delay,
            jitter,
            self.reorder_by,
            trace,
            min(512, 16 + 2 * late // _PACKET),
        )

    def _turns(self) -> tuple[float, float]:
        """Into the bad state and out of it, so that its share is ``loss`` and its runs last ``burst`` on average."""
        if self.burst == 1:  # each packet for itself
            return self.loss, 1 - self.loss
        to_good = 1 / self.burst
        return to_good * self.loss / (1 - self.loss), to_good


_NOTHING: Final = Direction()


class Impairments(Options):
    """One caller's line."""

    send: Direction = Direction()
    receive: Direction = Direction()
    skew: float = Field(default=0.0, ge=-1000, le=1000)
    """Parts per million by which the caller's clock is slow (or, negative, fast)."""
    silence_suppression: bool = False
    """The caller's telephone sends nothing while it is silent."""


SHIPPED: Final[dict[str, dict[str, Any]]] = {
    "none": {},
    "office": {"send": {"jitter": "3ms"}, "receive": {"jitter": "3ms"}},
    "bad-wifi": {
        "send": {"loss": "3%", "burst": 3, "delay": "20ms", "jitter": "wifi"},
        "receive": {"loss": "3%", "burst": 3, "delay": "20ms", "jitter": "wifi"},
    },
    "mobile": {
        "send": {"loss": "1%", "burst": 2, "delay": "60ms", "jitter": "mobile", "reorder": "0.5%"},
        "receive": {"loss": "1%", "burst": 2, "delay": "60ms", "jitter": "mobile", "reorder": "0.5%"},
        "silence_suppression": True,
    },
    "satellite": {
        "send": {"loss": "0.5%", "delay": "270ms", "jitter": "10ms"},
        "receive": {"loss": "0.5%", "delay": "270ms", "jitter": "10ms"},
    },
    "old-adapter": {"skew": 200, "silence_suppression": True, "send": {"duplicate": "1%", "jitter": "8ms"}},
}
"""Lines by name."""


def read_impairments(value: object) -> object:
    """The name of a shipped line, or a block."""
    if isinstance(value, str):
        if value not in SHIPPED:
            raise ValueError(f"{value!r} is no line that ships; {', '.join(SHIPPED)} do")
        return SHIPPED[value]
    return value
