from typing import final

from typing_extensions import Buffer

__all__ = ["Conceal"]

@final
class Conceal:
    def hear(self, pcm: Buffer) -> None: ...
    def make(self, count: int) -> bytes: ...
