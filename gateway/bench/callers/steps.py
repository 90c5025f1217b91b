"""The steps of a scenario: what a caller can do."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, model_validator

from gateway.options import Duration, Options
from gateway.units import Nanos

__all__ = [
    "Backchannel",
    "Behind",
    "Digits",
    "HangUp",
    "Hold",
    "Interrupt",
    "Listen",
    "Resume",
    "Say",
    "Silence",
    "Speech",
    "Step",
    "TalkOver",
    "Think",
    "read_step",
]


def _length(value: object) -> object:
    """``300ms``, ``{from: 200ms, to: 900ms}`` or ``{median: 400ms, spread: 1.5}``."""
    return value if isinstance(value, dict | Drawn) else {"median": value}


class Drawn(Options):
    """A length of time, fixed or drawn from the call's seed."""

    low: Duration | None = Field(default=None, alias="from")
    high: Duration | None = Field(default=None, alias="to")
    median: Duration | None = None
    spread: float = Field(default=1.0, ge=1, le=10)
    """Two callers of three draw between median / spread and median * spread (log-normal)."""

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Drawn:
        if (self.low is None) != (self.high is None) or (self.low is None) == (self.median is None):
            raise ValueError("write a length (300ms), or from and to, or median and spread")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("from is longer than to")
        return self

    def draw(self, source: random.Random) -> Nanos:
        """One length. A fixed one draws nothing."""
        if self.low is not None and self.high is not None:
            return Nanos(source.randint(self.low, self.high))
        median = self.median or Nanos(0)
        return median if self.spread == 1 else Nanos(round(median * math.exp(source.gauss(0, math.log(self.spread)))))


Length = Annotated[Drawn, BeforeValidator(_length)]


class Listen(Options):
    """Wait until the agent has spoken and then been quiet."""

    quiet: Duration = Field(default="700ms", validate_default=True)
    """How long the agent must be quiet to be taken as finished: longer than its pauses between sentences."""
    within: Duration = Field(default="8s", validate_default=True)
    """The agent must begin within this time, or the turn counts as unanswered."""
    expect: Duration | None = None
    """So much sound is known to be in the answer: what is missing of it counts as clipped."""


class Think(Options):
    """Wait before the next step."""

    time: Length


class Speech(Options):
    """What is spoken: a text for the scenario's voice, or a recording."""

    say: str | None = Field(default=None, min_length=1)
    wav: Path | None = None
    """16-bit mono or stereo (the left channel), any usual rate; beside the scenario's file."""

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Speech:
        if (self.say is None) == (self.wav is None):
            raise ValueError("give either a text (say) or a recording (wav)")
        return self

    @property
    def key(self) -> str:
        """By which its clip is found."""
        return self.say if self.say is not None else f"wav:{self.wav}"


class Say(Speech):
    """One turn of the caller."""


class Interrupt(Speech):
    """Talk into the agent's speech, which should stop."""

    after: Duration
    """How long the agent must have been speaking."""
    within: Duration = Field(default="8s", validate_default=True)
    """The agent must begin within this time."""


class TalkOver(Interrupt):
    """Talk into the agent's speech, whatever it does."""

    after: Duration = Field(default="0ms", validate_default=True)


class Backchannel(Interrupt):
    """Talk into the agent's speech, which should go on: uh-huh."""

    after: Duration = Field(default="1s", validate_default=True)


class Silence(Options):
    """Say nothing for a time, and listen to whatever the agent does about it."""

    time: Duration


class Digits(Options):
    """Press keys: telephone-events where they were agreed on (RFC 4733), tones where not."""

    digits: str = Field(pattern=r"^[0-9*#A-Da-d]{1,64}$")
    tone: Duration = Field(default="100ms", validate_default=True)
    gap: Duration = Field(default="100ms", validate_default=True)


class Behind(Options):
    """What is heard behind the caller from here on."""

    noise: Literal["white", "pink", "babble", "off"] | None = None
    """``babble`` is many voices at once, made of the scenario's own clips."""
    wav: Path | None = None
    level_dbfs: float = Field(default=-40.0, ge=-80, le=-10)

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Behind:
        if (self.noise is None) == (self.wav is None):
            raise ValueError("give either noise (white, pink, babble, off) or a recording (wav)")
        return self

    @property
    def key(self) -> str:
        """By which its clip is found."""
        return f"behind:{self.noise or self.wav}:{self.level_dbfs:g}"


class Hold(Options):
    """Put the agent on hold by a re-INVITE; with a time, take it back after that."""

    time: Duration | None = None


class Resume(Options):
    """Take the agent back from hold."""


class HangUp(Options):
    """End the call. A scenario without it waits for the agent to hang up, and ends the call itself at the limit."""


Step = Listen | Think | Say | Interrupt | TalkOver | Backchannel | Silence | Digits | Behind | Hold | Resume | HangUp

_STEPS: Final[dict[str, type[Options]]] = {
    "listen": Listen,
    "think": Think,
    "say": Say,
    "interrupt": Interrupt,
    "talk_over": TalkOver,
    "backchannel": Backchannel,
    "silence": Silence,
    "digits": Digits,
    "behind": Behind,
    "hold": Hold,
    "resume": Resume,
    "hang_up": HangUp,
}
_SHORT: Final = {
    "think": "time",
    "silence": "time",
    "hold": "time",
    "say": "say",
    "backchannel": "say",
    "talk_over": "say",
    "digits": "digits",
    "behind": "noise",
}
"""The field that a bare value fills."""


def read_step(value: object, info: ValidationInfo) -> object:
    """``listen``, ``say: text`` or ``listen: {quiet: 1s}`` to the step it names."""
    if isinstance(value, str):
        value = {value: {}}
    if isinstance(value, Options):
        return value
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError(f"{value!r} is no step; a step is one of {', '.join(_STEPS)}")
    (verb, body), *_ = value.items()
    if verb not in _STEPS:
        raise ValueError(f"{verb!r} is no step; a step is one of {', '.join(_STEPS)}")
    return _made(verb, _fields(verb, body), info)


def _fields(verb: str, body: object) -> dict[str, Any]:
    """A bare value fills the step's one field; a think time is a block of its own."""
    if verb == "think" and not (isinstance(body, dict) and set(body) == {"time"}):
        return {"time": body}
    if isinstance(body, dict):
        return {("say" if verb == "say" and key == "text" else str(key)): item for key, item in body.items()}
    if body is None:
        return {}
    return {_SHORT.get(verb, verb): str(body) if verb == "digits" else body}


def _made(verb: str, fields: dict[str, Any], info: ValidationInfo) -> object:
    folder = (info.context or {}).get("folder")
    if folder is not None and isinstance(fields.get("wav"), str):
        fields["wav"] = Path(folder) / fields["wav"]
    try:
        return _STEPS[verb].model_validate(fields)
    except ValidationError as error:
        raise ValueError("; ".join(_told(verb, one) for one in error.errors())) from None


def _told(verb: str, error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    return f"{verb}{f'.{where}' if where else ''}: {error['msg'].removeprefix('Value error, ')}"
