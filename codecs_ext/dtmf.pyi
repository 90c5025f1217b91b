from typing import final

from typing_extensions import Buffer

__all__ = ["Digits"]

@final
class Digits:
    def receive(self, payload: Buffer, timestamp: int, arrival: int) -> list[tuple[str, int, int]]: ...
    def tick(self, now: int) -> list[tuple[str, int, int]]: ...
