"""Random numbers that nobody can guess, many for one system call.

Tags, branches, nonces, SSRCs and sequence numbers are what keeps a stranger out of a call. They come from the kernel's
generator; a call needs a dozen, and each asked for by itself costs as much as parsing a header. Keys are not taken from
here: ``secrets`` leaves no copy of them in a block.
"""

from __future__ import annotations

import os
from typing import Final

__all__ = ["RandomPool"]

_BLOCK: Final = 4096


class RandomPool:
    """``getrandbits`` as ``random.SystemRandom`` has it. For one thread; not to be carried over a fork."""

    __slots__ = ("_at", "_block")

    def __init__(self) -> None:
        self._block = b""
        self._at = 0

    def token_bytes(self, count: int) -> bytes:
        """So many, each given out once."""
        end = self._at + count
        if end > len(self._block):
            self._block, self._at, end = os.urandom(max(_BLOCK, count)), 0, count
        taken = self._block[self._at : end]
        self._at = end
        return taken

    def getrandbits(self, bits: int, /) -> int:
        size = (bits + 7) // 8
        return int.from_bytes(self.token_bytes(size), "big") >> (8 * size - bits)
