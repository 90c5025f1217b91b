"""The dialogue's patterns: one small language, read once, written out as JSGF for the recogniser and matched as text.

    pattern     = sequence *("|" sequence)
    sequence    = 1*item
    item        = word / "<" slot ">" / "[" pattern "]" / "(" pattern ")"

It is JSGF's expansion syntax (W3C note of 5 June 2000, section 4) without weights, tags and repetition.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.errors import ConfigError

__all__ = ["Alternatives", "Item", "Optional", "Sequence", "Slot", "Word", "jsgf", "match", "parse", "words"]

_TOKEN: Final = re.compile(r"\s*(?:(<)([a-z_]+)>|([\[\]()|])|([a-z0-9][a-z0-9'-]*))")


@dataclass(frozen=True, slots=True)
class Word:
    text: str


@dataclass(frozen=True, slots=True)
class Slot:
    name: str


@dataclass(frozen=True, slots=True)
class Optional:
    item: Item


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Alternatives:
    choices: tuple[Item, ...]


Item = Word | Slot | Optional | Sequence | Alternatives

Slots = Mapping[str, Mapping[str, Item]]
"""slot -> value -> the words that stand for it."""


def parse(text: str) -> Item:
    """Raises ``ConfigError`` for what is not a pattern."""
    tokens = _tokens(text)
    item, end = _alternatives(text, tokens, 0)
    if end != len(tokens):
        raise ConfigError([f"pattern {text!r}: {tokens[end]!r} closes nothing"])
    return item


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ConfigError(
                [f"pattern {text!r}: {text[at:].strip()!r} is no word, slot or bracket; write small letters"]
            )
        tokens.append(f"<{found[2]}" if found[1] else found[3] or found[4])
        at = found.end()
    return tokens


def _alternatives(text: str, tokens: list[str], at: int) -> tuple[Item, int]:
    choices = []
    while True:
        item, at = _sequence(text, tokens, at)
        choices.append(item)
        if at == len(tokens) or tokens[at] != "|":
            return (choices[0] if len(choices) == 1 else Alternatives(tuple(choices))), at
        at += 1


def _sequence(text: str, tokens: list[str], at: int) -> tuple[Item, int]:
    items: list[Item] = []
    while at < len(tokens) and tokens[at] not in {"|", "]", ")"}:
        token = tokens[at]
        at += 1
        if token in {"[", "("}:
            inner, at = _alternatives(text, tokens, at)
            if at == len(tokens) or tokens[at] != {"[": "]", "(": ")"}[token]:
                raise ConfigError([f"pattern {text!r}: a {token!r} is not closed"])
            at += 1
            items.append(Optional(inner) if tokens[at - 1] == "]" else inner)
        else:
            items.append(Slot(token[1:]) if token[0] == "<" else Word(token))
    if not items:
        raise ConfigError([f"pattern {text!r}: an empty choice; write [ ] around what may be left out"])
    return (items[0] if len(items) == 1 else Sequence(tuple(items))), at


def jsgf(item: Item) -> str:
    """The item as a JSGF expansion."""
    match item:
        case Word(text):
            return text
        case Slot(name):
            return f"<{name}>"
        case Optional(inner):
            return f"[{jsgf(inner)}]"
        case Sequence(items):
            return " ".join(jsgf(part) for part in items)
        case Alternatives(choices):
            return "(" + " | ".join(jsgf(choice) for choice in choices) + ")"


def words(items: Iterable[Item]) -> set[str]:
    """Every word in the items."""
    found: set[str] = set()
    for item in items:
        match item:
            case Word(text):
                found.add(text)
            case Slot():
                pass
            case Optional(inner):
                found |= words([inner])
            case Sequence(parts) | Alternatives(parts):
                found |= words(parts)
    return found


def match(item: Item, said: list[str], slots: Slots) -> dict[str, str] | None:
    """The slots' values if the item covers all the words, else None. Bounded: the longest match of each part first."""
    for end, values in _ends(item, said, 0, slots):
        if end == len(said):
            return values
    return None


def _ends(item: Item, said: list[str], at: int, slots: Slots) -> list[tuple[int, dict[str, str]]]:  # noqa: C901 - one branch per kind
    """Every position where the item may end that begins at ``at``; one per position, so the work stays small."""
    match item:
        case Word(text):
            return [(at + 1, {})] if at < len(said) and said[at] == text else []
        case Slot(name):
            found: dict[int, dict[str, str]] = {}
            for value, spoken in slots[name].items():
                for end, _ in _ends(spoken, said, at, slots):
                    found.setdefault(end, {name: value})
            return list(found.items())
        case Optional(inner):
            return [*(reach for reach in _ends(inner, said, at, slots) if reach[0] != at), (at, {})]
        case Alternatives(choices):
            met: dict[int, dict[str, str]] = {}
            for choice in choices:
                for end, values in _ends(choice, said, at, slots):
                    met.setdefault(end, values)
            return list(met.items())
        case Sequence(parts):
            reached: dict[int, dict[str, str]] = {at: {}}
            for part in parts:
                onward: dict[int, dict[str, str]] = {}
                for here, values in reached.items():
                    for end, more in _ends(part, said, here, slots):
                        onward.setdefault(end, values | more)
                reached = onward
            return list(reached.items())
