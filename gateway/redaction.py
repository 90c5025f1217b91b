"""Personal data made short: telephone numbers keep two digits, what was said keeps its number of words.

The log and the call records use the same rule, so that what one hides the other does not tell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["figures_alone", "redacted"]

_SAID: Final = frozenset({"heard", "said", "text", "transcript", "prompt", "messages", "greeting"})
_NUMBERS: Final = frozenset({"caller", "called", "number", "digits", "to", "target"})
_KEYED: Final = frozenset({"digit"})
"""What a caller keys in may be a card number: nothing of it is told."""
_NAMED: Final = _SAID | _KEYED
_KEPT: Final = frozenset({"call_id", "timestamp", "event", "level", "stamps", "stages_ms", "model_ms", "versions"})
"""Ids and times are made of digits, and are nobody's number."""
_FIGURES: Final = (int, float)
"""The most of a record. Asked for first, because an abstract class like ``Mapping`` is slow to ask for."""
_FIGURE_TYPES: Final = frozenset({int, float, bool, type(None)})
_NUMBER: Final = re.compile(r"(?<![\w.])\+?\d{5,}(\d{2})(?![\w.]|-\d)")
_SHORT_NUMBER: Final = re.compile(r"\+?\d{2,}(\d{2})(?!\d)")


def redacted(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The same fields, each shortened as its name and its content ask for."""
    return {key: _redact(key, value) for key, value in fields.items()}


def figures_alone(fields: Mapping[str, Any]) -> bool:
    """Whether all values are numbers, flags or missing, as the counters of a leg are: nothing personal hides in them
    but under a name that says so."""
    return _FIGURE_TYPES.issuperset(map(type, fields.values()))


def _redact(key: str, value: Any) -> Any:
    if value is None or key in _KEPT:
        return value
    if key in _SAID or key in _KEYED:
        return f"({len(str(value).split())} words)" if key in _SAID else "*"
    if isinstance(value, str):
        return _shorten(value) if key in _NUMBERS else _NUMBER.sub(r"…\1", value)
    return value if isinstance(value, _FIGURES) else _redact_inside(value)


def _redact_inside(value: Any) -> Any:
    if isinstance(value, Mapping):
        if figures_alone(value) and _NAMED.isdisjoint(value):
            return value
        return {name: _redact(str(name), item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redact("", item) for item in value]
    return value


def _shorten(text: str) -> str:
    """A number, or a SIP address whose user part is one: any run of four digits and more."""
    user, at, host = text.partition("@")
    return _SHORT_NUMBER.sub(r"…\1", user) + at + host
