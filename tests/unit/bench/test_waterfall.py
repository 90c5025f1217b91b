from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.bench.waterfall import LABELS, bars

STAGES = {"hangover": 200.0, "stt": 100.0, "llm": 0.4, "tts": 50.0, "first_packet": 49.6}


def test_bars_follow_each_other_and_fill_the_width() -> None:
    hangover, stt, llm, tts, last = (bar.drawing for bar in bars(STAGES, 40))
    assert hangover == "█" * 20
    assert stt == " " * 20 + "█" * 10
    assert llm == " " * 30 + "▏"
    assert tts.startswith(" " * 30 + "█")
    assert len(last) == 40


def test_a_stage_beyond_all_proportion_is_shortened_and_says_so() -> None:
    hangover, stt, last = (bar.drawing for bar in bars({"hangover": 500.0, "stt": 3.0, "first_packet": 1.0}, 40))
    assert hangover == "█████//█████"
    assert stt == " " * 12 + "█" * 21
    assert last == " " * 33 + "█" * 7


def test_plain_text() -> None:
    assert bars({"hangover": 3.0, "stt": 1.0}, 8, ascii_only=True)[1].drawing == "      ##"


@given(st.dictionaries(st.sampled_from(sorted(LABELS)), st.floats(0, 1e4)), st.integers(1, 200))
def test_no_bar_leaves_its_place(stages: dict[str, float], width: int) -> None:
    drawn = bars(stages, width)
    assert [bar.stage for bar in drawn] == [stage for stage in LABELS if stage in stages]
    assert all(bar.drawing.strip() and len(bar.drawing) <= width for bar in drawn)
