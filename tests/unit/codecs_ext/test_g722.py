"""G.722 against ffmpeg's, which passes the ITU-T test vectors: the same bits from the same samples, and back."""

from __future__ import annotations

import math
import random
import struct

import pytest

from codecs_ext.codec import Coder
from codecs_ext.g722 import G722
from tests.ffmpeg import Decoder, Encoder

FRAMES = 50


def pack(samples: list[float]) -> bytes:
    return struct.pack(f"<{len(samples)}h", *(max(-32768, min(32767, round(sample))) for sample in samples))


def signals() -> dict[str, bytes]:
    noise, count = random.Random(1), 320 * FRAMES
    return {
        "noise at full scale": pack([noise.randint(-32768, 32767) for _ in range(count)]),
        "noise that swells": pack([noise.gauss(0, 1) * n for n in range(count)]),
        "square wave at full scale": pack([32767 if n // 37 % 2 else -32768 for n in range(count)]),
        "tone in the upper band": pack([20_000 * math.sin(2 * math.pi * 6000 / 16_000 * n) for n in range(count)]),
        "impulses": pack([32767 if n % 997 == 0 else 0 for n in range(count)]),
        "most negative": pack([-32768] * count),
        "silence": bytes(2 * count),
    }


def packets(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("name", signals())
def test_every_bit_is_that_of_ffmpeg(name: str) -> None:
    ours, theirs = Coder(G722), Encoder("g722", 16000)
    our_decoder, their_decoder = Coder(G722), Decoder("g722", 16000)
    for packet in packets(signals()[name], 640):
        payload = theirs.encode(packet)
        assert ours.encode(packet) == payload
        assert our_decoder.decode(payload) == their_decoder.decode(payload)


def test_any_bytes_are_decoded_like_ffmpeg() -> None:
    ours, theirs = Coder(G722), Decoder("g722", 16000)
    for packet in packets(random.Random(2).randbytes(160 * FRAMES), 160):
        assert ours.decode(packet) == theirs.decode(packet)


def test_any_cut_of_a_stream_gives_the_same_bytes() -> None:
    whole, cut, pcm = Coder(G722), Coder(G722), signals()["noise that swells"][-3840:]
    expected = b"".join(whole.encode(packet) for packet in packets(pcm, 1920))
    assert b"".join(cut.encode(packet) for packet in packets(pcm, 4 * 35)) == expected
    heard, again = Coder(G722), Coder(G722)
    assert b"".join(again.decode(packet) for packet in packets(expected, 7)) == heard.decode(expected)
