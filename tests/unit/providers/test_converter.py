"""PCM as a provider wants it: in pieces of its size, the last of a turn as short as it is or filled up."""

from __future__ import annotations

import pytest

from gateway.audio import PCM_8K, ULAW_8K, AudioFormat
from gateway.providers.sessions.base import Converter

FRAME = b"\1\0" * 160  # 20 ms


def test_a_piece_is_told_when_it_is_complete() -> None:
    converter = Converter(8000, PCM_8K, 60)
    assert [converter.feed(FRAME) for _ in range(3)] == [None, None, FRAME * 3]
    assert converter.flush() is None


@pytest.mark.parametrize("wanted", [PCM_8K, ULAW_8K], ids=["pcm", "ulaw"])
def test_the_last_piece_is_filled_with_silence_for_a_provider_that_refuses_short_ones(wanted: AudioFormat) -> None:
    short, filled = Converter(8000, wanted, 60), Converter(8000, wanted, 60, filled=True)
    for converter in (short, filled):
        converter.feed(FRAME)
    rest = short.flush()
    assert rest is not None
    assert filled.flush() == rest + wanted.silence(40)
    assert filled.flush() is None
