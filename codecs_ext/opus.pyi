from typing import Final

from codecs_ext.codec import Kernel

__all__ = ["RATES", "kernel", "load"]

RATES: Final[tuple[int, ...]]

def load(path: str) -> str: ...
def kernel(
    rate: int,
    *,
    bitrate: int = 24_000,
    max_rate: int = 48_000,
    fec_loss: int = 0,
    dtx: bool = False,
    cbr: bool = False,
) -> Kernel: ...
