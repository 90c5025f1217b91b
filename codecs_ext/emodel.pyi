from typing import Final

__all__ = ["BPL_BARE", "BPL_CONCEALED", "mos", "r_factor"]

BPL_BARE: Final[float]
BPL_CONCEALED: Final[float]

def r_factor(loss: float, burst_ratio: float, robustness: float, delay_ms: float) -> float: ...
def mos(r: float) -> float: ...
