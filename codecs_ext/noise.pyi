from typing import final

from typing_extensions import Buffer

__all__ = ["ComfortNoise"]

@final
class ComfortNoise:
    def __init__(self) -> None: ...
    def describe(self, payload: Buffer) -> None: ...
    def make(self, count: int) -> bytes: ...
