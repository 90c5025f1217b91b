"""``${NAME}`` in any text of the file, and ``{file: path}`` where a secret is wanted.

What a reference stands for never appears in an error: problems quote the file's own text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path as FilePath
from typing import Final

from gateway.config.problems import show
from gateway.config.yaml_source import Document, Path

__all__ = ["expand", "secret_reader"]

_REFERENCE: Final = re.compile(r"\$(\$?)\{([^}]*)\}")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAX_SECRET_BYTES: Final = 64 * 1024


def expand(document: Document, env: Mapping[str, str]) -> object:
    """The document's value with every ``${NAME}`` replaced; ``$${`` stands for a literal ``${``."""
    return _walk(document.value, (), document, env)


def _walk(value: object, path: Path, document: Document, env: Mapping[str, str]) -> object:
    if isinstance(value, dict):
        return {key: _walk(item, (*path, key), document, env) for key, item in value.items()}
    if isinstance(value, list):
        return [_walk(item, (*path, index), document, env) for index, item in enumerate(value)]
    if isinstance(value, str) and "${" in value:
        return _replace(value, path, document, env)
    return value


def _replace(text: str, path: Path, document: Document, env: Mapping[str, str]) -> str:
    def one(match: re.Match[str]) -> str:
        escaped, name = match[1], match[2]
        if escaped:
            return "${" + name + "}"
        if name in env:
            return env[name]
        document.broken.add(path)
        if _NAME.fullmatch(name):
            problem = f"environment variable {name} is not set; set it, or write the value here"
        else:
            problem = f"${{{name}}} is not the name of an environment variable; write $${{ for a literal ${{"
        document.problems.append((document.line(path), f"{show(path)}: {problem}"))
        return ""

    return _REFERENCE.sub(one, text)


def secret_reader(directory: FilePath) -> Callable[[str], str]:
    """Reads what ``{file: path}`` names, relative to the configuration's directory; one trailing newline is dropped."""

    def read(name: str) -> str:
        path = directory / name
        try:
            with path.open("rb") as file:
                data = file.read(_MAX_SECRET_BYTES + 1)
            if len(data) > _MAX_SECRET_BYTES:
                raise ValueError(f"secret file {path} is larger than {_MAX_SECRET_BYTES} bytes")
            text = data.decode()
        except OSError as error:
            raise ValueError(f"secret file {path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"secret file {path} is not UTF-8 text") from None
        if not text.strip():
            raise ValueError(f"secret file {path} is empty")
        return text.removesuffix("\n").removesuffix("\r")

    return read
