"""Active speech level against signals whose level is known by their making."""

from __future__ import annotations

import math

import pytest

from gateway.bench.callers.level import active_level
from tests.unit.bench.measure.signals import noise, silence, tone


@pytest.mark.parametrize("dbfs", [-40.0, -26.0, -20.0, -10.0])
def test_without_a_pause_it_is_the_level_of_the_whole(dbfs: float) -> None:
    assert active_level(tone(3000, dbfs), 8000) == pytest.approx(dbfs, abs=0.3)
    assert active_level(noise(3000, dbfs - 3), 8000) == pytest.approx(dbfs - 3, abs=0.5)


@pytest.mark.parametrize("pause_s", [1, 5])
def test_long_pauses_do_not_count(pause_s: int) -> None:
    """Half a second of hangover and envelope at most belongs to each piece."""
    speech = tone(2000, -20)
    level = active_level(speech + silence(pause_s * 1000) + speech, 8000)
    assert level is not None
    assert -20 + 10 * math.log10(4 / 4.6) <= level <= -19.9


def test_short_pauses_count() -> None:
    words = [x for _ in range(20) for x in tone(150, -20) + silence(100)]
    assert active_level(words, 8000) == pytest.approx(-20 + 10 * math.log10(0.6), abs=0.4)


def test_silence_has_none() -> None:
    assert active_level(silence(500), 8000) is None
    assert active_level([], 8000) is None
