"""How good resampling is, beside libsoxr's HQ and quick recipes: passband ripple, alias rejection, THD+N.

    python benchmarks/kernels/resampling.py

16-bit samples in and out on both sides. CPU per 20 ms of one call is in ``media.py``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import soxr

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from codecs_ext.resample import RATES, SOURCES, Resample
from tests.unit.codecs_ext.resampling import Process, Quality, measured


def ours(rate_in: int, rate_out: int) -> Process:
    return lambda samples: np.frombuffer(Resample(rate_in, rate_out).process(samples.tobytes()), np.int16)


def theirs(rate_in: int, rate_out: int, quality: str) -> Process:
    return lambda samples: soxr.resample(samples, rate_in, rate_out, quality=quality)


def line(name: str, result: Quality) -> str:
    return f"  {name:10}{result.ripple_db:8.2f}{result.alias_db:9.1f}{result.thd_n_db:9.1f}"


def main() -> None:
    print(f"{'dB':12}{'ripple':>8}{'alias':>9}{'THD+N':>9}")
    for rate_in in SOURCES:
        for rate_out in RATES:
            if rate_in != rate_out:
                print(f"{rate_in} to {rate_out} Hz")
                print(line("ours", measured(ours(rate_in, rate_out), rate_in, rate_out)))
                for quality in ("HQ", "QQ"):
                    result = measured(theirs(rate_in, rate_out, quality), rate_in, rate_out)
                    print(line(f"soxr {quality}", result))


if __name__ == "__main__":
    main()
