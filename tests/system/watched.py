"""``linecard`` with its garbage collector switched off: SIGUSR1 asks for a line that says what it would have found.

python -m tests.system.watched run FILE
"""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
from collections import Counter

from gateway import cli
from gateway.daemon import garbage
from tests.garbage import Garbage

_GARBAGE = Garbage()


def _watch() -> None:
    _GARBAGE.begin()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, _tell)


def _tell() -> None:
    found = Counter(type(one).__qualname__ for one in _GARBAGE.end())
    print(json.dumps({"event": "garbage", "found": found, "objects": len(gc.get_objects())}), flush=True)
    _GARBAGE.begin()


garbage.settle = _watch

if __name__ == "__main__":
    sys.exit(cli.main())
