"""Samples as sherpa-onnx wants them, and the silence that makes its server find the end of a turn."""

from __future__ import annotations

import struct

from gateway.providers.sherpa_onnx import SherpaOnnxOptions, SherpaOnnxRole, SherpaOnnxStt


def dialect(padding_ms: int) -> SherpaOnnxStt:
    return SherpaOnnxStt(SherpaOnnxOptions(stt=SherpaOnnxRole(padding_ms=padding_ms)), 8000, "en")


def test_samples_become_floats() -> None:
    written = dialect(0).written(struct.pack("<4h", 0, 16_384, -32_768, 32_767))
    assert struct.unpack("<4f", written) == (0.0, 0.5, -1.0, 32_767 / 32_768)


def test_the_silence_at_the_end_of_a_turn_is_as_long_as_asked_for() -> None:
    pieces = list(dialect(1400).end())
    assert sum(map(len, pieces)) == 4 * 16 * 1400
    assert max(map(len, pieces)) < 65_536, "the most that one message carries"
    assert not any(map(any, pieces))
