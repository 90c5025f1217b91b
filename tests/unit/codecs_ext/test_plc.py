"""Concealment: the last sound goes on and fades; nothing heard, nothing made up."""

from __future__ import annotations

import struct

from codecs_ext.plc import Conceal


def values(pcm: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(pcm) // 2}h", pcm))


def constant(value: int, count: int) -> bytes:
    return struct.pack("<h", value) * count


def test_the_last_20_ms_are_repeated_and_fade_out_over_60_ms():
    conceal = Conceal()
    conceal.hear(struct.pack("<160h", *range(1000, 1160)))
    made = values(conceal.make(480))
    assert made == [(1000 + i % 160) * (480 - i) // 480 for i in range(480)]
    assert values(conceal.make(160)) == [0] * 160


def test_any_cut_gives_the_same_samples():
    whole, cut = Conceal(), Conceal()
    for conceal in (whole, cut):
        conceal.hear(constant(5000, 160))
    assert cut.make(100) + cut.make(1) + cut.make(399) == whole.make(500)


def test_short_packets_are_remembered_together():
    conceal = Conceal()
    conceal.hear(constant(1, 160))
    conceal.hear(constant(4800, 80))
    assert values(conceal.make(1)) == [1]
    assert values(conceal.make(159))[79] == 4800 * 400 // 480


def test_real_audio_begins_anew():
    conceal = Conceal()
    conceal.hear(constant(5000, 160))
    conceal.make(480)
    conceal.hear(constant(4000, 160))
    assert values(conceal.make(1)) == [4000]


def test_silence_before_anything_was_heard():
    assert Conceal().make(320) == bytes(640)
