"""What a synthetic caller does, as YAML: a list of steps, each one key.

    steps:
      - listen                                          # until the agent has spoken and is quiet again
      - think: 300ms
      - say: I would like a large pizza
      - interrupt: {after: 700ms, say: no, make it two}  # once the agent has spoken for that long
      - silence: 3s                                     # a caller who says nothing, whatever the agent does
      - hang_up

``say`` right after ``say`` is one more turn of its own; it waits for the agent only if ``listen`` stands between.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from gateway.config import yaml_source
from gateway.errors import ConfigError
from gateway.options import Duration, Options

__all__ = ["HangUp", "Interrupt", "Listen", "Say", "Scenario", "Silence", "Step", "Think", "load_scenario", "shipped"]


class Listen(Options):
    """Wait until the agent has spoken and then been quiet."""

    quiet: Duration = Field(default="700ms", validate_default=True)
    """How long the agent must be quiet to be taken as finished: longer than its pauses between sentences."""
    within: Duration = Field(default="8s", validate_default=True)
    """The agent must begin within this time, or the turn counts as unanswered."""


class Think(Options):
    """Wait before the next step."""

    time: Duration


class Say(Options):
    """One turn of the caller."""

    text: str = Field(min_length=1)


class Interrupt(Options):
    """Talk over the agent."""

    after: Duration
    """How long the agent must have been speaking."""
    say: str = Field(min_length=1)
    within: Duration = Field(default="8s", validate_default=True)
    """The agent must begin within this time."""


class Silence(Options):
    """Say nothing for a time, and listen to whatever the agent does about it."""

    time: Duration


class HangUp(Options):
    """End the call. A scenario without it waits for the agent to hang up, and ends the call itself at the limit."""


Step = Listen | Think | Say | Interrupt | Silence | HangUp

_STEPS: Final[dict[str, type[Options]]] = {
    "listen": Listen,
    "think": Think,
    "say": Say,
    "interrupt": Interrupt,
    "silence": Silence,
    "hang_up": HangUp,
}
_SHORT: Final = {"think": "time", "silence": "time", "say": "text"}
"""The field that a bare value fills."""


def _step(value: object) -> object:
    """``listen``, ``say: text`` or ``listen: {quiet: 1s}`` to the step it names."""
    if isinstance(value, str):
        value = {value: {}}
    if not isinstance(value, dict) or len(value) != 1:
        return value if isinstance(value, Options) else _refuse(value)
    (verb, body), *_ = value.items()
    if verb not in _STEPS:
        return _refuse(verb)
    if not isinstance(body, dict):
        body = {_SHORT[verb]: body} if verb in _SHORT and body is not None else {}
    return _STEPS[verb](**body)


def _refuse(value: object) -> object:
    raise ValueError(f"{value!r} is no step; a step is one of {', '.join(_STEPS)}")


class Scenario(Options):
    """One caller's call."""

    name: str
    caller: str = "+4930123456"
    """User part of From."""
    level_dbfs: float = Field(default=-20.0, ge=-40, le=-10)
    """Level of the caller's speech while it speaks; -20 dBFS is a usual telephone level."""
    limit: Duration = Field(default="90s", validate_default=True)
    """The caller hangs up when the call has lasted this long."""
    steps: list[Annotated[Step, BeforeValidator(_step)]] = Field(min_length=1)

    @model_validator(mode="after")
    def _hangs_up_last(self) -> Scenario:
        if any(isinstance(step, HangUp) for step in self.steps[:-1]):
            raise ValueError("nothing can follow hang_up")
        return self

    def texts(self) -> Iterator[str]:
        """Everything the caller says, in order."""
        for step in self.steps:
            if isinstance(step, Say):
                yield step.text
            elif isinstance(step, Interrupt):
                yield step.say

    @property
    def interruptions(self) -> int:
        """Turns in which the caller talks over the agent."""
        return sum(isinstance(step, Interrupt) for step in self.steps)

    @property
    def turns(self) -> int:
        """Turns of the caller."""
        return sum(1 for _ in self.texts())


def shipped() -> list[str]:
    """Names of the scenarios in the package."""
    names = [entry.name for entry in files("gateway.bench.scenarios").iterdir()]
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def load_scenario(name_or_path: str) -> Scenario:
    """A shipped scenario by name, or a YAML file by path. Raises ``ConfigError`` with one line per problem."""
    if name_or_path in shipped():
        return _parse(name_or_path, (files("gateway.bench.scenarios") / f"{name_or_path}.yaml").read_text())
    path = Path(name_or_path)
    try:
        text = path.read_text()
    except OSError as error:
        known = ", ".join(shipped())
        raise ConfigError(
            [f"{path}: {error.strerror}; give a file, or one of the shipped scenarios: {known}"]
        ) from error
    return _parse(str(path), text)


def _parse(source: str, text: str) -> Scenario:
    document = yaml_source.parse(text)
    problems = [f"{source}:{line}: {what}" for line, what in document.problems]
    if problems:
        raise ConfigError(problems)
    try:
        return Scenario.model_validate(document.value)
    except ValidationError as error:
        problems = [f"{source}:{document.line(item['loc'])}: {item['msg']}" for item in error.errors()]
        raise ConfigError(problems) from error
