"""From a file to a ``Config``, or to every problem it has."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from gateway.config.blocks import as_blocks, check_blocks
from gateway.config.crossrefs import check_numbers, check_references
from gateway.config.model import Config
from gateway.config.problems import collect
from gateway.config.references import expand, secret_reader
from gateway.config.yaml_source import Document, parse
from gateway.errors import ConfigError

__all__ = ["load", "loads"]


def load(path: str | os.PathLike[str], env: Mapping[str, str] | None = None) -> Config:
    """Reads and checks a configuration file. Raises ``ConfigError`` with all problems, in the order of their lines."""
    file = FilePath(path)
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError([f"{file}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([f"{file}: is not UTF-8 text (byte {error.start}); save it as UTF-8"]) from None
    return loads(text, env, name=str(path), directory=file.parent)


def loads(
    text: str,
    env: Mapping[str, str] | None = None,
    *,
    name: str = "<text>",
    directory: FilePath = FilePath(),
) -> Config:
    """Like ``load``, from a text. ``directory`` is what relative secret files start from."""
    document = parse(text)
    config = _check(document, os.environ if env is None else env, directory)
    if config is None or document.problems:
        problems = sorted(document.problems, key=lambda problem: problem[0])
        raise ConfigError([f"{name}:{line}: {what}" for line, what in problems])
    return config


def _check(document: Document, env: Mapping[str, str], directory: FilePath) -> Config | None:
    if document.problems and document.value is None:  # not YAML at all
        return None
    if document.value is not None and not isinstance(document.value, dict):
        document.problems.append((1, "the file must be blocks of keys, like 'sip: {listen: ...}'"))
        return None
    raw: dict[str, Any] = expand(document, env) or {}  # type: ignore[assignment]  # a mapping stays one
    # A section that is there but empty (`trunks:` with everything behind it commented out) means its default.
    raw = {key: value for key, value in raw.items() if value is not None}
    context = {"read_file": secret_reader(directory)}
    providers = check_blocks("providers", raw.get("providers"), document, context)
    plugs = check_blocks("plugs", raw.get("plugs"), document, context)
    check_references(raw, plugs, providers, document)
    values = {**raw, "providers": as_blocks(providers), "plugs": as_blocks(plugs)}
    try:
        config = Config.model_validate(values, context=context)
    except ValidationError as error:
        collect(error, Config, document)
        return None
    check_numbers(config, document)
    return config
