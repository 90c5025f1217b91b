from typing import final

from typing_extensions import Buffer

__all__ = ["LineModel"]

@final
class LineModel:
    def __init__(
        self,
        *,
        seed: int = 0,
        to_bad: float = 0.0,
        to_good: float = 1.0,
        loss_good: float = 0.0,
        loss_bad: float = 1.0,
        reorder: float = 0.0,
        duplicate: float = 0.0,
        delay_ns: int = 0,
        jitter_ns: int = 0,
        reorder_ns: int = 0,
        trace: bytes = b"",
        capacity: int = 64,
    ) -> None: ...
    @property
    def counts(self) -> dict[str, int]: ...
    def put(self, data: Buffer, now: int) -> int: ...
    def take(self, now: int) -> list[tuple[int, bytes]]: ...
