"""What a 20 ms frame of audio costs on its way to and from a provider, without the socket: CPU time, medians.

    PYTHONPATH=. python benchmarks/kernels/provider_frames.py

*To* is PCM at 8 kHz as the leg gives it, made mu-law and wrapped into a whole masked WebSocket frame. *From* is such a
frame
of an answer, read and decoded by a dialect. Beside each stands the same by ``websockets``' own frames and the standard
library.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from base64 import b64encode
from collections.abc import Callable

from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from codecs_ext.g711 import linear_to_ulaw
from codecs_ext.wsframe import Reader, Writer
from gateway.audio import ULAW_8K
from gateway.providers.cartesia import CartesiaOptions, CartesiaTtsDialect
from gateway.providers.openai_events import APPEND
from gateway.providers.sessions.base import Converter
from gateway.providers.sessions.reading import sound

PCM = os.urandom(320)
ROUNDS, REPEATS = 20_000, 7


def cost(work: Callable[[], object]) -> float:
    """Microseconds of processor time, the median of the repeats."""
    found = []
    for _ in range(REPEATS):
        began = time.process_time_ns()
        for _ in range(ROUNDS):
            work()
        found.append((time.process_time_ns() - began) / ROUNDS / 1000)
    return statistics.median(found)


def plain_to() -> bytes:
    message = json.dumps({"type": "input_audio_buffer.append", "audio": b64encode(linear_to_ulaw(PCM)).decode()})
    return Frame(Opcode.TEXT, message.encode()).serialize(mask=True)


def main() -> None:
    converter, writer = Converter(8000, ULAW_8K, 20), Writer(masked=True)

    def binary() -> bytes:
        return writer.wrapped(b"", converter.feed(PCM) or b"", b"", False)

    def text() -> bytes:
        return writer.wrapped(APPEND.before, converter.feed(PCM) or b"", APPEND.after, True)

    chunk = {"type": "chunk", "context_id": "c1", "status_code": 206, "done": False}
    answer = json.dumps({**chunk, "data": b64encode(os.urandom(160)).decode()}).encode()
    incoming = Frame(Opcode.TEXT, answer).serialize(mask=False)
    reader = Reader(masked=False, plain=True)
    dialect = CartesiaTtsDialect(CartesiaOptions.model_validate({"api_key": "k"}), 8000, "en")

    def read() -> object:
        ((_, data),) = reader.feed(incoming)
        return sound(dialect.decode(data.decode()))

    def plain_read() -> object:
        stream = StreamReader()
        stream.feed_data(incoming)
        parser = Frame.parse(stream.read_exact, mask=False)
        try:
            next(parser)
        except StopIteration as stop:
            return list(dialect.decode(bytes(stop.value.data).decode()))
        raise AssertionError

    for name, ours, other in (
        ("to, binary", binary, lambda: Frame(Opcode.BINARY, linear_to_ulaw(PCM)).serialize(mask=True)),
        ("to, base64 in JSON", text, plain_to),
        ("from, base64 in JSON", read, plain_read),
    ):
        mine, theirs = cost(ours), cost(other)
        print(f"{name:22} {mine:6.2f} us   websockets {theirs:6.2f} us   ratio {theirs / mine:.1f}")


if __name__ == "__main__":
    main()
