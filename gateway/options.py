"""Base of every YAML block: frozen, unknown keys refused, each field documented by the docstring under it.

A room defines the options that it reads; ``config/`` puts them together, so that a key stands beside the code that
obeys it, and the generated JSON schema and ``docs/configuration.md`` cannot drift from either.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr, ValidationInfo, WithJsonSchema

from gateway.units import MS, SECOND, Nanos

__all__ = ["Address", "Duration", "Options", "Secret", "parse_duration"]

_UNITS: Final = {"ms": MS, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": 86400 * SECOND}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")


class Options(BaseModel):
    """A YAML block. Frozen, because several calls read it at once."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def parse_duration(value: object) -> Nanos:
    """``200ms``, ``1.5s``, ``10m``, ``2h`` to nanoseconds. A bare number has no unit and is refused."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        return Nanos(round(float(match[1]) * _UNITS[match[2]]))
    raise ValueError(f"{value!r} is not a duration; write a number and a unit, like 200ms, 1.5s, 10m, 2h or 30d")


Duration = Annotated[
    Nanos,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s*(ms|s|m|h|d)$"}),
]
"""A span of time, written with its unit in YAML, held in nanoseconds. Defaults are given as strings too
(``Options`` fields with a ``Duration`` type use ``Field(default="200ms", validate_default=True)``)."""


def _read_secret(value: object, info: ValidationInfo) -> object:
    """``{file: path}`` to the file's text. ``config/`` puts ``read_file`` into the context: there is no I/O here."""
    if isinstance(value, dict) and set(value) == {"file"} and isinstance(value["file"], str):
        read_file = (info.context or {}).get("read_file")
        if read_file is not None:
            return read_file(value["file"])
    return value


Secret = Annotated[
    SecretStr,
    BeforeValidator(_read_secret),
    WithJsonSchema(
        {
            "oneOf": [
                {"type": "string", "format": "password"},
                {
                    "type": "object",
                    "properties": {"file": {"type": "string"}},
                    "required": ["file"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
"""A password or key: ``${NAME}`` from the environment or ``{file: path}``. Printing it shows asterisks;
``.get_secret_value()`` reads it."""


def _address(value: object) -> tuple[str, int]:
    """``127.0.0.1:9464``, ``[::1]:9464``."""
    if isinstance(value, str):
        host, colon, port = value.rpartition(":")
        if colon and host and port.isdecimal() and int(port) < 65536:
            return host.strip("[]"), int(port)
    raise ValueError(f"{value!r} is not an address; write one like 127.0.0.1:9464")


Address = Annotated[tuple[str, int], BeforeValidator(_address), WithJsonSchema({"type": "string"})]
"""Where a server listens, written ``host:port``."""
