"""Ratings against values worked out by hand from ITU-T G.107 and G.113."""

from __future__ import annotations

from itertools import pairwise

import pytest

from codecs_ext.emodel import BPL_BARE, BPL_CONCEALED, mos, r_factor


@pytest.mark.parametrize(
    ("loss", "burst", "robustness", "delay", "rating"),
    [
        (0.0, 1.0, BPL_BARE, 0.0, 93.2),
        (0.0, 1.0, BPL_BARE, 100.0, 93.2 - 2.4),
        (0.0, 1.0, BPL_BARE, 277.3, 93.2 - 0.024 * 277.3 - 11.0),
        (0.01, 1.0, BPL_BARE, 0.0, 93.2 - 95 / 5.3),
        (0.01, 1.0, BPL_CONCEALED, 0.0, 93.2 - 95 / 26.1),
        (0.02, 2.0, BPL_CONCEALED, 0.0, 93.2 - 190 / 26.1),
        (1.0, 1.0, BPL_BARE, 2000.0, 0.0),
        (-0.5, 0.0, BPL_BARE, -1.0, 93.2),
    ],
)
def test_ratings(loss: float, burst: float, robustness: float, delay: float, rating: float) -> None:
    assert r_factor(loss, burst, robustness, delay) == pytest.approx(rating)


@pytest.mark.parametrize(
    ("rating", "score"), [(-1, 1), (0, 1), (5, 1), (50, 2.575), (70, 3.597), (93.2, 4.409), (120, 4.5)]
)
def test_scores(rating: float, score: float) -> None:
    """G.107 annex B, table B.1 among them."""
    assert mos(rating) == pytest.approx(score, abs=0.001)


def test_more_loss_and_longer_holes_are_never_better() -> None:
    ratings = [r_factor(loss / 100, burst, BPL_BARE, 50) for burst in (1, 2, 5) for loss in range(100)]
    assert all(one >= other for one, other in pairwise(ratings[:100]))
    assert all(one >= other for one, other in zip(ratings[:100], ratings[100:200], strict=True))
