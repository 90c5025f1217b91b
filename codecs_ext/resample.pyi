from typing import final

from typing_extensions import Buffer

__all__ = ["RATES", "SOURCES", "Resample"]

RATES: tuple[int, int, int, int]
SOURCES: tuple[int, int, int, int, int, int]

@final
class Resample:
    def __init__(self, rate_in: int, rate_out: int) -> None: ...
    def wanted(self, outputs: int) -> int: ...
    def process(self, pcm: Buffer) -> bytes: ...
