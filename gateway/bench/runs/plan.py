"""What a run does: a suite that ships or a YAML file, changed by the command line.

name: standard
scenarios: {pizza: 3, angry-interrupter: 1}   # by weight; a list weighs all alike
load: {steps: [2, 4, 8]}                      # or callers, ramp, spike, soak, rate
for: 4m                                       # of that load, after the warm-up
warm_up: 15s
every: 40s                                    # each caller calls so often; without it a trial call tells
objective: p99<2s
faults:
  - {at: 60s, stall: models, for: 2s}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, ValidationError

from gateway.bench.callers.impairments import Impairments, read_impairments
from gateway.bench.callers.scenario import Scenario, load_scenario
from gateway.bench.runs.faults.options import FaultOptions
from gateway.bench.runs.generator import GeneratorLimits
from gateway.bench.runs.objective import parse_objective
from gateway.bench.runs.run_file import Objective
from gateway.bench.runs.shapes import Load, parse_load
from gateway.config import yaml_source
from gateway.errors import ConfigError
from gateway.options import Duration, Options
from gateway.units import SECOND

__all__ = ["Plan", "Suite", "load_suite", "make_plan", "shipped_suites"]

_PACKAGE: Final = "gateway.bench.suites"
_LONGEST: Final = 7 * 86400 * SECOND


def _mix(value: object) -> object:
    """A list weighs all alike."""
    if isinstance(value, str):
        return {value: 1.0}
    return dict.fromkeys(value, 1.0) if isinstance(value, list) and all(isinstance(v, str) for v in value) else value


def _load(value: object) -> object:
    """``{steps: 2,4,8}``, ``{callers: 4}``."""
    if isinstance(value, Load):
        return value
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("a load has one shape: callers, ramp, steps, spike, soak or rate")
    ((kind, text),) = value.items()
    if kind not in {"callers", "ramp", "steps", "spike", "soak", "rate"}:
        raise ValueError(f"{kind!r} is no shape; there are callers, ramp, steps, spike, soak and rate")
    try:
        return parse_load(kind, ",".join(map(str, text)) if isinstance(text, list) else str(text))
    except ConfigError as error:
        raise ValueError("; ".join(error.problems)) from None


def _objective(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return parse_objective(value)
    except ConfigError as error:
        raise ValueError("; ".join(error.problems)) from None


Weight = Annotated[float, Field(gt=0, le=1000)]


class Suite(Options):
    """A run as YAML."""

    name: str = "run"
    about: str = ""
    """One line for people who choose."""
    scenarios: Annotated[dict[str, Weight], BeforeValidator(_mix)] = Field(
        default_factory=lambda: {"pizza": 1.0}, min_length=1
    )
    """Shipped ones by name, or YAML files."""
    load: Annotated[Load, BeforeValidator(_load)] = Load("callers", (1,))
    length: Duration = Field(default="60s", validate_default=True, alias="for", gt=0, le=_LONGEST)
    """How long the load lasts; of a search, each of its steps."""
    warm_up: Duration = Field(default="0s", validate_default=True)
    """Before that, at its first level: these calls are in no figure."""
    every: Duration | None = Field(default=None, gt=0)
    """Each caller begins a call so often; none: as long as a trial call lasts, and a tenth more."""
    objective: Annotated[Objective | None, BeforeValidator(_objective)] = None
    """What the run must keep, like ``p99<800ms``."""
    find: bool = False
    """Look for the largest load that keeps the objective, between the levels of the load."""
    failures: int = Field(default=0, ge=0)
    """Calls that may fail, besides those that a fault was done to."""
    impairments: Annotated[Impairments | None, BeforeValidator(read_impairments)] = None
    """Of every caller's line, instead of those of its scenario."""
    faults: list[FaultOptions] = Field(default_factory=list)
    generator: GeneratorLimits = GeneratorLimits()
    """How late the callers themselves may be."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides what a run does, and nothing that it finds."""

    suite: Suite
    scenarios: Mapping[str, Scenario]
    seed: int
    calls: int | None = None
    """No more than so many, the warm-up not counted."""

    @property
    def mix(self) -> Mapping[str, float]:
        """Names to weights."""
        return dict(zip(self.scenarios, self.suite.scenarios.values(), strict=True))


def make_plan(suite: Suite, seed: int, calls: int | None = None) -> Plan:
    """Loads the scenarios. Raises ``ConfigError`` with every problem of any of them."""
    problems: list[str] = []
    scenarios: dict[str, Scenario] = {}
    for wanted in suite.scenarios:
        try:
            scenario = load_scenario(wanted)
        except ConfigError as error:
            problems += error.problems
            continue
        scenarios[scenario.name if scenario.name not in scenarios else wanted] = scenario
    if suite.find and suite.objective is None:
        problems.append(f"{suite.name}: a search needs an objective, like p99<800ms")
    if suite.find and not suite.load.levels:
        problems.append(f"{suite.name}: a search needs callers, not a rate")
    if problems:
        raise ConfigError(problems)
    return Plan(suite, scenarios, seed, calls)


def shipped_suites() -> list[str]:
    """Names of the suites in the package."""
    names = [entry.name for entry in files(_PACKAGE).iterdir()]
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def load_suite(name_or_path: str | None, changes: Mapping[str, Any] | None = None) -> Suite:
    """A shipped suite, a YAML file, or (None) the defaults; ``changes`` replace keys. Raises ``ConfigError``."""
    if name_or_path is None:
        source, text = "run", ""
    elif name_or_path in shipped_suites():
        source, text = name_or_path, (files(_PACKAGE) / f"{name_or_path}.yaml").read_text()
    else:
        source = name_or_path
        try:
            text = Path(name_or_path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            known = ", ".join(shipped_suites())
            why = f"{source}: cannot be read: {error}; give a file, or one of the shipped suites: {known}"
            raise ConfigError([why]) from error
    document = yaml_source.parse(text)
    problems = [f"{source}:{line}: {what}" for line, what in document.problems]
    if problems:
        raise ConfigError(problems)
    given = document.value if isinstance(document.value, dict) else {}
    try:
        return Suite.model_validate({"name": Path(source).stem, **given, **(changes or {})})
    except ValidationError as error:
        raise ConfigError([_told(name_or_path and source, document, one) for one in error.errors()]) from error


def _told(source: str | None, document: yaml_source.Document, error: Any) -> str:
    """What comes from the command line has no file and no line."""
    where, what = ".".join(map(str, error["loc"])), error["msg"].removeprefix("Value error, ")
    if source is None:
        return what if what.startswith("--") else f"{where}: {what}"
    return f"{source}:{document.line(error['loc'])}: {where}: {what}"
