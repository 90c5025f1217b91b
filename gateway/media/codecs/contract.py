"""What a codec promises: how descriptions name it, and the sample loops that the plane calls.

A codec is one file that ends in a ``CodecSpec`` and one entry-point line in the group ``linecard.codecs``; its loops
are a ``Kernel`` made by an extension module (``codecs_ext/codec.pxd``). The contract tests run on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, cast

from codecs_ext.codec import Kernel
from gateway.errors import MisuseError
from gateway.registry import CODECS, load
from gateway.sdp.types import AudioFormat, Stream

__all__ = ["CodecSpec", "Codecs"]

_PACKET_TIMES: Final = (10, 20, 30, 40, 50, 60)


@dataclass(frozen=True, slots=True)
class CodecSpec:
    """One codec. It has a ``kernel``, or ``fit``s one to what the far end wants."""

    format: AudioFormat
    """How it is offered and answered."""
    kernel: Kernel | None = None
    """How it is encoded and decoded, whatever was agreed on."""
    fit: Callable[[str, int], Kernel] | None = None
    """The kernel for the far end's ``a=fmtp`` and the rate at which the leg is listened to, in Hz. Never raises for
    parameters that ``format.agree`` accepted."""
    packet_times_ms: tuple[int, ...] = _PACKET_TIMES
    """Packet times that it can be encoded to, ascending."""
    library: Callable[[], str] | None = None
    """Loads what it needs and is no dependency of ours; returns its version. Raises ``ResourceError`` without it."""

    def kernel_for(self, fmtp: str = "", rate: int = 16_000) -> Kernel:
        """How to speak it with a far end that wants ``fmtp``. Raises ``ResourceError`` without its library."""
        if self.library is not None:
            self.library()
        if self.kernel is not None:
            return self.kernel
        if self.fit is None:
            raise MisuseError(f"the codec {self.format.name} has neither a kernel nor a way to fit one")
        return self.fit(fmtp, rate)


class Codecs:
    """The codecs that are served, in the order of offers.

    Raises ``MisuseError`` for an unknown name, ``ResourceError`` if a codec's library is not there.
    """

    def __init__(self, names: Iterable[str]) -> None:
        specs = [cast("CodecSpec", load(CODECS, name)) for name in names]
        for spec in specs:
            spec.kernel_for()
        self.formats = tuple(spec.format for spec in specs)
        self._specs = {(spec.format.name.upper(), spec.format.clock): spec for spec in specs}

    def kernel(self, stream: Stream, rate: int) -> Kernel:
        """Of the codec that was agreed on, for a leg that is heard at ``rate``. Raises ``MisuseError`` for another."""
        return self._spec(stream).kernel_for(stream.fmtp, rate)

    def packet_ms(self, stream: Stream) -> int:
        """The codec's packet time next to the one agreed on, and not above it: ``a=ptime`` is a wish (RFC 8866 6.4)."""
        times = self._spec(stream).packet_times_ms
        return max((time for time in times if time <= stream.ptime_ms), default=stream.ptime_ms)

    def _spec(self, stream: Stream) -> CodecSpec:
        spec = self._specs.get((stream.codec.upper(), stream.clock))
        if spec is None:
            raise MisuseError(f"{stream.codec}/{stream.clock} is no codec that is served")
        return spec
