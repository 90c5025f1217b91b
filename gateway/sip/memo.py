"""Remembering what was parsed: within a call, and on a trunk, the same URIs and tags come again and again."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Final, TypeVar

__all__ = ["memo"]

Value = TypeVar("Value")

_ENTRIES: Final = 4096
_LONGEST: Final = 256


def memo(parse: Callable[[str], Value]) -> Callable[[str], Value]:
    """Caches a pure parser of short texts. Entries and their length are bounded, so a peer can fill about 2 MB at most;
    what raises is not kept. Results are shared: they must be read only."""
    cached = lru_cache(maxsize=_ENTRIES)(parse)

    @wraps(parse)
    def remembered(text: str) -> Value:
        return cached(text) if len(text) <= _LONGEST else parse(text)

    return remembered
