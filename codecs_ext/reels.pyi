from typing import final

from codecs_ext.stereo import Stereo
from codecs_ext.trace import Trace

__all__ = ["Reels", "TapeEnd"]

@final
class TapeEnd:
    def mark(self) -> int: ...

@final
class Reels:
    def __init__(self, limit: int) -> None: ...
    def put_on(self, name: int, stereo: Stereo | None, trace: Trace | None) -> None: ...
    def take_off(self, name: int) -> None: ...
    def read(self, end: TapeEnd, mark: int) -> int: ...
