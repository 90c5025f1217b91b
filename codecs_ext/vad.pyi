from typing import final

from typing_extensions import Buffer

__all__ = ["Detector"]

@final
class Detector:
    def __init__(
        self, threshold_db: float = 10.0, min_level_db: float = -48.0, attack: int = 2, release: int = 20
    ) -> None: ...
    @property
    def floor_db(self) -> float: ...
    def process(
        self, pcm: Buffer, media_time: int, arrival: int, learn: bool = True
    ) -> tuple[bool, list[tuple[bool, int, int]]]: ...
