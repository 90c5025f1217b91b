"""What a frame of 20 ms costs in instructions, which do not mind who else is running: by valgrind's callgrind.

    python benchmarks/kernels/instructions.py

Every kernel runs in a process of its own, and only what is inside the function named is counted.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from media import PAIRS, PCM, opened, sealed

from codecs_ext.codec import Coder
from codecs_ext.g711 import alaw_to_linear, linear_to_alaw, linear_to_ulaw, ulaw_to_linear
from codecs_ext.g722 import G722
from codecs_ext.resample import Resample
from codecs_ext.srtp import KEY_BYTES
from gateway.media.srtp import load_srtp

FRAMES = 200
MODULE = "__pyx_f_10codecs_ext_"


def resampling(low: int, high: int) -> Callable[[], object]:
    state = Resample(low, high)
    return lambda: state.process(PCM[low])


def kernels() -> dict[str, tuple[str, Callable[[], Callable[[], object]]]]:
    """The C function that is counted, and what makes the thing that calls it once."""
    mu, a, wide = linear_to_ulaw(PCM[8000]), linear_to_alaw(PCM[8000]), Coder(G722)
    heard = wide.encode(PCM[16000])
    load_srtp()
    return {
        "G.711 mu-law decode": (f"{MODULE}4g711__decode*", lambda: lambda: ulaw_to_linear(mu)),
        "G.711 mu-law encode": (f"{MODULE}4g711__encode*", lambda: lambda: linear_to_ulaw(PCM[8000])),
        "G.711 A-law decode": (f"{MODULE}4g711__decode*", lambda: lambda: alaw_to_linear(a)),
        "G.711 A-law encode": (f"{MODULE}4g711__encode*", lambda: lambda: linear_to_alaw(PCM[8000])),
        "G.722 encode": (f"{MODULE}4g722__encode", lambda: lambda: wide.encode(PCM[16000])),
        "G.722 decode": (f"{MODULE}4g722__decode", lambda: lambda: wide.decode(heard)),
        **{
            f"resample {low} to {high}": (
                "__pyx_pw_10codecs_ext_8resample_8Resample_*process*",
                partial(resampling, low, high),
            )
            for low, high in PAIRS
        },
        **{f"seal {suite}": ("srtp_protect", partial(sealed, suite)) for suite in KEY_BYTES},
        **{f"open {suite}": ("srtp_unprotect", partial(opened, suite)) for suite in KEY_BYTES},
    }


def instructions(name: str, function: str) -> float:
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "callgrind"
        subprocess.run(
            ["valgrind", "-q", "--tool=callgrind", "--collect-atstart=no", f"--toggle-collect={function}",
             f"--callgrind-out-file={out}", sys.executable, __file__, name],
            check=True, capture_output=True,
        )  # fmt: skip
        found = re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.MULTILINE)
    return int(found[1]) / FRAMES if found else 0.0


def main() -> None:
    todo = kernels()
    if len(sys.argv) > 1:
        call = todo[sys.argv[1]][1]()
        for _ in range(FRAMES):
            call()
        return
    for name, (function, _) in todo.items():
        print(f"{name:32} {instructions(name, function):9.0f} instructions", flush=True)


if __name__ == "__main__":
    main()
