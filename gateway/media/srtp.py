"""Finds libsrtp2: in the wheel of pylibsrtp, whose C symbols are there for anybody, or the system's."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from codecs_ext import srtp
from gateway.errors import ResourceError

__all__ = ["load_srtp"]

_SYSTEM: Final = ("libsrtp2.so.1", "libsrtp2.so")


def load_srtp() -> str:
    """Loads it once per process; returns its version. Raises ``ResourceError`` if there is none."""
    reasons = []
    for path in _candidates():
        try:
            return srtp.load(path)
        except OSError as error:
            reasons.append(str(error))
    raise ResourceError(f"SRTP needs libsrtp2; install linecard[srtp] or libsrtp2-1 ({'; '.join(reasons)})")


def _candidates() -> Iterator[str]:
    """The wheel's extension module is loaded as a library, without running Python code of it."""
    spec = importlib.util.find_spec("pylibsrtp")
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        yield from (str(path) for path in sorted(Path(folder).glob("_binding*.so")))
    yield from _SYSTEM
