from typing import final

from typing_extensions import Buffer

from codecs_ext.codec import Kernel

__all__ = ["Receiver"]

@final
class Receiver:
    def __init__(
        self,
        codec: Kernel = ...,
        *,
        rate: int = 8000,
        payload_type: int = 0,
        event_payload_type: int = 101,
        window_ns: int = 40_000_000,
        window_least_ns: int = 10_000_000,
        stall_ns: int = 200_000_000,
        timeout_ns: int = 30_000_000_000,
        hold_timeout_ns: int = 0,
        max_gap: int = 8000,
        attack: int = 2,
        release: int = 20,
        now: int = 0,
    ) -> None: ...
    @property
    def counts(self) -> dict[str, float]: ...
    @property
    def window_ns(self) -> int: ...
    @property
    def wake(self) -> int: ...
    def receive(self, data: Buffer, arrival: int) -> bool: ...
    def report(self, now: int) -> None: ...
    def hold(self, now: int) -> None: ...
    def tick(self, now: int) -> None: ...
    def take(self) -> list[tuple[str, int, int, int, int, bytes]]: ...
