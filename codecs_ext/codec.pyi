from typing import final

from typing_extensions import Buffer

__all__ = ["Coder", "Kernel"]

@final
class Kernel:
    @property
    def rate(self) -> int: ...
    @property
    def clock(self) -> int: ...
    @property
    def max_bytes(self) -> int: ...

@final
class Coder:
    def __init__(self, kernel: Kernel) -> None: ...
    def encode(self, pcm: Buffer) -> bytes: ...
    def decode(self, payload: Buffer) -> bytes: ...
