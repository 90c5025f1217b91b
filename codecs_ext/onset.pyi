from typing import final

__all__ = ["OnsetDetector"]

@final
class OnsetDetector:
    def __init__(
        self, rate: int, *, threshold: float, margin: float, block_us: int, confirm: int, release: int
    ) -> None: ...
    @property
    def speaking(self) -> bool: ...
    @property
    def threshold(self) -> float: ...
    def hear(
        self, pcm: bytes, media_time: int, packet: int, real: bool = True
    ) -> list[tuple[bool, int, int, int, int]]: ...
    def finish(self) -> list[tuple[bool, int, int, int, int]]: ...
