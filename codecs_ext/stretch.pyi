from typing import final

from typing_extensions import Buffer

__all__ = ["Stretch"]

@final
class Stretch:
    def __init__(self, rate: int = 8000) -> None: ...
    def shorten(self, pcm: Buffer, most: int) -> bytes: ...
    def lengthen(self, pcm: Buffer) -> bytes: ...
