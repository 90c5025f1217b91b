"""What a synthetic caller does, as YAML: a list of steps, each one key.

    name: two toppings
    voice: en-us+f3
    impairments: bad-wifi                               # a shipped one, or a block (impairments.py)
    steps:
      - listen                                          # until the agent has spoken and is quiet again
      - think: {from: 200ms, to: 900ms}                 # drawn from the call's seed; think: 300ms is fixed
      - say: I would like a large pizza
      - say: {wav: please.wav}                          # beside the scenario's file
      - backchannel: {after: 1s, say: uh-huh}           # into the agent's speech, which should go on
      - interrupt: {after: 700ms, say: no, make it two} # once the agent has spoken for that long
      - talk_over: {say: hello hello}                   # whatever the agent does
      - digits: 4929#                                   # telephone-events, or tones
      - behind: {noise: babble, level_dbfs: -35}        # from here on; also white, pink, off, wav: FILE
      - hold: 3s                                        # re-INVITE, and back; or hold ... resume
      - silence: 3s                                     # a caller who says nothing, whatever the agent does
      - hang_up

``say`` right after ``say`` is one more turn of its own; it waits for the agent only if ``listen`` stands between.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from gateway.bench.callers.impairments import Impairments, read_impairments
from gateway.bench.callers.steps import HangUp, Interrupt, Speech, Step, read_step
from gateway.config import yaml_source
from gateway.errors import ConfigError
from gateway.options import Duration, Options

__all__ = ["Scenario", "load_scenario", "parse_scenario", "shipped"]


class Scenario(Options):
    """One caller's call."""

    name: str
    about: str = ""
    """One line for people who choose."""
    caller: str = "+4930123456"
    """User part of From."""
    language: str = "en"
    """BCP 47, for the voice."""
    voice: str | None = None
    """By the name that the voice's provider knows it by."""
    level_dbfs: float = Field(default=-20.0, ge=-40, le=-10)
    """Active speech level (ITU-T P.56) of the caller; -20 dBFS is a usual telephone level."""
    limit: Duration = Field(default="90s", validate_default=True)
    """The caller hangs up when the call has lasted this long."""
    leaves_after: Duration | None = None
    """The caller hangs up this long after the answer, whatever is going on."""
    abandons_after: Duration | None = None
    """The caller gives up this long after the INVITE, if nobody has answered by then."""
    impairments: Annotated[Impairments | None, BeforeValidator(read_impairments)] = None
    """What the caller's line does to its packets."""
    steps: list[Annotated[Step, BeforeValidator(read_step)]] = Field(min_length=1)

    @model_validator(mode="after")
    def _hangs_up_last(self) -> Scenario:
        if any(isinstance(step, HangUp) for step in self.steps[:-1]):
            raise ValueError("nothing can follow hang_up")
        return self

    def speeches(self) -> Iterator[Speech]:
        """Everything the caller says, in order."""
        return (step for step in self.steps if isinstance(step, Speech))

    def texts(self) -> Iterator[str]:
        """What the voice has to say, in order."""
        return (speech.say for speech in self.speeches() if speech.say is not None)

    def recordings(self) -> Iterator[Path]:
        """What is said by a recording."""
        return (speech.wav for speech in self.speeches() if speech.wav is not None)

    @property
    def interruptions(self) -> int:
        """Turns in which the caller talks over the agent, which should stop."""
        return sum(type(step) is Interrupt for step in self.steps)

    @property
    def hangs_up(self) -> bool:
        """Whether the caller ends the call, and does not wait for the agent to do so."""
        return isinstance(self.steps[-1], HangUp)

    @property
    def turns(self) -> int:
        """Turns of the caller."""
        return sum(1 for _ in self.speeches())


def shipped() -> list[str]:
    """Names of the scenarios in the package."""
    names = [entry.name for entry in files("gateway.bench.scenarios").iterdir()]
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def load_scenario(name_or_path: str) -> Scenario:
    """A shipped scenario by name, or a YAML file by path. Raises ``ConfigError`` with one line per problem."""
    if name_or_path in shipped():
        return parse_scenario(
            name_or_path, (files("gateway.bench.scenarios") / f"{name_or_path}.yaml").read_text(), Path()
        )
    path = Path(name_or_path)
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        known = ", ".join(shipped())
        raise ConfigError([f"{path}: {why}; give a file, or one of the shipped scenarios: {known}"]) from error
    return parse_scenario(str(path), text, path.parent)


def parse_scenario(source: str, text: str, folder: Path) -> Scenario:
    """``source`` names the file in problems, ``folder`` is where its recordings lie. Raises ``ConfigError``."""
    document = yaml_source.parse(text)
    problems = [f"{source}:{line}: {what}" for line, what in document.problems]
    if problems:
        raise ConfigError(problems)
    if not isinstance(document.value, dict):
        raise ConfigError([f"{source}:1: this is no scenario; it has a name, and steps"])
    try:
        scenario = Scenario.model_validate(document.value, context={"folder": folder})
    except ValidationError as error:
        problems = [
            f"{source}:{document.line(item['loc'])}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        ]
        raise ConfigError(problems) from error
    _require_files(source, document, scenario)
    return scenario


def _require_files(source: str, document: yaml_source.Document, scenario: Scenario) -> None:
    problems = [
        f"{source}:{document.line(('steps', number))}: {wav}: there is no such file"
        for number, step in enumerate(scenario.steps)
        if (wav := getattr(step, "wav", None)) is not None and not wav.is_file()
    ]
    if problems:
        raise ConfigError(problems)
