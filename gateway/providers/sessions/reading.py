"""What a server sent, as a dialect has read it: sound events, or one of ``READ_ERRORS``.

A dialect takes fields out of JSON without looking what they are. Here every event is looked at once: a null is as good
as nothing, what merely accompanies an answer (a model's name, a count) may be wrong and is left out then, and anything
else of a wrong type, or a number beyond all reason, makes the message unreadable. So no session has to ask.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import is_dataclass, replace
from types import NoneType, UnionType
from typing import Any, Final, get_args, get_origin, get_type_hints

from gateway.providers.dialect import Model, Spent, SpokenWords

__all__ = ["READ_ERRORS", "sound"]

READ_ERRORS: Final = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    struct.error,
)
"""What reading a message may raise: whatever a server can make Python's parsers do."""
_BESIDE: Final = (Model, Spent, SpokenWords)
_MOST: Final = 1e15
"""Of any number: 11 days in nanoseconds."""

_Check = Callable[[Any], Any]
_known: Final[dict[type, tuple[tuple[str, _Check], ...]]] = {}
"""By the classes of events, of which there are few."""


def sound(events: Iterable[Any]) -> list[Any]:
    """The events of one message. Raises one of ``READ_ERRORS``."""
    found = []
    for event in events:
        try:
            found.append(_sound(event))
        except TypeError:
            if not isinstance(event, _BESIDE):
                raise
    return found


def _sound(value: Any) -> Any:
    """The value, or a copy of it without nulls."""
    kind = type(value)
    checks = _known.get(kind)
    if checks is None:
        checks = _known[kind] = _checks(kind)
    better: dict[str, Any] = {}
    for name, check in checks:
        part = getattr(value, name)
        checked = check(part)
        if checked is not part:
            better[name] = checked
    return replace(value, **better) if better else value


def _checks(kind: type) -> tuple[tuple[str, _Check], ...]:
    """Of an event's class: each field that has to be looked at."""
    found = ((name, _check(hint)) for name, hint in get_type_hints(kind).items())
    return tuple((name, check) for name, check in found if check is not None)


def _check(hint: Any) -> _Check | None:
    """How to look at a field; None if it may hold anything (a flag is read by its truth)."""
    hint = getattr(hint, "__supertype__", hint)  # Nanos is an int
    if get_origin(hint) is UnionType and NoneType in get_args(hint):
        (inner,) = (_check(one) for one in get_args(hint) if one is not NoneType)
        return None if inner is None else lambda part: part if part is None else inner(part)
    if get_origin(hint) is tuple:
        return _all_sound
    if isinstance(hint, type) and is_dataclass(hint):
        return _sound
    return _PLAIN.get(hint)


def _all_sound(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    better = tuple(map(_sound, parts))
    return parts if all(one is other for one, other in zip(parts, better, strict=True)) else better


def _text(part: Any) -> str:
    if part is None:
        return ""
    if not isinstance(part, str):
        raise TypeError(f"{type(part).__name__} where text should be")
    return part


def _bytes(part: Any) -> bytes:
    if not isinstance(part, bytes):
        raise TypeError(f"{type(part).__name__} where audio should be")
    return part


def _number(part: Any) -> Any:
    if part is None:
        return 0
    if not isinstance(part, int | float) or not -_MOST < part < _MOST:
        raise TypeError(f"{type(part).__name__} where a number should be")
    return part


_PLAIN: Final[dict[Any, _Check]] = {str: _text, bytes: _bytes, int: _number, float: _number}
