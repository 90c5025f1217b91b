from typing import final

from typing_extensions import Buffer

from codecs_ext.codec import Kernel

__all__ = ["JitterBuffer"]

@final
class JitterBuffer:
    def __init__(
        self, codec: Kernel = ..., *, least: int = 0, most: int = 400_000_000, quantile: float = 0.99
    ) -> None: ...
    @property
    def counts(self) -> dict[str, int]: ...
    @property
    def target(self) -> int: ...
    def delay(self, now: int) -> int: ...
    def put(self, sequence: int, timestamp: int, payload: Buffer, arrival: int) -> bool: ...
    def take(self, count: int, now: int) -> bytes: ...
