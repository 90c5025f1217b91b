from typing import final

from codecs_ext.codec import Kernel

__all__ = ["Sender"]

@final
class Sender:
    def __init__(
        self,
        codec: Kernel = ...,
        *,
        group: int = 0,
        payload_type: int = 0,
        ptime_ms: int = 20,
        limit: int = 960_000,
        ssrc: int = 1,
        sequence: int = 0,
        timestamp: int = 0,
    ) -> None: ...
    @property
    def counts(self) -> dict[str, float]: ...
    def connect(self, tick: int, send: bool = True) -> None: ...
    def play(self, pcm: bytes, rate: int, tick: int) -> None: ...
    def mark(self, number: int) -> None: ...
    def flush(self, number: int) -> None: ...
    def tick(self, tick: int, sent: int) -> bytes | None: ...
    def take(self) -> list[tuple[str, int, int, int, int, bytes]]: ...
