"""Extensions, looked up by group and name.

An extension is one file that ends in a constant description, and one entry-point line in its package's metadata. Ours
register in the same way as a foreign one, so this file knows no name.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from gateway.errors import MisuseError

__all__ = ["CODECS", "PLUGS", "PROVIDERS", "TRANSPORTS", "load", "names"]

CODECS: Final = "linecard.codecs"
PROVIDERS: Final = "linecard.providers"
PLUGS: Final = "linecard.plugs"
TRANSPORTS: Final = "linecard.transports"


@cache
def _group(group: str) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=group)}


def names(group: str) -> list[str]:
    """Names registered in a group, sorted."""
    return sorted(_group(group))


def load(group: str, name: str) -> object:
    """The object an extension registered. ``MisuseError`` if there is none: configuration checks names before."""
    entry = _group(group).get(name)
    if entry is None:
        raise MisuseError(f"nothing named {name!r} is registered in {group}; known: {', '.join(names(group))}")
    return entry.load()
