"""What pydantic found, told as ``file:line: what; what to do`` in the words of somebody who edits YAML."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from ipaddress import ip_network
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from gateway.config.yaml_source import Document, Path

__all__ = ["collect", "known_keys", "show", "suggest"]

_MAX_SHOWN: Final = 60


def show(path: Path) -> str:
    """``plugs.pizza.stt`` and ``routes[2].to``, as an operator would point at it."""
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def suggest(word: str, known: Iterable[str], *, what: str = "known") -> str:
    """``did you mean 'x'?`` if something is close, else the list."""
    names = sorted(known)
    if close := difflib.get_close_matches(word, names, n=1, cutoff=0.6):
        return f"did you mean {close[0]!r}?"
    return f"{what}: {', '.join(names)}" if names else f"nothing is {what} here"


def known_keys(model: type[BaseModel]) -> list[str]:
    """Keys of a block as YAML writes them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def collect(error: ValidationError, model: type[BaseModel], document: Document, prefix: Path = ()) -> None:
    """Adds every problem of ``error`` to the document, once per place. ``prefix`` is where ``model`` stands."""
    told: set[Path] = set()
    for detail in error.errors(include_url=False):
        path = _in_file((*prefix, *detail["loc"]), document, detail["type"])
        if path not in told and path not in document.broken:
            told.add(path)
            document.problems.append((document.line(path), _tell(detail, path, prefix, model, document)))


def _in_file(path: Path, document: Document, kind: str) -> Path:
    """Cuts what pydantic appends for its own sake: the members of a union, the validator's name."""
    end = len(path)
    while end and path[:end] not in document.lines:
        end -= 1
    return path[: end + 1] if kind == "missing" else path[:end]


def _tell(detail: Any, path: Path, prefix: Path, model: type[BaseModel], document: Document) -> str:
    kind, where = detail["type"], show(path)
    parent = _type_at(model, path[len(prefix) : -1])
    if kind == "extra_forbidden":
        keys = known_keys(parent) if isinstance(parent, type) and issubclass(parent, BaseModel) else []
        place = f" in {show(path[:-1])}" if len(path) > 1 else ""
        return f"unknown key {str(path[-1])!r}{place}; {suggest(str(path[-1]), keys)}"
    if kind == "missing":
        return f"{show(path[:-1]) or 'the file'}: key {str(path[-1])!r} is missing; add it"
    secret = _type_at(model, path[len(prefix) :]) is SecretStr
    return f"{where}: {_reason(detail, None if secret else document.texts.get(path))}"


_REASONS: Final = {
    **dict.fromkeys(("int_parsing", "int_type", "float_parsing", "float_type"), "is not a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "must be true or false"),
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "must be a block of keys"),
    "int_from_float": "must be a whole number",
    "list_type": "must be a list; write [a, b]",
}
"""The kinds of error that an operator meets, in an operator's words; others are told in pydantic's."""


def _reason(detail: Any, text: str | None) -> str:
    """What is wrong with one value. ``text`` is the file's own; None if there is none or it must not be shown."""
    kind, quoted = detail["type"], "" if text is None else f"{text[:_MAX_SHOWN]!r} "
    if kind in _REASONS:
        return quoted + _REASONS[kind]
    if kind == "string_type":
        return _not_text(text)
    if kind == "literal_error":
        return f"{quoted}is not possible; write one of {detail['ctx']['expected']}"
    if kind.startswith(("ip_v4_network", "ip_v6_network")):
        return _network(quoted, text or "")
    if kind == "value_error":
        return _own_words(detail, text)
    message = detail["msg"].removeprefix("Input ").removeprefix("should ")
    return f"{quoted}is refused: {message[0].lower()}{message[1:]}"


def _not_text(text: str | None) -> str:
    if text is None:
        return "must be a text (a secret may also be {file: path})"
    return f"must be text; write it in quotes: {text[:_MAX_SHOWN]!r}" if text else "is empty; write a text"


def _own_words(detail: Any, text: str | None) -> str:
    """The message of one of our validators; a value that came out of ``${NAME}`` is put back into its reference."""
    message, value = str(detail["ctx"]["error"]), detail.get("input")
    if isinstance(value, str) and text is not None and value and value != text:
        message = message.replace(repr(value), repr(text))
        return f"what {text!r} stands for is refused" if value in message else message
    return message


def _network(quoted: str, text: str) -> str:
    try:
        return f"{quoted}has bits set behind its mask; did you mean {ip_network(text, strict=False)}?"
    except ValueError:
        return f"{quoted}is not an address range; write something like 203.0.113.0/24"


def _type_at(model: type[BaseModel], path: Path) -> object:
    """The type that the model wants at ``path``, without its ``| None``; None if it cannot be told."""
    current: object = model
    for part in path:
        if isinstance(current, type) and issubclass(current, BaseModel):
            fields = {field.alias or name: field for name, field in current.model_fields.items()}
            current = fields[part].annotation if part in fields else None
        else:
            arguments = get_args(current)
            current = arguments[-1] if get_origin(current) in (list, dict, tuple, set, frozenset) else None
        current = _without_none(current)
    return current


def _without_none(wanted: object) -> object:
    if hasattr(wanted, "__metadata__"):  # Annotated[X, ...] inside a container
        wanted = get_args(wanted)[0]
    members = [_without_none(member) for member in get_args(wanted) if member is not type(None)]
    is_union = type(None) in get_args(wanted)
    return members[0] if is_union and len(members) == 1 else wanted
