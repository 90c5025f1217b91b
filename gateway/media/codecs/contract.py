"""What a codec promises: how descriptions name it, and the sample loops that the plane calls.

A codec is one file that ends in a ``CodecSpec`` and one entry-point line in the group ``linecard.codecs``; its loops
are a ``Kernel`` made by an extension module (``codecs_ext/codec.pxd``). The contract tests run on all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from codecs_ext.codec import Kernel
from gateway.errors import MisuseError
from gateway.registry import CODECS, load
from gateway.sdp.types import AudioFormat, Stream

__all__ = ["CodecSpec", "Codecs"]


@dataclass(frozen=True, slots=True)
class CodecSpec:
    """One codec."""

    format: AudioFormat
    """How it is offered and answered."""
    kernel: Kernel
    """How it is encoded and decoded."""


class Codecs:
    """The codecs that are served, in the order of offers. Raises ``MisuseError`` for an unknown name."""

    def __init__(self, names: Iterable[str]) -> None:
        specs = [cast("CodecSpec", load(CODECS, name)) for name in names]
        self.formats = tuple(spec.format for spec in specs)
        self._kernels = {(spec.format.name.upper(), spec.format.clock): spec.kernel for spec in specs}

    def kernel(self, stream: Stream) -> Kernel:
        """Of the codec that was agreed on. Raises ``MisuseError`` if it is none of these."""
        kernel = self._kernels.get((stream.codec.upper(), stream.clock))
        if kernel is None:
            raise MisuseError(f"{stream.codec}/{stream.clock} is no codec that is served")
        return kernel
