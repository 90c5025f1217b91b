"""What the garbage collector would have to find: objects of ours that know each other in a circle.

A circle lives until the collector looks for it, and while it looks the event loop stands still: no call may leave one.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from types import CellType, FunctionType, MethodType

__all__ = ["Garbage", "no_garbage"]


class Garbage:
    """From ``begin`` to ``end`` nothing is collected; ``end`` returns what could only have been collected."""

    def begin(self) -> None:
        gc.collect()
        gc.freeze()  # what was there before is nobody's garbage, and need not be looked through
        gc.disable()

    def end(self) -> list[object]:
        try:
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            return [one for one in gc.garbage if _is_ours(one)]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
            gc.unfreeze()


def _is_ours(thing: object) -> bool:
    """Of the gateway; a closure or a bound method by what it was made of."""
    if isinstance(thing, CellType):
        return False
    if isinstance(thing, MethodType):
        thing = thing.__func__
    module = thing.__module__ if isinstance(thing, FunctionType) else type(thing).__module__
    return (module or "").startswith("gateway.")


@contextmanager
def no_garbage() -> Iterator[None]:
    """Fails if what happens inside leaves any."""
    garbage = Garbage()
    garbage.begin()
    try:
        yield
    except BaseException:
        garbage.end()
        raise
    found = garbage.end()
    assert not found, f"{len(found)} objects know each other in a circle: {sorted({repr(one)[:90] for one in found})}"
