"""sherpa-onnx's streaming WebSocket server: speech to text on one's own machines.

The server has to find ends of speech (``--enable-endpoint``, as it does unless told otherwise): its protocol has no
other word for the end of a turn than the end of the connection.
"""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Iterable, Iterator
from typing import Final

from pydantic import Field

from gateway.audio import PCM_16K
from gateway.options import Secret
from gateway.providers.contract import ModelInfo
from gateway.providers.dialect import Flushed, Heard, Life, Opening, SttDialect, SttEvent, Wire
from gateway.providers.options import RoleOptions, VendorOptions, address, secret, web_socket
from gateway.providers.sessions.vendor import adapter

__all__ = ["SPEC", "SherpaOnnxOptions", "SherpaOnnxStt"]

_FLOAT_BYTES: Final = 4
_PIECE_MS: Final = 500
_GOODBYE: Final = "Done"


class SherpaOnnxRole(RoleOptions):
    """Speech to text by a streaming model."""

    model: str = "sherpa-onnx"
    """Only a name for the records: the server speaks with the model that it was started with, and does not tell."""
    padding_ms: int = Field(default=1400, ge=0, le=5000)
    """Silence sent at the end of a turn, at once, so that the server finds its end: a little more than its
    ``--rule2-min-trailing-silence``."""


class SherpaOnnxOptions(VendorOptions):
    """A provider of kind ``sherpa-onnx``."""

    base_url: str = "ws://127.0.0.1:6006"
    """Where the server is."""
    api_key: Secret | None = None
    """The server asks for none; sent as ``Authorization: Bearer`` to a proxy in front of it."""
    stt: SherpaOnnxRole = Field(default_factory=SherpaOnnxRole)


class SherpaOnnxStt(SttDialect):
    """The text is that of the segment so far; the end of one is taken for the answer to ``end``, since nothing tells
    them apart. The server knows no errors: it hangs up."""

    life = Life(frame_ms=60)
    hears = PCM_16K

    def __init__(self, options: SherpaOnnxOptions, rate: int, language: str) -> None:
        self._options = options
        self.model = ModelInfo(options.stt.model, "")

    def opening(self) -> Opening:
        options = self._options
        key = secret(options.api_key)
        headers = {**({"Authorization": f"Bearer {key}"} if key else {}), **options.headers}
        return Opening(address(web_socket(options.base_url), "", {}, options.stt.query), headers)

    def written(self, audio: bytes) -> bytes:
        """As 32-bit floats, little-endian, of -1 to 1."""
        samples = array("f", [sample / 32768 for sample in array("h", audio)])
        if sys.byteorder == "big":
            samples.byteswap()
        return samples.tobytes()

    def end(self) -> Iterable[Wire]:
        pieces, rest = divmod(self._options.stt.padding_ms, _PIECE_MS)
        return (*[_silence(_PIECE_MS)] * pieces, _silence(rest)) if rest else [_silence(_PIECE_MS)] * pieces

    def close(self) -> Iterable[Wire]:
        return (_GOODBYE,)

    def decode(self, message: Wire) -> Iterator[SttEvent]:
        if message == f"{_GOODBYE}!":
            return
        found = json.loads(message)
        if "text" not in found:
            return
        final = bool(found.get("is_final"))
        yield Heard(found["text"], final=final)
        if final:
            yield Flushed()


def _silence(ms: int) -> bytes:
    return bytes(_FLOAT_BYTES * PCM_16K.rate * ms // 1000)


SPEC: Final = adapter("sherpa-onnx", SherpaOnnxOptions, stt=SherpaOnnxStt)
