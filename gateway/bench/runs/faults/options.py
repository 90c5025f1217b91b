"""Faults as YAML: a list, each with a time, a verb with its target, and a length.

    - {at: 10s, stall: models, for: 3s}          # SIGSTOP, then SIGCONT
    - {at: 20s, kill: models, for: 3s}           # SIGKILL; started again after that
    - {at: 30s, slow: models, by: 300ms, for: 5s}
    - {at: 40s, refuse: models, for: 4s}         # connections are lost, and new ones get 503
    - {at: 50s, drop: models}                    # connections are lost; new ones are taken
    - {at: 60s, restart: gateway}
    - {at: 70s, fill: disk, for: 5s}             # of the file system that its records and recordings lie on

``models`` is every models process, the name of a provider one of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from gateway.config import yaml_source
from gateway.errors import ConfigError
from gateway.options import Duration, Options
from gateway.units import SECOND

__all__ = ["DISK", "GATEWAY", "MODELS", "FaultOptions", "load_faults"]

GATEWAY, MODELS, DISK = "gateway", "models", "disk"
_VERBS: Final = ("kill", "stall", "slow", "refuse", "drop", "restart", "fill")
_LONGEST: Final = 600 * SECOND
_TARGETS: Final = {"restart": GATEWAY, "fill": DISK}
"""Verbs that make sense of one thing alone."""
_MOST: Final = 1000


class FaultOptions(Options):
    """One fault."""

    at: Duration
    """After the beginning of the run."""
    what: Literal["kill", "stall", "slow", "refuse", "drop", "restart", "fill"]
    target: str = Field(min_length=1)
    length: Duration = Field(default="3s", validate_default=True, alias="for")
    """How long it lasts; a drop and a restart have none."""
    by: Duration = Field(default="300ms", validate_default=True)
    """How much later everything arrives that comes from a slow provider."""

    @model_validator(mode="before")
    @classmethod
    def _verb(cls, value: Any) -> Any:
        """``stall: models`` to what and target."""
        if not isinstance(value, dict):
            raise ValueError("a fault is a block, like {at: 10s, stall: models, for: 3s}")
        verbs = [key for key in value if key in _VERBS]
        if len(verbs) != 1:
            raise ValueError(f"a fault has one of {', '.join(_VERBS)}")
        rest = {key: item for key, item in value.items() if key not in _VERBS}
        return {**rest, "what": verbs[0], "target": value[verbs[0]]}

    @model_validator(mode="after")
    def _possible(self) -> FaultOptions:
        wanted = _TARGETS.get(self.what)
        if wanted is not None and self.target != wanted:
            raise ValueError(f"{self.what} is done to the {wanted}")
        if self.target == DISK and self.what != "fill":
            raise ValueError(f"a disk is filled; {self.what} is done to processes")
        if self.target == GATEWAY and self.what in {"slow", "refuse", "drop"}:
            raise ValueError(f"{self.what} is done to what stands behind the gateway: models, or a provider's name")
        if self.length > _LONGEST:
            raise ValueError(f"it lasts longer than {_LONGEST // SECOND} s")
        return self

    @property
    def lasts(self) -> bool:
        """Whether it has an end to wait for."""
        return self.what not in {"drop", "restart"}


_Faults: Final = TypeAdapter(list[FaultOptions])


def load_faults(path: Path) -> list[FaultOptions]:
    """In the order of time. Raises ``ConfigError`` with a line per problem."""
    try:
        document = yaml_source.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from error
    if document.problems:
        raise ConfigError([f"{path}:{line}: {what}" for line, what in document.problems])
    if isinstance(document.value, dict) and "faults" not in document.value:
        raise ConfigError([f"{path}:1: there are no faults in it; write a list of them, or one under the key faults"])
    value = document.value.get("faults") if isinstance(document.value, dict) else document.value
    top = ("faults",) if isinstance(document.value, dict) else ()
    try:
        faults = _Faults.validate_python(value or [])
    except ValidationError as error:
        raise ConfigError(
            [
                f"{path}:{document.line((*top, *one['loc']))}: {one['msg'].removeprefix('Value error, ')}"
                for one in error.errors()
            ]
        ) from error
    if len(faults) > _MOST:
        raise ConfigError([f"{path}: {len(faults)} faults; at most {_MOST}"])
    return sorted(faults, key=lambda fault: fault.at)
