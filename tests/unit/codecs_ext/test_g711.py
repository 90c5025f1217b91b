"""G.711 against decision values worked out here from the definition of the laws, without the tables of the kernel."""

from __future__ import annotations

import struct
from bisect import bisect_right

import pytest

from codecs_ext import g711


def mu_outputs() -> list[int]:
    """Positive output values of mu-law, ascending (G.711 table 2a, column 8, at 16 bits)."""
    return [4 * (((2 * (code & 15) + 33) << (code >> 4)) - 33) for code in range(128)]


def a_outputs() -> list[int]:
    """Positive output values of A-law, ascending (G.711 table 1a, column 8, at 16 bits)."""
    out = []
    for code in range(128):
        segment, step = code >> 4, code & 15
        out.append(16 * step + 8 if segment == 0 else (16 * step + 264) << (segment - 1))
    return out


def every_sample() -> list[int]:
    return list(range(-32768, 32768))


def pack(values: list[int]) -> bytes:
    return struct.pack(f"<{len(values)}h", *values)


def unpack(pcm: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(pcm) // 2}h", pcm))


@pytest.mark.parametrize(
    ("decode", "outputs", "inversion"),
    [(g711.ulaw_to_linear, mu_outputs(), 0x7F), (g711.alaw_to_linear, a_outputs(), 0x55)],
)
def test_every_code_decodes_to_the_value_of_the_standard(decode, outputs, inversion):
    positive = [decode(bytes([0x80 | (code ^ inversion)])) for code in range(128)]
    negative = [decode(bytes([code ^ inversion])) for code in range(128)]
    assert [unpack(pcm)[0] for pcm in positive] == outputs
    assert [unpack(pcm)[0] for pcm in negative] == [-value for value in outputs]


@pytest.mark.parametrize(
    ("encode", "decode", "outputs", "grain"),
    [
        (g711.linear_to_ulaw, g711.ulaw_to_linear, mu_outputs(), 4),
        (g711.linear_to_alaw, g711.alaw_to_linear, a_outputs(), 16),
    ],
)
def test_every_sample_becomes_the_output_between_whose_decision_values_it_lies(encode, decode, outputs, grain):
    # Each output lies in the middle between its decision values (G.711 3.2), so one gives the next. Samples are seen in
    # steps of ``grain``, negative ones mirrored in one's complement (G.191), so that -1 is the mirror of 0.
    decisions = [outputs[0] * 2 or outputs[1] // 2]
    for output in outputs[1:-1]:
        decisions.append(2 * output - decisions[-1])
    decided = unpack(decode(encode(pack(every_sample()))))
    for sample, got in zip(every_sample(), decided, strict=True):
        magnitude = (~sample if sample < 0 else sample) // grain * grain
        value = outputs[bisect_right(decisions, magnitude)]
        assert got == (-value if sample < 0 else value), sample


@pytest.mark.parametrize(
    ("encode", "decode"), [(g711.linear_to_ulaw, g711.ulaw_to_linear), (g711.linear_to_alaw, g711.alaw_to_linear)]
)
def test_what_was_decoded_encodes_to_the_same_code(encode, decode):
    minus_zero = 0x7F if encode is g711.linear_to_ulaw else None
    codes = bytes(code for code in range(256) if code != minus_zero)
    assert encode(decode(codes)) == codes


def test_known_codes():
    assert g711.linear_to_ulaw(pack([0, -1, 32767, -32768])) == bytes([0xFF, 0x7F, 0x80, 0x00])
    assert g711.linear_to_alaw(pack([0, -1, 32767, -32768])) == bytes([0xD5, 0x55, 0xAA, 0x2A])


@pytest.mark.parametrize("encode", [g711.linear_to_ulaw, g711.linear_to_alaw])
def test_half_a_sample_is_refused(encode):
    with pytest.raises(ValueError, match="even"):
        encode(b"\0\0\0")
    assert encode(b"") == b""
