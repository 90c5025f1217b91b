"""YAML text to plain values, with the line of everything kept.

PyYAML composes the nodes; the values are built here, for three reasons: an error found much later needs its line, a key
given twice is a mistake and not the last one's victory, and the words of YAML 1.1 are traps in this file (``no`` is
Norwegian and not false, ``0123`` is a number to dial and not 83). So scalars follow the core schema of YAML 1.2: only
``true`` and ``false`` are booleans, only decimal digits without a leading zero are integers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import yaml

__all__ = ["Document", "Path", "parse"]

Path = tuple[str | int, ...]
"""Way to a value: keys and list indices from the top."""

_NULL: Final = frozenset({"", "~", "null"})
_BOOL: Final = {"true": True, "false": False}
_INT: Final = re.compile(r"-?(0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+")
_MAX_DEPTH: Final = 32
_MAX_VALUES: Final = 100_000


@dataclass(slots=True)
class Document:
    """What a file holds. ``problems`` are (line, text) pairs found while reading."""

    value: object = None
    lines: dict[Path, int] = field(default_factory=dict)
    """Line of each value's key (of the dash's content in a list), counted from 1."""
    texts: dict[Path, str] = field(default_factory=dict)
    """Scalars as they stand in the file, before ``${ENV}`` and number rules."""
    problems: list[tuple[int, str]] = field(default_factory=list)
    broken: set[Path] = field(default_factory=set)
    """Places whose value could not be had, and whose problem is told already."""

    def line(self, path: Path) -> int:
        """Line of a value, or of the nearest enclosing one that exists."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse(text: str) -> Document:
    """Reads one YAML document. Never raises; what is wrong stands in ``problems``."""
    document = Document()
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        document.problems.append((_line_of(error), _describe(error, text)))
        return document
    except (yaml.YAMLError, RecursionError) as error:
        document.problems.append((1, f"this is not YAML: {str(error).splitlines()[0]}"))
        return document
    if node is not None:
        document.value = _build(node, (), document)
    return document


def _line_of(error: yaml.MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark else 1


def _describe(error: yaml.MarkedYAMLError, text: str) -> str:
    what = error.problem or "syntax error"
    line = text.splitlines()[_line_of(error) - 1 : _line_of(error)]
    if line and re.search(r"[{\[,].*[^'\"]\$\{", line[0]):
        return f"not valid YAML: {what}; between {{ }} a ${{NAME}} needs quotes: '${{NAME}}'"
    if "\\t" in what:
        return "a tab cannot indent YAML; use spaces"
    return f"not valid YAML: {what}; check the indentation, colons and quotes of this line and the one above"


def _build(node: yaml.Node, path: Path, document: Document) -> object:
    document.lines.setdefault(path, node.start_mark.line + 1)
    if len(path) > _MAX_DEPTH or len(document.lines) > _MAX_VALUES:
        document.problems.append(
            (node.start_mark.line + 1, "nested too deep or too large; an alias that holds itself?")
        )
        return None
    if isinstance(node, yaml.MappingNode):
        return dict(_pairs(node, path, document))
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, (*path, index), document) for index, item in enumerate(node.value)]
    return _scalar(node, path, document)


def _pairs(node: yaml.MappingNode, path: Path, document: Document) -> Iterator[tuple[str, object]]:
    first: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            document.problems.append((line, "a key must be a plain word; is a value missing its quotes?"))
            continue
        key = str(key_node.value)
        if key in first:
            document.problems.append(
                (line, f"key {key!r} is given twice, first in line {first[key]}; keep one of them")
            )
            continue
        first[key] = line
        document.lines[(*path, key)] = line
        yield key, _build(value_node, (*path, key), document)


def _scalar(node: yaml.Node, path: Path, document: Document) -> object:
    text = str(node.value)
    document.texts[path] = text
    if not node.tag.startswith("tag:yaml.org,2002:"):
        line = node.start_mark.line + 1
        document.broken.add(path)
        document.problems.append((line, f"tag {node.tag} is not used here; remove it, or quote the text"))
        return None
    if getattr(node, "style", None) is not None:  # quoted, or a block of text
        return text
    if text.lower() in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text) and len(text) < 19:
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
