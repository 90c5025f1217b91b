from typing import final

from typing_extensions import Buffer

__all__ = ["Conceal"]

@final
class Conceal:
    def __init__(self, rate: int = 8000) -> None: ...
    def hear(self, pcm: Buffer) -> bytes: ...
    def make(self, count: int) -> bytes: ...
