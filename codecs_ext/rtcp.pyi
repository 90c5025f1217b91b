from typing import Any

from typing_extensions import Buffer

__all__ = ["build", "parse"]

def build(
    sender: int,
    cname: bytes,
    info: dict[str, int] | None = None,
    report: dict[str, int] | None = None,
    metrics: dict[str, int] | None = None,
    bye: bool = False,
) -> bytes: ...
def parse(data: Buffer, receiver: int) -> dict[str, Any] | None: ...
