from typing import Final, final

from typing_extensions import Buffer

__all__ = ["KEY_BYTES", "PROFILES", "Direction", "load"]

PROFILES: Final[dict[str, int]]
KEY_BYTES: Final[dict[str, int]]

def load(path: str) -> str: ...

@final
class Direction:
    def __init__(self, suite: str, key: bytes, *, inbound: bool, ssrc: int = 0) -> None: ...
    def seal(self, packet: Buffer, control: bool = False) -> bytes | None: ...
    def open(self, packet: Buffer, control: bool = False) -> bytes | None: ...
